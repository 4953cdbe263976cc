"""A connection of the `asyncio` model as a coroutine: `--api streams`.

One task a connection, which reads, answers and waits in straight lines. Each read goes through a `StreamReader`, that
is a buffer between the loop's callback and the task, and a switch of tasks: that is what the comparison shows.

**How it stops.** The task waits in a read. The drain stops the transport from reading and feeds the reader its end, so
that the task wakes, takes what the reader has, and then reads what is left in the socket itself, until it would block.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, cast

from servers.config import LINGER_S, WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES
from servers.contract import CLOSING, MESSAGES, PARTIAL, RESET, TIMED_OUT, Step
from servers.stepping import uncounted
from servers.work import Work

if TYPE_CHECKING:
    from servers.models.asyncio.server import Server


class StreamsConnection:
    """One connection and its task; `protocol` is what the transport calls."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tally = server.service.tally
        self._recv_bytes = server.service.config.recv_bytes
        self._protocol = server.service.new_protocol(self._tally)
        self._reader = asyncio.StreamReader(limit=self._recv_bytes)
        self.protocol = asyncio.StreamReaderProtocol(self._reader, self._serve)
        self._transport: asyncio.Transport | None = None
        self._draining = False  # the server drains: what has arrived is the last
        self._cut_off = False
        self._ending = False  # all replies are made
        self.lingers = False
        server.connections.add(self)

    def drain(self) -> None:
        """Answer what has arrived, then end."""
        self._draining = True
        if self._transport is not None and not self._ending and not self._transport.is_closing():
            self._transport.pause_reading()
            self._reader.feed_eof()

    def cut_off(self) -> None:
        """End at once."""
        self._cut_off = True
        if self._transport is not None:
            self._transport.abort()

    async def _serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = self._transport = cast(asyncio.Transport, writer.transport)
        transport.set_write_buffer_limits(WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES)
        if self._draining:
            self.drain()
        try:
            await self._converse(writer, transport)
            self._ending = True
            farewell = self._protocol.drain() if self._draining else self._protocol.receive_eof()
            await self._finish(writer, transport, bytes(farewell))
        except OSError as error:  # nothing is left to answer
            error.with_traceback(None)  # the reader keeps the error, and its frames keep the connection
            self._tally[RESET] += not (self._ending or self._cut_off)
        finally:
            transport.abort()
            del self._protocol  # this object and the reader hold each other
            self._server.forget(self)

    async def _converse(self, writer: asyncio.StreamWriter, transport: asyncio.Transport) -> None:
        """Answer until the peer has said all, the protocol wants to close, or a message takes too long."""
        protocol, timeout_s = self._protocol, self._server.service.config.message_timeout_s
        clock, work = asyncio.get_running_loop().time, self._server.service.work
        deadline_s: float | None = None
        try:
            while chunk := await self._next_chunk(transport, deadline_s):
                if work is not None:
                    await self._work_off(writer, transport, uncounted(protocol.steps(chunk), self._tally), work)
                elif reply := protocol.receive(chunk):
                    writer.write(reply)
                    await writer.drain()
                    del reply  # it would be held through the next wait
                del chunk
                if protocol.phase is CLOSING:
                    return
                if protocol.phase is not PARTIAL or not timeout_s:
                    deadline_s = None
                elif protocol.begun or deadline_s is None:  # None: it was not read for a while, nobody is to blame
                    deadline_s = clock() + timeout_s
        except TimeoutError as error:
            if error.errno is not None:  # the system's: the connection is lost
                raise
            self._tally[TIMED_OUT] += 1

    async def _work_off(
        self, writer: asyncio.StreamWriter, transport: asyncio.Transport, steps: list[Step], work: Work
    ) -> None:
        """Do the work of each request, then send its reply; the connection is not read, the loop serves others."""
        was_read = transport.is_reading()
        transport.pause_reading()
        for step in steps:
            if step.is_answer:
                if work.cpu_ns:
                    work.spin()
                await (self._server.later.pause() if work.wait_s else asyncio.sleep(0))
                if transport.is_closing():
                    raise ConnectionResetError
                self._tally[MESSAGES] += 1
            writer.write(step.reply)
            await writer.drain()
        if was_read and not (self._draining or transport.is_closing()):
            transport.resume_reading()

    async def _next_chunk(self, transport: asyncio.Transport, deadline_s: float | None) -> bytes:
        """Return what arrives next, nothing at the end; raises TimeoutError when it comes too late."""
        if not self._draining:
            if deadline_s is None:
                chunk = await self._reader.read(self._recv_bytes)
            else:
                async with asyncio.timeout_at(deadline_s):
                    chunk = await self._reader.read(self._recv_bytes)
                if deadline_s <= asyncio.get_running_loop().time():  # there is always a byte to read
                    raise TimeoutError
            if chunk or not self._draining:
                return chunk
        await asyncio.sleep(0)  # a peer that floods must not hold up the others
        chunk = await self._reader.read(self._recv_bytes)  # does not wait: its end was fed
        if not transport.is_closing():
            transport.pause_reading()  # the reader has let it read on: there is room again
        return chunk or self._receive_rest(transport)

    def _receive_rest(self, transport: asyncio.Transport) -> bytes:
        try:
            return os.read(transport.get_extra_info("socket").fileno(), self._recv_bytes)
        except BlockingIOError:
            return b""

    async def _finish(self, writer: asyncio.StreamWriter, transport: asyncio.Transport, farewell: bytes) -> None:
        """Send all, shut down the sending side, discard what comes until the peer has closed or the linger is over."""
        if farewell:
            writer.write(farewell)
        transport.set_write_buffer_limits(0)  # so that `drain` waits until all is sent
        await writer.drain()
        transport.write_eof()
        self.lingers = True
        discarding = _Discarding()
        if not self._reader.at_eof() or self._draining:
            transport.set_protocol(discarding)
            transport.resume_reading()
            try:
                await asyncio.wait_for(discarding.ended.wait(), LINGER_S)
            except TimeoutError:
                return


class _Discarding(asyncio.Protocol):
    """Reads and forgets, up to the peer's end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def eof_received(self) -> None:
        self.ended.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()
