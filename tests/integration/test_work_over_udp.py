"""Requests that cost something, over UDP: those of one address one after the other, those of many at the same time."""

import socket
import time

import pytest

from tests.conformance.kernel_datagrams import peers_of
from tests.integration.messages import request, response, sequence_of
from tests.integration.running import KEEP_PEERS, MODELS, Running, command, eventually, started
from tests.integration.working import ENDLESS, datagrams_begun, knockers

# Every model, and hybrid with what else may be inside and over UDP.
SERVERS: list[tuple[str, ...]] = [(model,) for model in MODELS]
SERVERS += [("hybrid", "--inner", "selectors"), ("hybrid", "--loop", "uvloop")]
SHARED = ("hybrid", "--accept", "shared")
WAIT_S = 0.02
SHORT = "wait:20ms"

every_server = pytest.mark.parametrize("server", SERVERS, ids="".join)


def working(server: tuple[str, ...], work: str, *options: str) -> list[str]:
    """Return the command of a server whose requests cost something."""
    model, *variant = server
    return command(model, "udp", "--work", work, *variant, *options)


def ask(knocker: socket.socket, *sequences: int) -> None:
    for sequence in sequences:
        knocker.send(request(sequence))


def expect(knocker: socket.socket, *sequences: int) -> None:
    """Read the replies to some requests, which must be the next to come, in this order."""
    for sequence in sequences:
        assert knocker.recv(65_536) == response(sequence)


def expect_any(knocker: socket.socket, *sequences: int) -> None:
    """Read the replies to some requests in any order."""
    replies = [knocker.recv(65_536) for _ in sequences]
    assert sorted(map(sequence_of, replies)) == sorted(sequences)
    assert all(reply == response(sequence_of(reply)) for reply in replies)


def is_established(server: Running, knocker: socket.socket) -> bool:
    """Tell whether a peer has what it will ever have of its own."""
    keeps_peers = server.ready["model"] in KEEP_PEERS
    return not keeps_peers or knocker.getsockname() in peers_of(("127.0.0.1", server.port))


@every_server
def test_requests_of_an_address_are_answered_in_order_and_none_before_those_before_it_are_done(
    server: tuple[str, ...],
) -> None:
    with started(working(server, SHORT)) as running, knockers(running, 1) as (knocker,):
        ask(knocker, 0)
        expect(knocker, 0)
        eventually(lambda: is_established(running, knocker), "the peer has its own socket")
        asked_s = time.monotonic()
        ask(knocker, *range(1, 11))
        for number in range(1, 11):
            expect(knocker, number)
            assert time.monotonic() - asked_s >= number * WAIT_S
        stopped = running.stop()
        assert (stopped["messages"], stopped["undelivered"]) == (11, 0)


@pytest.mark.parametrize("server", [*SERVERS, SHARED], ids="".join)
def test_requests_of_many_addresses_wait_at_the_same_time(server: tuple[str, ...]) -> None:
    with started(working(server, ENDLESS)) as running, knockers(running, 20) as many:
        for number, knocker in enumerate(many):
            ask(knocker, number)
        datagrams_begun(running)
        for knocker in many:
            knocker.setblocking(False)
            with pytest.raises(BlockingIOError):  # all have been begun before one was done
                knocker.recv(1)


@pytest.mark.parametrize("model", KEEP_PEERS)
def test_what_a_known_peer_has_sent_to_the_mailbox_does_not_hold_up_new_peers(model: str) -> None:
    with started(working((model,), ENDLESS)) as running, knockers(running, 2) as (early, late):
        running.freeze()
        ask(early, *range(5))  # the first makes a peer, the others are in the mailbox before its socket is there
        ask(late, 1)
        running.thaw()
        datagrams_begun(running)
        assert peers_of(("127.0.0.1", running.port)) == {early.getsockname(), late.getsockname()}


@pytest.mark.parametrize("model", KEEP_PEERS)
def test_what_a_known_peer_has_sent_to_the_mailbox_is_worked_off_there(model: str) -> None:
    with started(working((model,), SHORT)) as running, knockers(running, 1) as (early,):
        running.freeze()
        ask(early, *range(5))
        running.thaw()
        expect_any(early, *range(5))
        stopped = running.stop()
        assert (stopped["messages"], stopped["served_by_listener"], stopped["connections"]) == (5, 4, 1)


@pytest.mark.parametrize("server", [*SERVERS, SHARED], ids="".join)
def test_what_was_received_before_a_stop_is_worked_off(server: tuple[str, ...]) -> None:
    with started(working(server, SHORT)) as running, knockers(running, 5) as many:
        running.freeze()
        for knocker in many:
            ask(knocker, 1, 2, 3)
        running.terminate()
        running.thaw()
        for knocker in many:
            expect_any(knocker, 1, 2, 3)
        stopped = running.stopped_line()
        assert (stopped["messages"], stopped["undelivered"], stopped["aborted"]) == (15, 0, 0)


@every_server
def test_what_is_not_done_at_the_drain_deadline_is_counted_and_not_as_answered(server: tuple[str, ...]) -> None:
    with started(working(server, ENDLESS, "--drain-timeout", "0.3")) as running, knockers(running, 20) as many:
        for knocker in many:
            ask(knocker, 1)
        datagrams_begun(running)
        stopped = running.stop()
        assert stopped["messages"] == 0
        assert stopped["aborted"] + stopped["undelivered"] == 20


@every_server
def test_the_cpu_that_the_work_asks_for_is_used_before_the_reply_comes(server: tuple[str, ...]) -> None:
    with started(working(server, "cpu:1ms")) as running, knockers(running, 2) as both:
        for knocker in both:
            ask(knocker, *range(50))
        for knocker in both:
            expect_any(knocker, *range(50))
        stopped = running.stop()
        assert stopped["cpu_user_s"] + stopped["cpu_system_s"] >= 100 * 0.001
        assert stopped["messages"] == 100


@every_server
def test_garbage_costs_no_work(server: tuple[str, ...]) -> None:
    with started(working(server, ENDLESS)) as running, knockers(running, 1) as (vandal,):
        for garbage in (b"", b"noise", request(1)[:-1], response(1)):
            vandal.send(garbage)
        datagrams_begun(running)
        stopped = running.stop()  # in time: nothing is worked on
        assert (stopped["protocol_errors"], stopped["messages"], stopped["undelivered"]) == (4, 0, 0)
