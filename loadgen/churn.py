"""Churn: every request on a connection of its own. Connect, one echo, close, and again.

What is measured. A request is the whole of it: it is due when the schedule says (closed load: when its `connect`
begins), its service time runs from the beginning of `connect` to the reply. The time of the connect alone is a
distribution of its own, and the subject of this mode; that of the handshake, where there is one, is another.

Who takes turns. A user is a *slot* here. Under closed load each slot has one connection at a time, and the next begins
when the reply has come; under open load requests are dealt to slots, and one slot may have several connections.

How a connection lives. `connect` on a non-blocking socket returns before the connection stands, but on the loopback it
stands a moment later: so the request is written at once, and only if that fails does epoll tell when it can be. Where
the protocol wants a handshake, that is what is written first, and the request when its answer is there. The client
closes when the reply is there, first, as clients of short connections do; a close that has words of its own
(`loadgen.parting`) is not waited for.

Ports. Whoever closes first keeps the port for a minute (TIME_WAIT): one address has some 28,000 ports, which a fast
server uses up within seconds. Towards a loopback server, connections therefore come from many addresses of 127.0.0.0/8
in turn. Towards other hosts that is no way; when no port is left, that is what the error says.
"""

from __future__ import annotations

import errno
import logging
import os
import select
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic_ns as clock

from harness.schema import ErrorKind
from loadgen.connection import Lanes
from loadgen.dial import CLOSED_EARLY, CONNECT_ERRORS, Address, Sources, begin_to_connect
from loadgen.parting import Partings, hang_up
from loadgen.recorder import Recorder
from loadgen.wire import ClientCodec, ClientWire, Handshake, HandshakeError, Reply, next_counter

READ_BYTES = 1 << 16
REST_NS = 20_000_000  # what a slot waits whose connection failed at once: a closed port must not be hammered
SWEEP_EVERY_NS = 20_000_000
logger = logging.getLogger(__name__)

_NOT_YET = frozenset({errno.EAGAIN, errno.ENOTCONN})


@dataclass(eq=False)
class Slot:
    """What a user of churn stands for: one connection after the other."""

    number: int
    retired: bool = False


@dataclass(eq=False)
class _Call:
    """One connection and its request."""

    slot: Slot
    fd: int
    due_ns: int
    began_ns: int
    sequence: int
    wire: ClientWire
    request: bytes
    handshake: Handshake | None  # until it is done
    unsent: memoryview
    connected: bool = False
    connected_ns: int = 0
    write_error: ErrorKind | None = None  # what a write said: reading will only tell of an end


