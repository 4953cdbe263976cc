"""What the connections of one event loop share: how they are accepted, and how they end when the server drains."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from servers.acceptor import Acceptor, refuse
from servers.config import LINGER_S
from servers.contract import ABORTED, LIVE, StreamProtocol
from servers.models.asyncio.callbacks import AllocatingConnection, BufferedConnection
from servers.models.asyncio.coroutines import StreamsConnection
from servers.models.asyncio.later import Later
from servers.service import Service, receive_buffer
from servers.signals import StopSignal


class Connection(Protocol):
    """A connection as the server ends it, however it is programmed."""

    lingers: bool  # all is sent and the sending side shut down: only the peer's end is waited for

    def drain(self) -> None: ...
    def cut_off(self) -> None: ...


class Server:
    """Accepts and drains."""

    def __init__(self, service: Service[StreamProtocol], acceptor: Acceptor) -> None:
        self.service = service
        self.connections: set[Connection] = set()
        self.buffer = receive_buffer(service.config)
        self.later: Later
        self._acceptor = acceptor
        self._emptied = asyncio.Event()
        self._adopting: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve until the service is stopped and drained."""
        loop = asyncio.get_running_loop()
        self.later = Later(self.service.work)
        stopping = stop_event(self.service.stop)
        loop.add_reader(self._acceptor.fileno(), self._accept)
        self.service.ready()
        await stopping.wait()
        loop.remove_reader(self._acceptor.fileno())
        for connection in self._acceptor.drain(self.service.tally):
            self._adopt(connection)
        self._acceptor.close()
        await asyncio.gather(*self._adopting)
        await self._drain()
        self.later.close()
        loop.remove_reader(self.service.stop.fileno())

    def forget(self, connection: Connection) -> None:
        """Serve a connection no more; it may be forgotten once."""
        self.connections.remove(connection)
        self.service.tally[LIVE] -= 1
        if not self.connections:
            self._emptied.set()

    def _accept(self) -> None:
        for connection in self._acceptor.burst(self.service.tally):
            self._adopt(connection)

    def _adopt(self, connection: socket.socket) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(connection))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._new_connection, connection)
        except OSError as error:
            refuse(connection, self.service.tally, error)

    def _new_connection(self) -> asyncio.BaseProtocol:
        match self.service.config.api:
            case "streams":
                return StreamsConnection(self).protocol
            case "protocol":
                return AllocatingConnection(self)
            case _:
                return BufferedConnection(self)

    async def _drain(self) -> None:
        for connection in list(self.connections):
            connection.drain()
        await self._until_empty(self.service.stop.remaining_s())
        self.service.tally[ABORTED] += sum(not connection.lingers for connection in self.connections)
        for connection in list(self.connections):
            connection.cut_off()
        await self._until_empty(LINGER_S)

    async def _until_empty(self, seconds: float) -> None:
        self._emptied.clear()
        if self.connections:
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except TimeoutError:
                return


def stop_event(stop: StopSignal) -> asyncio.Event:
    """Return an event of the running loop that is set when the service shall stop."""
    stopping = asyncio.Event()

    def on_signal() -> None:
        stop.clear()
        if stop.requested:
            stopping.set()

    asyncio.get_running_loop().add_reader(stop.fileno(), on_signal)
    return stopping
