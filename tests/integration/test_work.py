"""Requests that cost something, over streams: in order, one after the other on a connection, at the same time on many.

Nothing here is held against a clock that a busy machine could upset: where time is looked at, it is that a reply came
too early.
"""

import socket
import time

import pytest

from tests.integration.messages import header, request
from tests.integration.running import MODELS, PATIENCE_S, command, started
from tests.integration.working import ENDLESS, begun, clients

# Every model, and those of their variants that serve a connection in another way; then those that much else covers.
SERVERS: list[tuple[str, ...]] = [(model,) for model in MODELS]
SERVERS += [("asyncio", "--api", "streams"), ("hybrid", "--inner", "thread")]
LONG = [("asyncio", "--api", "protocol"), ("hybrid", "--inner", "selectors"), ("hybrid", "--accept", "shared")]
WAIT_S = 0.02
SHORT = "wait:20ms"
REFUSAL = {"tcp": header(3, 8, 9) + b"bad kind", "ws": b"\x88"}

every_target = pytest.mark.parametrize(
    ("server", "transport"),
    [pytest.param(server, "tcp", id="".join(server)) for server in SERVERS]
    + [pytest.param((model,), "ws", id=f"{model}-ws") for model in MODELS]
    + [pytest.param(server, "tcp", id="".join(server), marks=pytest.mark.long) for server in LONG],
)


def working(server: tuple[str, ...], transport: str, work: str, *options: str) -> list[str]:
    """Return the command of a server whose requests cost something."""
    model, *variant = server
    return command(model, transport, "--work", work, *variant, *options)


def one_loop(server: tuple[str, ...]) -> tuple[str, ...]:
    """Return options by which all connections are in one process, where there is a choice."""
    return ("--workers", "1") if server[0] == "hybrid" else ()


@every_target
def test_requests_of_a_connection_are_answered_in_order_and_none_before_those_before_it_are_done(
    server: tuple[str, ...], transport: str
) -> None:
    with started(working(server, transport, SHORT)) as running, clients(running, transport, 1) as (client,):
        asked_s = time.monotonic()
        client.ask(*range(10))
        for number in range(10):
            client.expect(number)
            assert time.monotonic() - asked_s >= (number + 1) * WAIT_S
        client.connection.close()
        assert running.stop()["messages"] == 10


@every_target
def test_requests_of_many_connections_wait_at_the_same_time(server: tuple[str, ...], transport: str) -> None:
    with started(working(server, transport, ENDLESS)) as running, clients(running, transport, 20) as many:
        for client in many:
            client.open()
        for number, client in enumerate(many):
            client.ask(number)
        begun(*many)
        assert not any(client.has_news() for client in many), "all have been begun before one was done"


@every_target
def test_a_connection_is_not_read_while_a_request_of_it_waits(server: tuple[str, ...], transport: str) -> None:
    options = one_loop(server)
    with started(working(server, transport, ENDLESS, *options)) as running, clients(running, transport, 2) as both:
        first, second = both
        for client in both:
            client.open()
        first.ask(1)
        begun(first)
        first.ask(2)
        second.ask(1)
        begun(second)  # a loop that had read the first again would have done so by now
        found = first.queues()
        assert found is not None
        assert found.unread_bytes == len(first.dialect.sent(request(2)))


@every_target
def test_a_peer_that_never_reads_is_not_read_either_and_gets_all_its_replies_when_it_does(
    server: tuple[str, ...], transport: str
) -> None:
    size, most = 60_000, 2_000
    message, reply = header(1, size, 0) + bytes(size), header(2, size, 0) + bytes(size)
    with started(working(server, transport, "wait:1ms")) as running, clients(running, transport, 1) as (client,):
        client.open()
        data = client.dialect.sent(message)
        sent, rest = 0, memoryview(data)
        client.connection.settimeout(0.1)
        stuck = False
        while not stuck:
            assert sent < most, "a server takes no more than it can get rid of"
            try:
                rest = rest[client.connection.send(rest) :]
            except TimeoutError:
                stuck = client.is_stuck()
            if not rest:
                sent, rest = sent + 1, memoryview(data)
        client.connection.settimeout(PATIENCE_S)
        for _ in range(sent):
            client.expect_bytes(client.dialect.replied(reply))
        assert sent > 3