class Churn:
    """All connections of a process that carries churn; what `loadgen.exchange.Exchange` is for lasting connections."""

    fast = False

    def __init__(
        self, codec: ClientCodec, recorder: Recorder, timeout_ns: int, epoll: select.epoll, address: Address
    ) -> None:
        self.codec = codec
        self.recorder = recorder
        self.timeout_ns = timeout_ns
        self.epoll = epoll
        self.lanes = Lanes()  # the engine makes room in them; nothing here is fast enough to need them
        self.live: list[Slot] = []
        self.numbers: set[int] = set()
        self.is_open = False
        self._keeps_going = False
        self._is_exhausted = False  # there was no port left once, and that has been said
        self._address = address
        self._sources = Sources(address)
        self._calls: dict[int, _Call] = {}
        self._resting: deque[tuple[int, Slot]] = deque()  # slots whose connection failed, and until when they wait
        self._counter = self._next_number = self._sweep_at_ns = 0
        self._partings = Partings(epoll)

    # Slots come and go.

    def new_slot(self) -> Slot:
        """Return the slot of a further user."""
        self._next_number += 1
        return Slot(self._next_number - 1)

    def adopt(self, slot: Slot) -> None:
        """Take a slot in; under closed load its first connection begins at once."""
        self.recorder.introduce(slot.number, slot.number)
        self.numbers.add(slot.number)
        self.live.append(slot)
        if self._keeps_going:
            self.send(slot)

    def retire(self, slot: Slot) -> None:
        """Begin nothing more in a slot."""
        if not slot.retired:
            slot.retired = True
            self.numbers.discard(slot.number)
            self.live.remove(slot)

    def close(self) -> None:
        """Close everything."""
        for call in list(self._calls.values()):
            self._partings.part(call.fd, self._take_leave(call))
        self.live.clear()
        self._partings.close()
        self.epoll.close()

    # Requests begin.

    def start_closed(self, pipeline: int) -> None:
        """Keep one connection going in every slot from now on."""
        self._keeps_going = True
        self._resting.clear()  # what failed while the load before fell silent
        for slot in list(self.live):
            self.send(slot)

    def stop_sending(self) -> None:
        """Begin nothing more by itself."""
        self._keeps_going = False
        self._resting.clear()

    def send(self, slot: Slot, due_ns: int | None = None) -> None:
        """Begin a connection with its request, due now unless told otherwise."""
        self._counter = next_counter(self._counter)
        wire, handshake = self.codec.connection(slot.number), self.codec.handshake()
        sequence, request = wire.request(self._counter)
        first = memoryview(request if handshake is None else handshake.request)
        try:
            fd, began_ns = begin_to_connect(self._address, self._sources)
        except OSError as error:
            self._could_not_begin(slot, clock() if due_ns is None else due_ns, error)
            return
        due_ns = began_ns if due_ns is None else due_ns
        call = _Call(slot, fd, due_ns, began_ns, sequence, wire, request, handshake, first)
        self._calls[fd] = call
        self._write(call)
        self.epoll.register(fd, select.EPOLLIN | (select.EPOLLOUT if call.unsent else 0))

    def _could_not_begin(self, slot: Slot, due_ns: int, error: OSError) -> None:
        now = clock()
        kind = CONNECT_ERRORS.get(error.errno or 0, ErrorKind.CONNECT)
        if error.errno == errno.EADDRNOTAVAIL and not self._is_exhausted:
            self._is_exhausted = True
            self.recorder.explain(self._sources.why_exhausted())
            logger.error("%s", self._sources.why_exhausted())
        self.recorder.never_sent(kind, due_ns, slot.number, now)
        self._resting.append((now + REST_NS, slot))

    def _write(self, call: _Call) -> None:
        """Write what is to be written, or what the socket takes of it; errors are left to the reading side."""
        now = clock()
        try:
            written = os.write(call.fd, call.unsent)
        except OSError as error:
            if error.errno not in _NOT_YET:
                call.write_error = call.write_error or _kind(error, call)
            return
        if not call.connected:
            call.connected, call.connected_ns = True, now
            self.recorder.connect_took(call.began_ns, now - call.began_ns)
        call.unsent = call.unsent[written:]

    def _write_also(self, call: _Call, data: bytes) -> None:
        """Write something further."""
        call.unsent = memoryview(bytes(call.unsent) + data)
        self._write(call)
        if call.unsent:
            self.epoll.modify(call.fd, select.EPOLLIN | select.EPOLLOUT)

    # Replies come.

    def receive(self, fd: int) -> None:
        """Deal with a descriptor that epoll reported."""
        call = self._calls.get(fd)
        if call is None:  # one that has taken its leave, or the engine's alarm: reading it is all there is to do
            with suppress(OSError):
                os.read(fd, READ_BYTES)
            self._partings.heard(fd)
            return
        if call.unsent:
            self._write(call)
            if call.connected and not call.unsent:
                self.epoll.modify(fd, select.EPOLLIN)
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(call, call.write_error or _kind(error, call))
            return
        if not data:
            if call.handshake is not None:
                self.recorder.explain(CLOSED_EARLY)
            self._fail(call, call.write_error or ErrorKind.CLOSED)
        elif call.handshake is not None:
            self._shake_hands(call, call.handshake, data)
        else:
            self._take(call, data)

    def _shake_hands(self, call: _Call, handshake: Handshake, data: bytes) -> None:
        """Take a part of a handshake's answer; the request goes out when it is whole."""
        now = clock()
        try:
            if not handshake.take(data):
                return
        except HandshakeError as error:
            self.recorder.explain(str(error))
            self._fail(call, ErrorKind.PROTOCOL)
            return
        self.recorder.handshake_took(call.began_ns, now - call.connected_ns)
        call.handshake = None
        self._write_also(call, call.request)
        if handshake.rest:
            self._take(call, handshake.rest)

    def _take(self, call: _Call, data: bytes) -> None:
        wire = call.wire
        replies = wire.replies(data)
        if wire.owed:
            owed, wire.owed = wire.owed, b""
            self._write_also(call, owed)
        if wire.broken is not None:
            self.recorder.explain(wire.broken)
            self._fail(call, ErrorKind.PROTOCOL)
        elif replies:
            self._settle(call, replies)
        elif wire.closed:
            self._fail(call, ErrorKind.CLOSED)

    def _settle(self, call: _Call, replies: list[Reply]) -> None:
        now = clock()
        if replies != [Reply(call.sequence, intact=True)]:
            self._fail(call, ErrorKind.CORRUPT)
            return
        request = (call.sequence, call.due_ns, call.began_ns)
        self.recorder.answered(request, now, call.slot.number, self.is_open)
        self._partings.part(call.fd, self._take_leave(call))
        self._next(call.slot)

    def _fail(self, call: _Call, kind: ErrorKind) -> None:
        now = clock()
        tell = self.recorder.failed if call.handshake is None else self.recorder.never_agreed
        tell = tell if call.connected else self.recorder.never_connected
        tell(kind, (call.sequence, call.due_ns, call.began_ns), call.slot.number, now)
        hang_up(call.fd, self._take_leave(call))
        self._resting.append((now + REST_NS, call.slot))

    def _take_leave(self, call: _Call) -> bytes:
        """Forget a connection, and return what is left to say before its descriptor is closed."""
        del self._calls[call.fd]
        is_up = call.connected and call.handshake is None and not call.unsent
        return call.wire.farewell() if is_up else b""

    def _next(self, slot: Slot) -> None:
        if self._keeps_going and not slot.retired:
            self.send(slot)

    # Time.

    def sweep(self, now: int) -> None:
        """Give up what is older than the time-out, and let slots that rested try again."""
        while self._resting and self._resting[0][0] <= now:
            self._next(self._resting.popleft()[1])
        if now < self._sweep_at_ns:
            return
        self._sweep_at_ns = now + SWEEP_EVERY_NS
        self._partings.sweep(now)
        limit = now - self.timeout_ns
        for call in [call for call in self._calls.values() if call.due_ns < limit]:
            self._fail(call, ErrorKind.TIMEOUT)

    def settled(self, before_ns: int) -> bool:
        """Tell whether every request that was due before a time is answered or has failed."""
        return not any(call.due_ns < before_ns for call in self._calls.values())


def _kind(error: OSError, call: _Call) -> ErrorKind:
    """Return how a connection failed, or a connect."""
    return CONNECT_ERRORS.get(error.errno or 0, ErrorKind.RESET if call.connected else ErrorKind.CONNECT)
