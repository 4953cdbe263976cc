"""From single replies to counts: columns of raw times, folded with numpy a few times a second.

The engine must not call a statistics function for a request. It appends plain numbers to lists, one append a column and
a request, and this module works through them in bulk: 16,000 replies in two milliseconds, where one call a reply
would take twenty times as long. A fold runs when that many have come, or after half a second, so that memory stays
bounded in a window of any length.

Three columns are always there: when the reply was received, when its request was sent, on which descriptor. The due
time is a fourth one, under open load only; under closed load a request is due when it is sent. The reply's length is
one where replies differ in it; when a connection began, and how long it or its handshake took, are further ones under
churn. Everything else
(response and service time, lateness, membership of a window, replies a second and a connection) follows from them.

Replies that came after the time-out are sorted out here as well: the engine looks for overdue requests only every few
milliseconds, but the rule is exact, whenever it looked.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from harness.schema import ErrorKind
from loadgen.connection import Request
from loadgen.histogram import Distribution, Ints
from loadgen.tally import Life, WindowTally
from loadgen.wire import ClientCodec

FOLD_AT = 16_384
FOLD_EVERY_NS = 500_000_000  # each time delays whatever is due just then


class Columns:
    """The raw times of answered requests since the last fold, in the order of their replies."""

    __slots__ = (
        "connect_ns",
        "connected",
        "descriptors",
        "due",
        "handshake_ns",
        "received",
        "sent",
        "shaken",
        "sizes",
    )

    def __init__(self) -> None:
        self.received: list[int] = []
        self.sent: list[int] = []
        self.due: list[int] = []  # empty under closed load
        self.descriptors: list[int] = []
        self.sizes: list[int] = []  # bytes; empty where all replies are equal
        self.connected: list[int] = []  # when a connection began, and in the next column how long it took
        self.connect_ns: list[int] = []
        self.shaken: list[int] = []  # the same of connections whose handshake is done, and how long that took
        self.handshake_ns: list[int] = []


class Recorder:
    """Counts what the engine reports, for the life of the run and for the window at hand."""

    def __init__(self, timeout_ns: int, codec: ClientCodec | None = None) -> None:
        self._timeout_ns = timeout_ns
        self._reply_bytes = codec.reply_bytes if codec is not None else 0
        self._size_of = None if codec is None or codec.uniform else codec.reply_bytes_of
        self._fold_at_ns = 0
        self._numbers: Ints = np.full(256, -1, dtype=np.int64)  # the connection's number, by descriptor
        self.columns = Columns()
        self.life = Life()
        self.window: WindowTally | None = None
        self.ended: Counter[ErrorKind] = Counter()  # connections that failed after they were up, so far
        self.why_ended: str | None = None  # what the first of them said, where it was no message

    def introduce(self, descriptor: int, number: int) -> None:
        """Tell which connection a descriptor now belongs to."""
        self.fold()  # what was recorded so far belongs to the connection that had this descriptor before
        if descriptor >= self._numbers.size:
            self._numbers = np.pad(self._numbers, (0, descriptor), constant_values=-1)
        self._numbers[descriptor] = number

    def answered(self, request: Request, received_ns: int, descriptor: int, is_open: bool) -> None:
        """Record an answered request (the slow way: the fast path appends to the columns itself)."""
        columns = self.columns
        columns.received.append(received_ns)
        columns.sent.append(request[2])
        if is_open:
            columns.due.append(request[1])
        columns.descriptors.append(descriptor)
        if self._size_of is not None:
            columns.sizes.append(self._size_of(request[0]))

    def connect_took(self, began_ns: int, took_ns: int) -> None:
        """Record a connection that was made while the load runs; it belongs to the window in which it began."""
        self.columns.connected.append(began_ns)
        self.columns.connect_ns.append(took_ns)

    def handshake_took(self, began_ns: int, took_ns: int) -> None:
        """Record a handshake; it belongs to the window in which its connection began."""
        self.columns.shaken.append(began_ns)
        self.columns.handshake_ns.append(took_ns)

    def failed(self, kind: ErrorKind, request: Request, number: int, now_ns: int) -> None:
        """Record a request that was sent and came to nothing."""
        self.life.failed_requests += 1
        self._fail(kind, request[1], request[2], number, now_ns)

    def never_connected(self, kind: ErrorKind, request: Request, number: int, now_ns: int) -> None:
        """Record a request whose own connection was begun in time and never stood: it was not sent."""
        if self.window is not None and self.window.holds(request[2]):
            self.window.unconnected += 1
        self._fail(kind, request[1], request[2], number, now_ns)

    def never_agreed(self, kind: ErrorKind, request: Request, number: int, now_ns: int) -> None:
        """Record a request whose own connection stood, but whose handshake came to nothing: it was not sent."""
        if self.window is not None and self.window.holds(request[2]):
            self.window.unshaken += 1
        self._fail(kind, request[1], request[2], number, now_ns)

    def never_sent(self, kind: ErrorKind, due_ns: int, number: int | None, now_ns: int) -> None:
        """Record a request that was due and could not be sent before its time-out or the end of its connection."""
        self._fail(kind, due_ns, None, number, now_ns)

    def _fail(self, kind: ErrorKind, due_ns: int, sent_ns: int | None, number: int | None, now_ns: int) -> None:
        self.life.failures[kind] += 1
        if self.window is not None:
            self.window.fail(kind, due_ns, sent_ns, number)
            self.window.see_error(now_ns)

    def stray(self, kind: ErrorKind, now_ns: int) -> None:
        """Record an error that belongs to no request: a connection that ended idle, or could not be made."""
        self.life.failures[kind] += 1
        if self.window is not None and self.window.holds(now_ns):
            self.window.errors[kind] += 1
            self.window.see_error(now_ns)

    def unasked(self, now_ns: int) -> None:
        """Record a wrong message that is no request's reply: it counts as long as late and doubled replies do."""
        self.life.failures[ErrorKind.CORRUPT] += 1
        if self.window is not None and now_ns >= self.window.opens_ns:
            self.window.errors[ErrorKind.CORRUPT] += 1
            self.window.see_error(now_ns)

    def connection_ended(self, kind: ErrorKind, because: str | None) -> None:
        """Record that a connection is gone for good: it is missing in every window that opens from now on."""
        self.ended[kind] += 1
        self.why_ended = self.why_ended or because

    def explain(self, because: str) -> None:
        """Keep what was said about the first failure that had something to say."""
        self.why_ended = self.why_ended or because

    def due_to_fold(self, now_ns: int) -> bool:
        """Tell whether it is time to fold."""
        return now_ns >= self._fold_at_ns or len(self.columns.received) >= FOLD_AT

    def fold(self, now_ns: int = 0) -> None:
        """Work the columns into the counts, and start new ones."""
        self._fold_at_ns = now_ns + FOLD_EVERY_NS
        columns, self.columns = self.columns, Columns()
        if columns.connected or columns.shaken:
            self._fold_connects(columns)
        if columns.received:
            self._fold_answers(columns)
        if self.window is not None:
            self.window.fold_failures()

    def _fold_answers(self, columns: Columns) -> None:
        received, sent = _array(columns.received), _array(columns.sent)
        due = _array(columns.due) if columns.due else sent
        numbers = self._numbers[_array(columns.descriptors)]
        sizes = _array(columns.sizes) if columns.sizes else np.full(received.size, self._reply_bytes)
        overdue = received - due > self._timeout_ns
        if overdue.any():
            self._sort_out(received[overdue], sent[overdue], due[overdue], numbers[overdue])
            in_time = ~overdue
            received, sent, due, numbers = received[in_time], sent[in_time], due[in_time], numbers[in_time]
            sizes = sizes[in_time]
        response = Distribution()
        response.add(received - due)
        self.life.add(received, response)
        if self.window is not None:
            self.window.add(received, sent, due, numbers, response)
            self.window.add_bytes(received, sizes)

    def _fold_connects(self, columns: Columns) -> None:
        connect_ns, handshake_ns = _array(columns.connect_ns), _array(columns.handshake_ns)
        self.life.connect_times.connect.add(connect_ns)
        self.life.connect_times.handshake.add(handshake_ns)
        if self.window is not None:
            self.window.connect_time.add(connect_ns[self.window.hold(_array(columns.connected))])
            self.window.handshake_time.add(handshake_ns[self.window.hold(_array(columns.shaken))])

    def _sort_out(self, received: Ints, sent: Ints, due: Ints, numbers: Ints) -> None:
        rows = zip(received.tolist(), sent.tolist(), due.tolist(), numbers.tolist(), strict=True)
        for received_ns, sent_ns, due_ns, number in rows:
            self.failed(ErrorKind.TIMEOUT, (0, due_ns, sent_ns), number, received_ns)
            self.late(received_ns)

    def late(self, now_ns: int) -> None:
        """Record a reply to a request that was given up."""
        if self.window is not None and now_ns >= self.window.opens_ns:
            self.window.late += 1

    def duplicate(self, now_ns: int) -> None:
        """Record a reply that came again."""
        if self.window is not None and now_ns >= self.window.opens_ns:
            self.window.duplicates += 1

    def reordered(self, now_ns: int) -> None:
        """Record a reply that was overtaken by a younger one."""
        if self.window is not None and now_ns >= self.window.opens_ns:
            self.window.reordered += 1


def _array(column: list[int]) -> Ints:
    return np.fromiter(column, dtype=np.int64, count=len(column))
