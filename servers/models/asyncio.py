"""One thread, an asyncio event loop, a buffered protocol per connection.

**Accepts** when the listener is readable; the loop makes a transport of each connection. **A connection lives** as a
transport and an `_EchoConnection`. **Blocks:** nothing but the work of a request.

Why `BufferedProtocol` and not `Protocol`: the transport of a `Protocol` reads with `recv(256 KiB)`, and in a fresh
process the C library maps and unmaps that memory at every call, until the first disconnect happens to raise its
threshold. That measures the C library (here 16,000 requests/s instead of 45,000). A `BufferedProtocol` receives into
memory that is there already, and since a chunk is answered before the next is read, one buffer serves all connections.

Flow control is asyncio's own: above the high-water mark it calls `pause_writing`, and the connection is not read until
`resume_writing`.

**Stops** by reading each connection itself until it would block (everything that had arrived is answered), then ending
it: flush, shut down the sending side, discard what comes until the peer has closed or the linger is over. What is left
at the drain deadline is aborted and counted.

**Breaks first:** one CPU. `hybrid` runs this model in several processes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import cast

from servers.config import LINGER_S, WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES, ServerConfig
from servers.contract import ABORTED, CLOSING, LIVE, OPEN, PARTIAL, RESET, TIMED_OUT
from servers.listener import Acceptor
from servers.service import Service, receive_buffer

SUMMARY = "one thread, an asyncio event loop"
_CHUNKS_A_TURN = 64  # of one connection while the server drains: a peer that floods must not hold up the others


def parallelism(_config: ServerConfig) -> int | None:
    """Return 1: one thread serves all."""
    return 1


def serve_stream(service: Service, acceptors: list[Acceptor]) -> None:
    """Serve until the service is stopped and drained."""
    asyncio.run(_Server(service, acceptors[0]).serve())


class _Server:
    """What the connections of one event loop share."""

    def __init__(self, service: Service, acceptor: Acceptor) -> None:
        self.service = service
        self.connections: set[_EchoConnection] = set()
        self.buffer = receive_buffer(service.config)
        self.emptied = asyncio.Event()
        self._acceptor = acceptor
        self._adopting: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        loop, stop = asyncio.get_running_loop(), self.service.stop
        stopping = asyncio.Event()

        def on_signal() -> None:
            stop.clear()
            if stop.requested:
                stopping.set()

        loop.add_reader(stop.fileno(), on_signal)
        loop.add_reader(self._acceptor.fileno(), self._accept)
        self.service.ready()
        await stopping.wait()
        loop.remove_reader(self._acceptor.fileno())
        for connection in self._acceptor.drain(self.service.tally):
            self._adopt(connection)
        self._acceptor.close()
        await asyncio.gather(*self._adopting)
        await self._drain()
        loop.remove_reader(stop.fileno())

    def _accept(self) -> None:
        for connection in self._acceptor.burst(self.service.tally):
            self._adopt(connection)

    def _adopt(self, connection: socket.socket) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(connection))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: _EchoConnection(self), connection)

    async def _drain(self) -> None:
        for connection in list(self.connections):
            connection.drain()
        await self._until_empty(self.service.stop.remaining_s())
        self.service.tally[ABORTED] += sum(not connection.lingers for connection in self.connections)
        for connection in list(self.connections):
            connection.cut_off()
        await self._until_empty(LINGER_S)

    async def _until_empty(self, seconds: float) -> None:
        self.emptied.clear()
        if self.connections:
            try:
                await asyncio.wait_for(self.emptied.wait(), seconds)
            except TimeoutError:
                return


class _EchoConnection(asyncio.BufferedProtocol):
    """One connection: the transport's callbacks, answered by the wire's protocol."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._buffer = server.buffer
        self._protocol = server.service.new_protocol(server.service.tally)
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
        self._server.service.tally[LIVE] += 1

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_timer()
        if isinstance(error, OSError) and not self._ending:
            self._server.service.tally[RESET] += 1
        self._server.connections.discard(self)
        self._server.service.tally[LIVE] -= 1
        if not self._server.connections:
            self._server.emptied.set()

    def get_buffer(self, _size_hint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        protocol = self._protocol
        reply = protocol.receive(self._buffer[:size])
        if reply:
            self._transport.write(reply)
        if protocol.phase is not OPEN or self._timer is not None:
            self._mind_phase(bool(reply))

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
        elif self._rest_only:
            self._read_rest()
        else:
            self._transport.resume_reading()
            self._mind_phase(answered=False)

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
        """Read a bounded part of what has arrived; go on in the next turn of the loop, until there is no more."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        for _ in range(_CHUNKS_A_TURN):
            if self._unwritten or self._ending or self._transport.is_closing():
                return
            try:
                size = os.readv(descriptor, [self._buffer])
            except BlockingIOError:
                self._end(bytes(self._protocol.drain()))
            except OSError:  # nothing is left to answer
                self._server.service.tally[RESET] += 1
                self.cut_off()
            else:
                self.buffer_updated(size) if size else self._end(bytes(self._protocol.receive_eof()))
        asyncio.get_running_loop().call_soon(self._read_rest)

    def _mind_phase(self, answered: bool) -> None:
        """Close where the protocol wants it; start and stop the clock of an unfinished message."""
        phase = self._protocol.phase
        if phase is CLOSING:
            self._end(b"")
            return
        if phase is OPEN or answered:
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