@every_target
def test_requests_before_a_bad_one_are_answered_before_it_is_refused(server: tuple[str, ...], transport: str) -> None:
    with started(working(server, transport, SHORT)) as running, clients(running, transport, 1) as (client,):
        asked_s = time.monotonic()
        client.say(request(1), request(2), request(3), header(9, 0, 9), request(4))
        client.expect(1, 2, 3)
        refusal = client.rest()
        assert time.monotonic() - asked_s >= 3 * WAIT_S
        assert refusal.startswith(REFUSAL[transport])
        client.connection.close()
        stopped = running.stop()
        assert (stopped["messages"], stopped["protocol_errors"], stopped["aborted"]) == (3, 1, 0)


@every_target
def test_a_peer_that_has_said_all_gets_all_its_replies(server: tuple[str, ...], transport: str) -> None:
    with started(working(server, transport, SHORT)) as running, clients(running, transport, 1) as (client,):
        client.ask(1)
        begun(client)
        client.ask(2, 3)
        client.connection.shutdown(socket.SHUT_WR)
        client.expect(1, 2, 3)
        assert client.rest() == b""
        stopped = running.stop()
        assert (stopped["messages"], stopped["truncated"], stopped["reset"]) == (3, 0, 0)


@every_target
def test_what_was_received_before_a_stop_is_worked_off(server: tuple[str, ...], transport: str) -> None:
    with started(working(server, transport, "wait:50ms")) as running, clients(running, transport, 3) as many:
        for client in many:
            client.ask(1)
        begun(*many)
        for client in many:
            client.ask(2, 3, 4)
        running.terminate()
        for client in many:
            client.expect(1, 2, 3, 4)
            assert client.rest() == client.dialect.farewell
            client.connection.close()
        stopped = running.stopped_line()
        assert (stopped["messages"], stopped["aborted"], stopped["reset"]) == (12, 0, 0)


@every_target
def test_what_is_not_done_at_the_drain_deadline_is_aborted_and_not_counted_as_answered(
    server: tuple[str, ...], transport: str
) -> None:
    command = working(server, transport, ENDLESS, "--drain-timeout", "0.3")
    with started(command) as running, clients(running, transport, 30) as many:
        for client in many:
            client.ask(1, 2)
        begun(*many)
        stopped = running.stop()  # in time: each thread that is at work must not be waited for
        assert (stopped["messages"], stopped["aborted"]) == (0, 30)


@every_target
def test_a_peer_that_resets_while_its_request_waits_costs_nobody_else_anything(
    server: tuple[str, ...], transport: str
) -> None:
    with started(working(server, transport, "wait:100ms")) as running, clients(running, transport, 2) as both:
        gone, stays = both
        for client in both:
            client.open()
        gone.ask(1, 2, 3)
        begun(gone)
        gone.reset()
        stays.ask(1, 2, 3)
        stays.expect(1, 2, 3)
        stays.connection.close()
        stopped = running.stop()
        assert stopped["reset"] == 1
        assert 3 <= stopped["messages"] <= 4, "those that were not begun are not counted"


@every_target
def test_the_cpu_that_the_work_asks_for_is_used_before_the_reply_comes(server: tuple[str, ...], transport: str) -> None:
    with started(working(server, transport, "cpu:1ms")) as running, clients(running, transport, 2) as both:
        asked_s = time.monotonic()
        for client in both:
            client.ask(*range(50))
        for client in both:
            client.expect(*range(50))
            client.connection.close()
        assert time.monotonic() - asked_s >= 50 * 0.001
        stopped = running.stop()
        assert stopped["cpu_user_s"] + stopped["cpu_system_s"] >= 100 * 0.001
        assert stopped["messages"] == 100


@every_target
def test_a_message_that_is_unfinished_is_not_timed_out_while_another_waits(
    server: tuple[str, ...], transport: str
) -> None:
    """The wait is as long as the time-out: the peer is not read meanwhile, so it can't be blamed."""
    command = working(server, transport, "wait:300ms", "--message-timeout", "0.3")
    with started(command) as running, clients(running, transport, 1) as (client,):
        client.open()
        unfinished = client.dialect.sent(request(3))
        client.connection.sendall(client.dialect.sent(request(1)) + client.dialect.sent(request(2)) + unfinished[:20])
        begun(client)
        client.connection.sendall(unfinished[20:])
        client.expect(1, 2, 3)
        client.connection.close()
        assert running.stop()["timed_out"] == 0
