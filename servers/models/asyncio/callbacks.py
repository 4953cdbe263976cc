"""A connection of the `asyncio` model as callbacks: `--api buffered`, the default, and `--api protocol`.

Flow control is asyncio's own: above the high-water mark it calls `pause_writing`, and the connection is not read until
`resume_writing`.

The two differ in nothing but who owns the memory that is received into; see the model's text for what that costs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from servers.config import LINGER_S, WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES
from servers.contract import CLOSING, OPEN, PARTIAL, RESET, TIMED_OUT, Octets
from servers.stepping import Stepper

if TYPE_CHECKING:
    from servers.models.asyncio.server import Server


class CallbackConnection(asyncio.BaseProtocol):
    """One connection: the transport's callbacks, answered by the wire's protocol."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = server.buffer
        self._protocol = server.service.new_protocol(server.service.tally)
        self._receive: Callable[[Octets], Octets] = self._protocol.receive
        self._stepper: Stepper | None = None  # where requests cost something
        if server.service.work is not None:
            self._stepper = Stepper(
                server.service.work, server.later, server.service.tally, self._send, self._on_rested
            )
            self._receive = self._work_off
        self._transport: asyncio.Transport
        self._unwritten = False  # the peer takes replies slower than it sends requests
        self._rest_only = False  # the server drains: what has arrived is the last
        self._ending = False  # all replies are made: flush, shut down, linger
        self.lingers = False  # all is sent and the sending side shut down: only the peer's end is waited for
        self._timer: asyncio.TimerHandle | None = None  # of an unfinished message, then of the linger

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES)
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_timer()
        if self._stepper is not None:
            self._stepper.drop()
        if isinstance(error, OSError) and not self._ending:
            self._server.service.tally[RESET] += 1
        self._server.forget(self)

    def answer(self, chunk: Octets) -> None:
        """Send the replies to what was received, and do what the protocol then wants."""
        protocol = self._protocol
        reply = self._receive(chunk)
        if reply:
            self._transport.write(reply)
        if protocol.phase is not OPEN or self._timer is not None:
            self._mind_phase(protocol.begun)

    def eof_received(self) -> bool:
        if not self._ending:
            self._stop_timer()
            farewell = self._protocol.receive_eof()
            if farewell:
                self._transport.write(farewell)
        self._ending = True
        return False  # the transport flushes, then closes: after the peer's end there is nothing to discard

    def pause_writing(self) -> None:
        self._unwritten = True
        if not self._ending:
            self._stop_timer()  # while it isn't read, the peer can't be blamed for being slow
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._unwritten = False
        if self._ending:
            self._linger()
        else:
            self._go_on()

    def _is_working(self) -> bool:
        return self._stepper is not None and self._stepper.is_busy

    def _send(self, reply: Octets) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)

    def _work_off(self, chunk: Octets) -> Octets:
        """Take the place of the protocol's `receive` where requests cost something: replies come later."""
        assert self._stepper is not None
        self._stepper.take(self._protocol.steps(chunk))
        if self._is_working() and not self._transport.is_closing():
            self._stop_timer()
            self._transport.pause_reading()
        return b""

    def _on_rested(self) -> None:
        if not (self._unwritten or self._transport.is_closing()):
            self._go_on()

    def _go_on(self) -> None:
        """Read again, or end: all requests that were read have their replies."""
        if self._is_working():
            return
        if not self._rest_only:
            self._transport.resume_reading()
        self._mind_phase(begun=False)
        if self._rest_only:
            self._read_rest()

    def drain(self) -> None:
        """Answer what has arrived, then end."""
        if not self._ending and not self._transport.is_closing():
            self._rest_only = True
            self._transport.pause_reading()
            self._read_rest()

    def cut_off(self) -> None:
        """End at once."""
        self._ending = True
        self._transport.abort()

    def _read_rest(self) -> None:
        """Answer a chunk of what has arrived; go on in the loop's next turn, until there is no more."""
        if self._unwritten or self._ending or self._is_working() or self._transport.is_closing():
            return
        try:
            size = os.readv(self._transport.get_extra_info("socket").fileno(), [self._buffer])
        except BlockingIOError:
            self._end(bytes(self._protocol.drain()))
        except OSError:  # nothing is left to answer
            self._server.service.tally[RESET] += 1
            self.cut_off()
        else:
            self.answer(self._buffer[:size]) if size else self._end(bytes(self._protocol.receive_eof()))
        asyncio.get_running_loop().call_soon(self._read_rest)

    def _mind_phase(self, begun: bool) -> None:
        """Close where the protocol wants it; start and stop the clock of an unfinished message."""
        if self._is_working():
            return
        phase = self._protocol.phase
        if phase is CLOSING:
            self._end(b"")
            return
        if phase is OPEN or begun:
            self._stop_timer()
        timeout_s = self._server.service.config.message_timeout_s
        if phase is PARTIAL and self._timer is None and timeout_s and not self._unwritten:
            self._timer = asyncio.get_running_loop().call_later(timeout_s, self._on_message_timeout)

    def _on_message_timeout(self) -> None:
        self._server.service.tally[TIMED_OUT] += 1
        self._end(bytes(self._protocol.receive_eof()))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, farewell: bytes) -> None:
        """Nothing more will be answered: flush, shut down the sending side, linger, close."""
        if self._ending:
            return
        self._ending = True
        self._stop_timer()
        if farewell:
            self._transport.write(farewell)
        try:
            self._transport.write_eof()
        except OSError:  # the peer went first; all was answered
            self._transport.abort()
            return
        # With a low-water mark of 0, `resume_writing` tells when all is sent.
        self._transport.set_write_buffer_limits(0)
        if not self._transport.get_write_buffer_size():
            self._linger()

    def _linger(self) -> None:
        if self._timer is None and not self._transport.is_closing():
            self.lingers = True
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)
            self._transport.resume_reading()  # what comes now is discarded, up to the peer's end


class BufferedConnection(CallbackConnection, asyncio.BufferedProtocol):
    """Receives into the buffer that all connections share; a chunk is answered before the next is read."""

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Return where the loop shall receive into."""
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        """Answer what was received."""
        self.answer(self._buffer[:size])


class AllocatingConnection(CallbackConnection, asyncio.Protocol):
    """Is handed what the loop received into memory that it allocated."""

    def data_received(self, data: bytes) -> None:
        """Answer what was received."""
        self.answer(data)
