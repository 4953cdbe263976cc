"""Datagrams of the `asyncio` model: a datagram endpoint, its callbacks answered by the wire's protocol.

asyncio receives one datagram a turn of the loop. A reply that the system does not take is kept by the transport; while
it keeps more than its high-water mark, requests are dropped and counted, as the system itself drops what its receive
buffer has no room for: an endpoint can't be told to stop reading.

**How it stops.** Nothing more is admitted to the socket; what it has received is read and answered directly, without
the loop, until it would block.
"""

from __future__ import annotations

import asyncio
from typing import cast

from servers.contract import UNDELIVERED, DatagramProtocol
from servers.datagrams import Mailbox, count_undelivered
from servers.models.asyncio.later import Later
from servers.models.asyncio.server import stop_event
from servers.service import Service, datagram_buffer
from servers.signals import StopSignal
from servers.stepping import Errands, new_errands, new_responder


class DatagramServer:
    """One datagram socket in one event loop."""

    def __init__(self, service: Service[DatagramProtocol], mailbox: Mailbox) -> None:
        self._service = service
        self._mailbox = mailbox

    async def serve(self) -> None:
        """Serve until the service is stopped and drained."""
        service, mailbox = self._service, self._mailbox
        loop, stop = asyncio.get_running_loop(), service.stop
        stopping, later = stop_event(stop), Later(service.work)
        errands = new_errands(service, mailbox.socket, later)
        rest = new_responder(service, mailbox.socket, datagram_buffer(service.config), errands)
        transport, endpoint = await loop.create_datagram_endpoint(
            lambda: _Endpoint(service, errands), sock=mailbox.socket
        )
        if hasattr(transport, "max_size"):  # asyncio's own: how much it allocates for a datagram
            transport.max_size = service.config.recv_bytes + 1
        service.ready()
        await stopping.wait()
        loop.remove_reader(stop.fileno())
        mailbox.stop_admitting()
        rest.respond_to_rest(stop.remaining_s)
        if errands is not None:
            await _finish(errands, stop, later)
        later.close()
        transport.close()
        try:
            await asyncio.wait_for(endpoint.closed.wait(), stop.remaining_s())
        except TimeoutError:
            transport.abort()


async def _finish(errands: Errands, stop: StopSignal, later: Later) -> None:
    """Wait until no errand is left; give up what is left at the drain deadline."""
    while errands.is_busy:
        try:
            await asyncio.wait_for(later.pause(), stop.remaining_s())  # whoever waits now has waited by then
        except TimeoutError:
            errands.give_up()


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, service: Service[DatagramProtocol], errands: Errands | None) -> None:
        self.closed = asyncio.Event()
        self._receive = service.new_protocol(service.tally).receive
        self._tally = service.tally
        self._errands = errands
        self._held_up = False
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[object, ...]) -> None:
        if self._held_up:
            self._tally[UNDELIVERED] += 1
            return
        reply = self._receive(data)
        if reply is None:
            return
        if self._errands is not None:
            self._errands.take(reply, address)
        else:
            self._transport.sendto(reply, address)

    def pause_writing(self) -> None:
        self._held_up = True

    def resume_writing(self) -> None:
        self._held_up = False

    def error_received(self, error: Exception) -> None:
        count_undelivered(self._tally, error)

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set()
