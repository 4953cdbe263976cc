"""SIGTERM under closed load loses nothing: every request that was sent early enough is answered, on every model.

Under closed load a request is seldom older than a fraction of a millisecond, so a server that dropped all that it had
received would look good. So the server's process group is stopped (SIGSTOP) under load: now every connection has a
request on its way, and some connections wait in the listen queue. Then SIGTERM is sent and the group goes on: each of
those requests must be answered.

Over TCP and WebSocket a request counts from when the grace has passed. Over UDP delivery on one machine is done when
`send` returns, so all that was sent before the signal counts: several requests of each peer, first ones of new peers.

UDP is also stopped as it runs, right after a burst, and there every datagram is accounted for: those that were sent and
have no reply must be among those that the kernel dropped, because the port was closed or about to be. What a server
received and did not answer is not among them.
"""

import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.integration.dialects import DIALECTS
from tests.integration.network import alone, dropped_datagrams
from tests.integration.running import KEEP_PEERS, MODELS, ROOT, Running, command, started
from tests.integration.stream_load import Peer, StreamLoad
from tests.integration.udp_load import UdpLoad

CONNECTIONS = 64
NEWCOMERS = 16
MORE_EACH = 2  # with that, what is sent to a frozen server fits into 212,992 bytes, the usual room of a socket
GRACE_NS = 20_000_000  # over a stream a request sent this long before the signal, or earlier, must be answered
TINY = [sys.executable, str(ROOT / "tests" / "conformance" / "broken")]
DROPPING = [sys.executable, str(ROOT / "tests" / "integration" / "dropping_server.py")]


@dataclass(frozen=True)
class Outcome:
    """What became of the requests at a stop under load, counted at both ends."""

    must_be_answered: int  # sent early enough before the signal
    unanswered: int  # of those
    unaccounted: int  # sent at any time, without a reply, and not dropped by the kernel before a server had them
    replies: int
    stopped: dict[str, Any]


def stop_stream(server: Running, replies_before: int, transport: str = "tcp") -> Outcome:
    """Stop a server under load over a stream transport; each connection must end as the transport says."""
    load = StreamLoad(DIALECTS[transport])
    with contextlib.closing(load):
        for _ in range(CONNECTIONS):
            load.add(server.port)
        load.run_while(lambda: load.replies() < replies_before)
        sent_before = freeze_and_terminate(load, server)
        asked = {id(peer): peer.sequence for peer in sent_before}
        load.run_while(load.some_open)
        stopped = server.stopped_line()
        unanswered = sum(peer.outstanding and peer.sequence == asked[id(peer)] for peer in sent_before)
        assert all(peer.was_told_goodbye() for peer in load.peers)
        return Outcome(len(sent_before), unanswered, 0, load.replies(), stopped)


def freeze_and_terminate(load: StreamLoad, server: Running) -> list[Peer]:
    """Stop a server as the module's text says; return the peers whose requests must be answered."""
    os.killpg(server.pid, signal.SIGSTOP)
    frozen_until_ns = time.monotonic_ns() + GRACE_NS
    for _ in range(NEWCOMERS):
        load.add(server.port)
    load.run_while(lambda: time.monotonic_ns() <= frozen_until_ns + GRACE_NS, wait_s=GRACE_NS / 4e9)
    signalled_ns = time.monotonic_ns()
    sent_before = [peer for peer in load.peers if peer.outstanding and peer.sent_ns <= signalled_ns - GRACE_NS]
    server.terminate()
    server.thaw()
    return sent_before


