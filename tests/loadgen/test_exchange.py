"""The slow paths, one step at a time, on a socket pair whose other end the test holds."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import gevent
import pytest

from harness.schema import ErrorKind
from loadgen.connection import Connection
from loadgen.dial import dial, resolve
from loadgen.exchange import Exchange
from loadgen.recorder import Recorder
from loadgen.wire import make_codec
from tests.loadgen.peers import requests, response, serving
from tests.loadgen.runs import Bulletin, rigged

SECOND_NS = 1_000_000_000
PAYLOAD = b"the payload"


class Pair:
    """An exchange with one connection, and the other end of it."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.fd = ours.detach()
        self.epoll = select.epoll()
        self.recorder = Recorder(SECOND_NS)
        self.exchange = Exchange(make_codec("tcp", PAYLOAD), self.recorder, SECOND_NS, self.epoll)
        self.connection: Connection = self.exchange.introduce(self.fd)
        self.exchange.adopt(self.connection)

    def pump(self) -> None:
        """Deal with everything that epoll reports."""
        while events := self.epoll.poll(0):
            for fd, _ in events:
                self.exchange.receive(fd)

    def next_request(self) -> bytes:
        """Return the next request that arrived at the peer."""
        return self.peer.recv(16 + len(PAYLOAD), socket.MSG_WAITALL)

    def answer(self, request: bytes) -> None:
        """Answer a request rightly and let the exchange see it."""
        self.peer.sendall(response(request[:16], request[16:]))
        self.pump()

    def nothing_arrived(self) -> bool:
        """Tell whether the peer has nothing to read."""
        return not select.select([self.peer], [], [], 0)[0]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return a pair and close it."""
    made = Pair()
    yield made
    made.exchange.close()
    made.peer.close()


def test_a_closed_load_sends_the_next_request_with_every_reply(pair: Pair) -> None:
    pair.exchange.start_closed(1)
    first = pair.next_request()
    assert pair.nothing_arrived()
    pair.answer(first)
    second = pair.next_request()
    assert second[16:] == PAYLOAD
    assert second[8:16] != first[8:16]
    pair.recorder.fold()
    assert pair.recorder.life.answered.count == 1


def test_a_pipeline_is_kept_full(pair: Pair) -> None:
    pair.exchange.start_closed(3)
    sent = [pair.next_request() for _ in range(3)]
    assert pair.nothing_arrived()
    for request in sent[:2]:
        pair.answer(request)
    assert len({pair.next_request() for _ in range(2)}) == 2
    assert pair.nothing_arrived()


def test_the_rest_of_a_request_that_was_taken_in_part_follows(pair: Pair) -> None:
    pair.exchange.start_closed(1)
    request = pair.next_request()
    pair.exchange.written_in_part(pair.fd, request, 10)  # as if the socket had taken ten bytes only
    pair.pump()
    assert pair.peer.recv(100) == request[10:]
    pair.answer(request)
    assert pair.next_request() != request


def test_a_request_that_was_not_taken_at_all_is_sent_later_and_counts_from_then(pair: Pair) -> None:
    pair.exchange.start_closed(1)
    request = pair.next_request()
    began_ns = pair.exchange.lanes.sent_ns[pair.fd]
    pair.exchange.written_in_part(pair.fd, request, 0)
    assert list(pair.connection.backlog) == [began_ns]
    pair.pump()
    again = pair.next_request()
    assert again[8:16] != request[8:16]
    assert not pair.connection.backlog
    assert pair.exchange.lanes.sent_ns[pair.fd] > began_ns
    pair.answer(again)
    assert pair.next_request() != again


def test_under_open_load_the_clock_of_a_waiting_request_runs_from_its_due_time(pair: Pair) -> None:
    pair.exchange.is_open = True
    pair.exchange.send(pair.connection, 1_000)
    pair.answer(pair.next_request())
    columns = pair.recorder.columns
    assert columns.due == [1_000]
    assert columns.received[0] > columns.sent[0] > 1_000


def test_a_full_socket_makes_requests_wait_and_none_is_lost(pair: Pair) -> None:
    for _ in range(100_000):
        pair.exchange.send(pair.connection)
        if len(pair.connection.backlog) == 10:
            break
    in_flight = len(pair.connection.waiting)
    assert in_flight > 10
    for _ in range(in_flight + 10):
        pair.pump()
        assert len(pair.next_request()) == 16 + len(PAYLOAD)
    pair.pump()
    assert not pair.connection.backlog
    assert len(pair.connection.waiting) == in_flight + 10


def test_what_is_overdue_is_given_up_or_dropped_and_the_load_goes_on(pair: Pair) -> None:
    pair.exchange.start_closed(1)
    request = pair.next_request()
    pair.exchange.sweep(time.monotonic_ns())
    assert pair.nothing_arrived()
    pair.exchange.sweep(time.monotonic_ns() + 2 * SECOND_NS)
    assert pair.next_request() != request
    assert pair.recorder.life.failures == {ErrorKind.TIMEOUT: 1}
    assert pair.recorder.life.requests_total == 1


def test_a_retired_connection_waits_for_its_reply_and_is_closed_then(pair: Pair) -> None:
    pair.exchange.start_closed(1)
    request = pair.next_request()
    pair.exchange.retire(pair.connection)
    assert pair.connection.alive
    pair.answer(request)
    assert not pair.connection.alive
    assert pair.peer.recv(1) == b""
    assert pair.recorder.life.failures == {}


def test_a_connection_that_ends_idle_is_counted_once(pair: Pair) -> None:
    pair.peer.close()
    pair.pump()
    assert pair.recorder.life.failures == {ErrorKind.CLOSED: 1}
    assert pair.recorder.life.requests_total == 0
    assert pair.exchange.live == []


def test_a_message_that_nobody_waits_for_is_corrupt(pair: Pair) -> None:
    pair.peer.sendall(b"\xeb\x01\x01\x02\0\0\0\0" + bytes(8))
    pair.pump()
    assert pair.recorder.life.failures == {ErrorKind.CORRUPT: 1}
    assert pair.connection.alive


def test_users_may_come_and_go_while_a_window_is_open() -> None:
    ended, served = [], set()

    def watching(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer):
            served.add(number)
            peer.sendall(response(header, payload))
        ended.append(number)

    bulletin = Bulletin()
    with serving(watching) as server, rigged(server.url, 2, bulletin, window=0.4) as rig:
        leaver = rig.engine.arrivals[0]

        def come_and_go() -> None:
            while not bulletin.is_open():
                gevent.sleep(0.005)
            rig.engine.departures.append(leaver)
            fd, _ = dial(resolve("127.0.0.1", server.port, socket.SOCK_STREAM), socket.SOCK_STREAM)
            rig.engine.arrivals.append(rig.engine.exchange.introduce(fd))

        gevent.spawn(come_and_go)
        measured = rig.conductor.run()
        assert ended == [0]
    assert served == {0, 1, 2}
    assert measured[0].tally.errors == {}
    assert measured[0].connections == {1, 2}
