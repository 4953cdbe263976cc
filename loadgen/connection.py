"""One connection's requests on their way, and which of them a reply belongs to. No I/O, no clock, no statistics.

Requests wait in the order in which they were sent. The reply that is due next belongs to the oldest, and that is nearly
always the one that comes. Everything else is named here, once for all transports:

* a reply to a request that was given up after its time-out: *late*; the connection goes on;
* the reply to a request that is done with, again: *duplicate*;
* a reply that overtook an older request: it counts as answered, the older one goes on waiting (its reply may have been
  lost). When the older one's reply comes after all, it is *reordered*: on an ordered transport that is wrong;
* a sequence that nobody waits for: on an ordered transport the garbled reply to the oldest request, which ends as
  corrupt (its real reply will not come); otherwise a *stray*.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from loadgen.wire import COUNTER_BITS, COUNTER_MASK, ClientWire, Reply, was_issued

# Given-up requests whose replies are still expected are remembered up to this number, the newest ones.
MAX_GIVEN_UP = 4096

Request = tuple[int, int, int]  # sequence, due, sent (ns); a plain tuple: one is made for every request


class Verdict(Enum):
    """What a reply is."""

    ANSWERED = auto()
    CORRUPT = auto()
    REORDERED = auto()
    LATE = auto()
    DUPLICATE = auto()
    STRAY = auto()


class Lanes:
    """The fast state of all connections: plain lists by descriptor, because nothing in Python is found faster.

    `expected` is None for a connection that is not in the fast state, and for descriptors that are no connection.
    """

    def __init__(self) -> None:
        self.expected: list[bytes | None] = []
        self.sent_ns: list[int] = []
        self.request_head: list[bytes] = []
        self.reply_head: list[bytes] = []
        self.mask_key: list[bytes] = []

    def make_room(self, fd: int) -> None:
        """Let the lists reach to a descriptor that epoll may report."""
        while len(self.expected) <= fd:
            self.expected.append(None)
            self.sent_ns.append(0)
            self.request_head.append(b"")
            self.reply_head.append(b"")
            self.mask_key.append(b"")

    def assign(self, fd: int, wire: ClientWire) -> None:
        """Give a new connection its lane."""
        self.make_room(fd)
        self.expected[fd] = None
        self.request_head[fd], self.reply_head[fd] = wire.request_head, wire.reply_head
        self.mask_key[fd] = wire.mask_key

    def waits(self, fd: int, since_ns: int) -> bool:
        """Tell whether a connection in the fast state waits for the reply to a request sent before a time."""
        return self.expected[fd] is not None and self.sent_ns[fd] < since_ns

    def take_over(self, connection: Connection) -> None:
        """Move a connection's state from its lane into its object."""
        fd = connection.fd
        expected, self.expected[fd] = self.expected[fd], None
        if expected is not None:
            sent_ns = self.sent_ns[fd]
            connection.waiting.append((connection.wire.sequence_of(expected), sent_ns, sent_ns))


class Connection:
    """The state of one connection. `waiting` holds what was sent, `backlog` the due times of what could not be."""

    __slots__ = (
        "_given_up",
        "_newest_ns",
        "_overtaken",
        "alive",
        "backlog",
        "early",
        "fd",
        "is_idle",
        "number",
        "retired",
        "unsent",
        "waiting",
        "was_reset",
        "watches_writing",
        "wire",
    )

    def __init__(self, fd: int, number: int, wire: ClientWire, *, early: bytes = b"", is_idle: bool = False) -> None:
        self.fd = fd
        self.early = early  # what was received when the connection was made
        self.is_idle = is_idle  # it is held, and carries nothing but one request when it comes
        self.number = number
        self.wire = wire
        self.alive = True
        self.retired = False
        self.was_reset = False  # a write said so: reading will only tell of an end
        self.watches_writing = False
        self.waiting: deque[Request] = deque()
        self.backlog: deque[int] = deque()
        self.unsent = memoryview(b"")  # the rest of a request that the socket took in part
        self._newest_ns = 0  # when the newest answered request was sent
        self._overtaken: dict[int, Request] = {}  # in order; all older than those that wait
        self._given_up: dict[int, None] = {}  # in order

    def give_up(self) -> Request:
        """Take the oldest waiting request away; its reply, should it come, will be late."""
        oldest = next(iter(self._overtaken), None)
        request = self.waiting.popleft() if oldest is None else self._overtaken.pop(oldest)
        self._given_up[request[0]] = None
        if len(self._given_up) > MAX_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]
        return request

    def take(self, reply: Reply, ordered: bool, newest_counter: int) -> tuple[Verdict, Request | None]:
        """Find what a reply is and take its request, if it has one, from those that wait.

        `newest_counter` is the last one that any request was sent with.
        """
        sequence, intact = reply
        request = self._find(sequence)
        if request is not None:
            reordered = request[2] < self._newest_ns
            self._newest_ns = max(self._newest_ns, request[2])
            if reordered:
                return Verdict.REORDERED, request
            return (Verdict.ANSWERED if intact else Verdict.CORRUPT), request
        if sequence in self._given_up:
            del self._given_up[sequence]
            return Verdict.LATE, None
        if sequence >> COUNTER_BITS == self.number and was_issued(sequence & COUNTER_MASK, newest_counter):
            return Verdict.DUPLICATE, None
        if ordered and self.outstanding:
            return Verdict.CORRUPT, self.give_up()
        return Verdict.STRAY, None

    def take_expected(self, data: bytes, tail: Callable[[int], bytes]) -> Request | None:
        """Take the oldest request if the bytes received are its reply and nothing else, and nothing else is going on.

        One comparison instead of a parser: nearly every reply of an open load is such a one. `tail` is the codec's.
        """
        if not self.waiting or self._overtaken or self.watches_writing or self.retired or self.wire.partial:
            return None
        request = self.waiting[0]
        if data != self.wire.reply_head + tail(request[0] & COUNTER_MASK):
            return None
        self._newest_ns = request[2]
        return self.waiting.popleft()

    @property
    def outstanding(self) -> int:
        """How many requests were sent and are neither answered nor given up."""
        return len(self._overtaken) + len(self.waiting)

    def waits_since(self, before_ns: int) -> bool:
        """Tell whether a request that was due before a time is outstanding."""
        oldest = next(iter(self._overtaken.values()), None) or (self.waiting[0] if self.waiting else None)
        return oldest is not None and oldest[1] < before_ns

    def _find(self, sequence: int) -> Request | None:
        """Take a request from those that are outstanding.

        What a reply overtakes is moved aside: a request that is never answered is passed over once, not once for every
        reply that comes until it is given up.
        """
        waiting = self.waiting
        if waiting and waiting[0][0] == sequence:
            return waiting.popleft()
        if sequence in self._overtaken:
            return self._overtaken.pop(sequence)
        if not any(request[0] == sequence for request in waiting):
            return None
        while (request := waiting.popleft())[0] != sequence:
            self._overtaken[request[0]] = request
        return request
