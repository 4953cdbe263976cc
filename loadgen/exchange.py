"""Requests out, replies in, over non-blocking sockets: everything that is not the fast path (`loadgen.fastpath`).

While a connection is in the *fast state* (closed load, one request outstanding, nothing half received or half sent)
its whole state stands in the lane of its descriptor: the bytes that its reply must be, and when its request was sent.
Anything unusual takes it over into its `Connection` object (`Lanes.take_over`), is dealt with here, and the next
request puts it back into the fast state.

A socket that takes no more bytes never stops the engine: the request waits in the connection's backlog, its clock runs
from its due time, and epoll tells when the socket is writable again (`loadgen.outlet`). Errors of a write are left to
the reading side, which first delivers what the peer still answered, then the error. A sweep gives up the requests that
are overdue. How a connection takes its leave stands in `loadgen.parting`.
"""

from __future__ import annotations

import logging
import os
import select
from time import monotonic_ns as clock

from harness.schema import ErrorKind
from loadgen.connection import Connection, Lanes
from loadgen.outlet import note_failure, watch_writing, write_rest
from loadgen.parting import Partings, hang_up
from loadgen.recorder import Recorder
from loadgen.settle import give_up_overdue, settle
from loadgen.wire import ClientCodec, next_counter

# A greater reply seldom arrives in one piece, and keeping it at hand for every connection would take memory.
FAST_REPLY_BYTES = 1 << 13
READ_BYTES = 1 << 16
# A sweep over 10,000 connections would delay whatever is due by milliseconds: they get their turn in parts.
SWEEP_EVERY_NS = 50_000_000
SWEEP_PART = 256

# A refused read is what a datagram socket says when nobody has the server's port (any more).
_READ_ERRORS = {TimeoutError: ErrorKind.TIMEOUT, ConnectionRefusedError: ErrorKind.REFUSED}

logger = logging.getLogger(__name__)