def stop_udp(server: Running, replies_before: int, *, frozen: bool) -> Outcome:
    """Stop a server under load over UDP."""
    load, dropped_before = UdpLoad(server.port), dropped_datagrams()
    with contextlib.closing(load):
        for _ in range(CONNECTIONS):
            load.add()
        load.run_while(lambda: load.replies < replies_before)
        if frozen:
            server.freeze()
            load.take_all()
        for _ in range(NEWCOMERS):
            load.add()
        for peer in load.peers * MORE_EACH:
            load.ask(peer)
        sent_before = [(peer, frozenset(peer.waiting)) for peer in load.peers] if frozen else []
        server.terminate()
        server.thaw()
        load.run_while(server.runs)
        load.goes_on = False
        load.take_all()
        return Outcome(
            must_be_answered=sum(len(waiting) for _, waiting in sent_before),
            unanswered=sum(len(waiting & peer.waiting) for peer, waiting in sent_before),
            unaccounted=max(0, load.outstanding() - (dropped_datagrams() - dropped_before)),
            replies=load.replies,
            stopped=server.stopped_line(),
        )


def drain_once(model: str, transport: str, round_number: int) -> None:
    """Stop a fresh server under load; over UDP every other one without having frozen it."""
    replies_before = 500 + 531 * (round_number % 20)
    is_stream = transport in DIALECTS
    frozen = is_stream or round_number % 2 == 0
    with started(command(model, transport)) as server:
        if is_stream:
            outcome = stop_stream(server, replies_before, transport)
        else:
            outcome = stop_udp(server, replies_before, frozen=frozen)
    check_nothing_was_lost(outcome)
    check_counts(outcome.stopped, model, transport)
    if is_stream:  # a process group stops process by process: the last replies may come after the first did
        assert outcome.must_be_answered >= CONNECTIONS // 2 + NEWCOMERS
    elif frozen:
        assert outcome.must_be_answered == (CONNECTIONS + NEWCOMERS) * (1 + MORE_EACH)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(is_stream))
        again.bind(("127.0.0.1", server.port))


def drain_often(model: str, transport: str, rounds: int) -> None:
    for round_number in range(rounds):
        alone(partial(drain_once, model, transport, round_number))


def check_nothing_was_lost(outcome: Outcome) -> None:
    assert (outcome.unanswered, outcome.unaccounted) == (0, 0)
    assert outcome.stopped["messages"] == outcome.replies


def check_counts(stopped: dict[str, Any], model: str, transport: str) -> None:
    assert [stopped[name] for name in ("protocol_errors", "aborted", "undelivered")] == [0, 0, 0]
    if transport in DIALECTS:
        assert stopped["connections"] == CONNECTIONS + NEWCOMERS
    elif model in KEEP_PEERS:  # a datagram of a newcomer may be answered in the drain, when no peer is made any more
        assert CONNECTIONS <= stopped["connections"] <= CONNECTIONS + NEWCOMERS
    else:
        assert stopped["connections"] is None


@pytest.mark.parametrize("transport", ["tcp", "udp", "ws"])
@pytest.mark.parametrize("model", MODELS)
def test_no_request_is_lost_when_a_server_is_stopped_under_load(model: str, transport: str) -> None:
    drain_often(model, transport, rounds=3)


@pytest.mark.long
@pytest.mark.parametrize("transport", ["tcp", "udp", "ws"])
@pytest.mark.parametrize("model", MODELS)
def test_no_request_is_lost_in_fifty_stops_under_load(model: str, transport: str) -> None:
    drain_often(model, transport, rounds=50)


def test_a_server_that_drops_received_datagrams_at_the_signal_is_found_out() -> None:
    def drain() -> Outcome:
        with started(DROPPING) as server:
            return stop_udp(server, replies_before=500, frozen=True)

    outcome = alone(drain)
    assert outcome.must_be_answered == (CONNECTIONS + NEWCOMERS) * (1 + MORE_EACH)
    assert outcome.unanswered > outcome.must_be_answered // 2
    assert outcome.unaccounted > outcome.must_be_answered // 2
    assert outcome.stopped["messages"] == outcome.replies  # what its counts alone would not show


@pytest.mark.parametrize("fault", ["ForgetsTheListenQueue", "DropsWhatWasReceived"])
def test_a_server_that_drops_received_requests_at_the_signal_is_found_out(fault: str) -> None:
    with started([*TINY, "--fault", fault]) as server:
        outcome = stop_stream(server, replies_before=500)
    assert outcome.unanswered > 0
