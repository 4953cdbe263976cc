"""Datagrams, one step at a time: what is doubled, overtaken, late, wrong or refused, in the slow and the fast path."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from harness.schema import Load
from loadgen.connection import Connection
from loadgen.dial import dial, resolve
from loadgen.exchange import Exchange
from loadgen.fastpath import exchange_until
from loadgen.recorder import Recorder
from loadgen.tally import FOREVER_NS, WindowTally
from loadgen.wire import make_codec
from tests.loadgen.peers import bound_datagram_socket, response

SECOND_NS = 1_000_000_000
PAYLOAD = b"the payload"
LONGEST = 65_507


class Ends:
    """An exchange with one connection whose peer is a socket of the test; everything counts for one window."""

    def __init__(self, *, fast: bool, payload: bytes = PAYLOAD) -> None:
        self.peer = bound_datagram_socket()
        port = self.peer.getsockname()[1]
        fd, _ = dial(resolve("127.0.0.1", port, socket.SOCK_DGRAM), socket.SOCK_DGRAM)
        self.epoll = select.epoll()
        self.recorder = Recorder(SECOND_NS)
        self.window = self.recorder.window = WindowTally(Load("closed"), 0, FOREVER_NS, lossy=True)
        self.exchange = Exchange(make_codec("udp", payload), self.recorder, SECOND_NS, self.epoll)
        self.connection: Connection = self.exchange.introduce(fd)
        self.exchange.adopt(self.connection)
        self._fast = fast

    def pump(self) -> None:
        """Deal with everything that epoll reports; what was sent on the loopback is there at once."""
        if self._fast:
            soon = time.monotonic_ns() + SECOND_NS
            exchange_until(self.exchange, soon, lambda _, until_ns: until_ns, lambda *_: None, FOREVER_NS)
            return
        while events := self.epoll.poll(0):
            for fd, _ in events:
                self.exchange.receive(fd)

    def next_request(self) -> bytes:
        """Return the next request that arrived at the peer."""
        data, self.address = self.peer.recvfrom(LONGEST, socket.MSG_DONTWAIT)
        return data

    def send(self, *datagrams: bytes) -> None:
        """Send datagrams to the exchange and let it see them."""
        for datagram in datagrams:
            self.peer.sendto(datagram, self.address)
        self.pump()

    def nothing_arrived(self) -> bool:
        """Tell whether the peer has nothing to read."""
        return not select.select([self.peer], [], [], 0)[0]

    def counts(self) -> dict[str, int]:
        """Return the counts of the window that are not 0."""
        self.recorder.fold()
        window = self.window
        found = {kind.value: count for kind, count in window.errors.items()}
        for name in ("answered", "unanswered", "lost", "duplicates", "reordered", "late"):
            found[name] = getattr(window, name)
        return {name: count for name, count in found.items() if count}


@pytest.fixture(params=["slow", "fast"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Return both ends, driven by the slow and by the fast path, with one request outstanding; close them."""
    made = Ends(fast=request.param == "fast")
    made.exchange.start_closed(1)
    yield made
    made.exchange.close()
    made.peer.close()


def right(request: bytes) -> bytes:
    """Return the right reply."""
    return response(request[:16], request[16:])


def test_every_reply_brings_the_next_request(ends: Ends) -> None:
    first = ends.next_request()
    assert first[16:] == PAYLOAD
    ends.send(right(first))
    second = ends.next_request()
    assert second[8:16] != first[8:16]
    assert ends.nothing_arrived()
    assert ends.counts() == {"answered": 1}


def test_a_reply_that_comes_twice_is_counted_and_is_no_answer_to_the_next_request(ends: Ends) -> None:
    request = ends.next_request()
    ends.send(right(request), right(request))
    following = ends.next_request()
    assert ends.nothing_arrived()
    ends.send(right(following))
    assert ends.counts() == {"answered": 2, "duplicates": 1}


def test_a_reply_after_the_time_out_is_late_and_its_request_lost(ends: Ends) -> None:
    request = ends.next_request()
    ends.exchange.sweep(time.monotonic_ns() + 2 * SECOND_NS)
    following = ends.next_request()
    ends.send(right(request))
    assert ends.counts() == {"unanswered": 1, "lost": 1, "late": 1}
    ends.send(right(request), right(following))
    assert ends.counts() == {"unanswered": 1, "lost": 1, "late": 1, "duplicates": 1, "answered": 1}