class Exchange:
    """All connections of a process, and the rule by which they get their requests."""

    def __init__(self, codec: ClientCodec, recorder: Recorder, timeout_ns: int, epoll: select.epoll) -> None:
        self.codec = codec
        self.recorder = recorder
        self.timeout_ns = timeout_ns
        self.epoll = epoll
        self.live: list[Connection] = []
        self.numbers: set[int] = set()  # of all connections that were not taken back by their user
        self.refill = 0  # requests that every connection keeps outstanding: the pipeline of a closed load, else 0
        self.fast = False
        self.is_open = False
        self._connections: dict[int, Connection] = {}
        self._partings = Partings(epoll)
        self._to_sweep: list[Connection] = []
        self._next_number = self._counter = self._sweep_at_ns = 0
        # A datagram that is longer than the read is cut.
        self._read_bytes = min(READ_BYTES, max(4096, 4 * codec.reply_bytes)) if codec.ordered else READ_BYTES
        self.lanes = Lanes()

    # Connections come and go.

    def introduce(self, fd: int, *, early: bytes = b"", is_idle: bool = False) -> Connection:
        """Return the connection that a connected, non-blocking socket will be; `early` was received on it already."""
        wire = self.codec.connection(self._next_number)
        connection = Connection(fd, self._next_number, wire, early=early, is_idle=is_idle)
        self._next_number += 1
        return connection

    def adopt(self, connection: Connection) -> None:
        """Take a connection in; under closed load its first requests go out at once.

        An idle one sends a single request, which shows that it is served and makes a peer of it over UDP.
        """
        fd = connection.fd
        self.lanes.assign(fd, connection.wire)
        self.recorder.introduce(fd, connection.number)
        self._connections[fd] = connection
        self.epoll.register(fd, select.EPOLLIN)
        if connection.is_idle:
            self.send(connection)
        else:
            self.numbers.add(connection.number)
            self.live.append(connection)
            self._refill(connection)
        if connection.early:
            self.handle(fd, connection.early)

    def retire(self, connection: Connection) -> None:
        """Send nothing more on a connection, and close it once nothing waits on it."""
        self.numbers.discard(connection.number)
        if connection.alive and not connection.retired:
            connection.retired = True
            self._send_no_more_on(connection)
            self.lanes.take_over(connection)
            connection.backlog.clear()
            self._close_when_done(connection)

    def _close_when_done(self, connection: Connection) -> None:
        if connection.retired and connection.alive and not connection.outstanding:
            self._partings.part(connection.fd, self._take_leave(connection))

    def _take_leave(self, connection: Connection) -> bytes:
        """Forget a connection, and return what is left to say before its descriptor is closed."""
        connection.alive = False
        del self._connections[connection.fd]
        return b"" if connection.unsent else connection.wire.farewell()

    def close(self) -> None:
        """Close everything."""
        for connection in list(self._connections.values()):
            self._partings.part(connection.fd, self._take_leave(connection))
        self.live.clear()
        self._partings.close()
        self.epoll.close()

    def _end(self, connection: Connection, kind: ErrorKind) -> None:
        """Close a connection that failed; what waits on it has failed with it."""
        now = clock()
        self.recorder.connection_ended(kind, connection.wire.broken)
        if not connection.retired:
            self._send_no_more_on(connection)
        if not connection.outstanding and not connection.backlog and not connection.retired:
            self.recorder.stray(kind, now)
        while connection.outstanding:
            self.recorder.failed(kind, connection.give_up(), connection.number, now)
        for due_ns in connection.backlog:
            self.recorder.never_sent(kind, due_ns, connection.number, now)
        hang_up(connection.fd, self._take_leave(connection))

    def _send_no_more_on(self, connection: Connection) -> None:
        if not connection.is_idle:
            self.live.remove(connection)

    # Sending.

    def next_counter(self) -> int:
        """Return the counter of the next request, or batch of requests on different connections."""
        self._counter = next_counter(self._counter)
        return self._counter

    def start_closed(self, pipeline: int) -> None:
        """Keep `pipeline` requests outstanding on every connection from now on."""
        self.refill = pipeline
        self.fast = pipeline == 1 and self.codec.uniform and self.codec.reply_bytes <= FAST_REPLY_BYTES
        for connection in list(self.live):
            self._refill(connection)

    def stop_sending(self) -> None:
        """Send nothing more by itself; backlogs are dropped, what was sent goes on waiting for its reply."""
        self.refill, self.fast = 0, False
        for connection in self.live:
            self.lanes.take_over(connection)
            connection.backlog.clear()

    def send(self, connection: Connection, due_ns: int | None = None) -> None:
        """Send the next request of a connection, or put it into the backlog; due now unless told otherwise."""
        due_ns = clock() if due_ns is None else due_ns
        if connection.backlog or connection.unsent or not self._write(connection, due_ns):
            connection.backlog.append(due_ns)
            watch_writing(connection, self.epoll)

    def _write(self, connection: Connection, due_ns: int) -> bool:
        """Write a new request, or its beginning; returns False when the socket takes nothing."""
        counter, fd, now = self.next_counter(), connection.fd, clock()
        sequence, request = connection.wire.request(counter)
        try:
            written = os.write(fd, request)
        except OSError as error:
            written = self.write_failed(fd, error)
        if not written:
            return False
        alone = not (connection.outstanding or connection.backlog or connection.wire.partial)
        if self.fast and alone and written == len(request) and not connection.is_idle:
            self.lanes.expected[fd] = self.lanes.reply_head[fd] + self.codec.tail(counter)
            self.lanes.sent_ns[fd] = now
        else:
            connection.waiting.append((sequence, due_ns if self.is_open else now, now))  # closed: due when sent
            if written != len(request):
                connection.unsent = memoryview(request)[written:]
                watch_writing(connection, self.epoll)
        return True

    def _refill(self, connection: Connection) -> None:
        if connection.alive and not connection.retired and not connection.is_idle:
            outstanding = connection.outstanding + len(connection.backlog)
            for _ in range(self.refill - outstanding):
                self.send(connection)

    def _flush(self, connection: Connection) -> None:
        """Send what the socket did not take before, as far as it takes it now."""
        write_rest(connection)
        while connection.backlog and not connection.unsent:
            due_ns = connection.backlog.popleft()
            if not self._write(connection, due_ns):
                connection.backlog.appendleft(due_ns)
                break
        watch_writing(connection, self.epoll)

    # Receiving.

    def receive(self, fd: int) -> None:
        """Deal with a descriptor that epoll reported."""
        try:
            data = os.read(fd, self._read_bytes)
        except OSError as error:
            self.read_failed(fd, error)
            return
        connection, now = self._connections.get(fd), clock()
        if connection is not None and self.codec.uniform:
            request = connection.take_expected(data, self.codec.tail)
            if request is not None:
                self.recorder.answered(request, now, fd, self.is_open)
                if self.refill:
                    self._refill(connection)
                return
        self.handle(fd, data)

    def read_failed(self, fd: int, error: OSError) -> None:
        """Deal with a read that raised: nothing there (the socket is writable again), or the connection broke."""
        connection, is_empty = self._connections.get(fd), isinstance(error, BlockingIOError)
        if connection is None:
            if not is_empty:
                self._partings.heard(fd)
            return
        self.lanes.take_over(connection)
        if is_empty:
            self._flush(connection)
        else:
            self._end(connection, _READ_ERRORS.get(type(error), ErrorKind.RESET))

    def handle(self, fd: int, data: bytes) -> None:
        """Deal with received bytes that are not exactly the one reply expected; a foreign descriptor is ignored."""
        connection = self._connections.get(fd)
        if connection is None:  # one that has taken its leave, or the engine's alarm: there is nothing more to do
            self._partings.heard(fd)
            return
        self.lanes.take_over(connection)
        now = clock()
        if not data and self.codec.ordered:
            self._end(connection, ErrorKind.RESET if connection.was_reset else ErrorKind.CLOSED)
            return
        ordered, is_open, counter = self.codec.ordered, self.is_open, self._counter
        wire = connection.wire
        for reply in wire.replies(data):
            settle(connection, reply, self.recorder, now, ordered=ordered, is_open=is_open, counter=counter)
        if wire.broken is not None or wire.closed:
            logger.info("connection %d: %s", connection.number, wire.broken or "closed by the server")
            self._end(connection, ErrorKind.CLOSED if wire.broken is None else ErrorKind.PROTOCOL)
            return
        if connection.watches_writing or wire.owed:
            self._flush(connection)
        self._refill(connection)
        self._close_when_done(connection)

    def write_failed(self, fd: int, error: OSError) -> int:
        """Return the bytes that a write took which raised: none. The socket is full, or broken: then reading tells."""
        note_failure(self._connections[fd], error)
        return 0

    def written_in_part(self, fd: int, request: bytes, written: int) -> None:
        """Deal with a request of the fast path, noted as sent, that the socket did not take, or not whole."""
        connection = self._connections[fd]
        self.lanes.take_over(connection)
        if written:
            connection.unsent = memoryview(request)[written:]
        else:
            connection.backlog.append(connection.waiting.pop()[1])
        watch_writing(connection, self.epoll)

    # Time.

    def sweep(self, now: int) -> None:
        """Give up what is older than the time-out, on the next part of the connections; call it again and again."""
        if not self._to_sweep and now >= self._sweep_at_ns:
            self._to_sweep, self._sweep_at_ns = list(self._connections.values()), now + SWEEP_EVERY_NS
        part = [connection for connection in self._to_sweep[-SWEEP_PART:] if connection.alive]
        limit = now - self.timeout_ns
        del self._to_sweep[-SWEEP_PART:]
        self._partings.sweep(now)
        for connection in part:
            if self.lanes.waits(connection.fd, limit):
                self.lanes.take_over(connection)
            give_up_overdue(connection, limit, self.recorder, now)
            if self.lanes.expected[connection.fd] is None:
                self._refill(connection)
                self._close_when_done(connection)

    def settled(self, before_ns: int) -> bool:
        """Tell whether every request that was due before a time is answered or has failed."""
        return not any(
            self.lanes.waits(connection.fd, before_ns)
            or connection.waits_since(before_ns)
            or (connection.backlog and connection.backlog[0] < before_ns)
            for connection in self._connections.values()
        )