def test_a_garbled_payload_is_corrupt_and_its_request_is_not_answered(ends: Ends) -> None:
    reply = right(ends.next_request())
    ends.send(reply[:-1] + bytes([reply[-1] ^ 1]))
    assert ends.counts() == {"corrupt": 1, "unanswered": 1}
    ends.send(right(ends.next_request()))
    assert ends.counts() == {"corrupt": 1, "unanswered": 1, "answered": 1}


@pytest.mark.parametrize("change", ["longer", "shorter"])
def test_a_datagram_that_is_not_all_of_the_reply_or_more_than_it_is_corrupt(ends: Ends, change: str) -> None:
    reply = right(ends.next_request())
    ends.send(reply + b"+" if change == "longer" else reply[:-1])
    assert ends.counts() == {"corrupt": 1, "unanswered": 1}


def test_a_datagram_that_was_much_too_long_leaves_nothing_behind(ends: Ends) -> None:
    ends.send(right(ends.next_request()) + bytes(60_000))
    ends.send(right(ends.next_request()))
    assert ends.counts() == {"corrupt": 1, "unanswered": 1, "answered": 1}


@pytest.mark.parametrize(
    "datagram",
    [b"", b"\xeb\x01", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xeb\x01\x01\x02\0\0\0\x0b" + bytes(8) + PAYLOAD],
    ids=["empty", "cut", "garbage", "a sequence of nobody"],
)
def test_what_belongs_to_nobody_is_corrupt_and_the_request_goes_on_waiting(ends: Ends, datagram: bytes) -> None:
    request = ends.next_request()
    ends.send(datagram)
    assert ends.nothing_arrived()
    ends.send(right(request))
    assert ends.counts() == {"corrupt": 1, "answered": 1}
    assert ends.connection.alive


def test_an_error_message_ends_its_request_and_not_the_connection(ends: Ends) -> None:
    request = ends.next_request()
    ends.send(b"\xeb\x01\x01\x03\0\0\0\x03" + request[8:16] + b"bad")
    assert ends.counts() == {"corrupt": 1, "unanswered": 1}
    assert ends.connection.alive


def test_a_port_that_nobody_has_any_more_ends_the_connection_as_refused(ends: Ends) -> None:
    request = ends.next_request()
    ends.peer.sendto(right(request), ends.address)
    ends.peer.close()
    ends.pump()  # the reply is answered by a request that nobody receives
    assert ends.counts() == {"refused": 1, "answered": 1, "unanswered": 1}
    assert not ends.connection.alive
    assert ends.exchange.live == []


@pytest.fixture
def slow() -> Iterator[Ends]:
    """Return both ends without a load."""
    made = Ends(fast=False)
    yield made
    made.exchange.close()
    made.peer.close()


def test_a_reply_that_overtook_another_is_an_answer_and_so_is_the_overtaken_one(slow: Ends) -> None:
    slow.exchange.start_closed(3)
    first, second, third = (slow.next_request() for _ in range(3))
    slow.send(right(second), right(first), right(third))
    assert slow.counts() == {"answered": 3, "reordered": 1}


def test_an_overtaken_reply_that_is_garbled_is_reordered_and_corrupt(slow: Ends) -> None:
    slow.exchange.start_closed(2)
    first, second = (slow.next_request() for _ in range(2))
    slow.send(right(second), right(first)[:-1] + b"?")
    assert slow.counts() == {"answered": 1, "reordered": 1, "corrupt": 1, "unanswered": 1}


def test_a_refusal_that_a_write_met_fails_what_waits_and_what_was_not_sent(slow: Ends) -> None:
    slow.peer.close()
    slow.exchange.send(slow.connection)
    slow.exchange.send(slow.connection)  # is told of the refusal of the first, and takes nothing
    assert len(slow.connection.backlog) == 1
    slow.pump()
    assert not slow.connection.alive
    assert slow.counts() == {"refused": 2, "unanswered": 2}


def test_the_longest_payload_goes_there_and_back() -> None:
    made = Ends(fast=False, payload=bytes(LONGEST - 16))
    made.exchange.start_closed(1)
    request = made.next_request()
    assert len(request) == LONGEST
    made.send(right(request))
    assert made.counts() == {"answered": 1}
    made.exchange.close()
    made.peer.close()
