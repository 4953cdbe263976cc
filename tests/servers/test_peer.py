"""A peer's socket over UDP: what it does with the datagrams of others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest

from servers.config import ServerConfig
from servers.contract import MESSAGES, DatagramProtocol
from servers.peer import serve_peer
from servers.service import Service, datagram_buffer
from servers.signals import StopSignal
from servers.tally import Ledger
from servers.wire.udp import UdpProtocol

DEADLINE_S = 5.0
FIRST_REPLY = b"the first reply"
REQUEST = b"\xeb\x01\x01\x01" + bytes(12)
RESPONSE = b"\xeb\x01\x01\x02" + bytes(12)


@dataclass
class Ending:
    requested: bool


class LateSocket(socket.socket):
    """A socket of which the first look finds nothing: the system handed over what waits in it only after that."""

    looked = False

    def recvfrom_into(self, *arguments: Any) -> tuple[int, Any]:
        if not self.looked:
            self.looked = True
            raise BlockingIOError
        return super().recvfrom_into(*arguments)


@pytest.fixture
def sockets() -> Iterator[tuple[LateSocket, socket.socket, socket.socket]]:
    """Yield the socket of a peer, bound and not yet connected, that of its client, and that of a stranger."""
    with ExitStack() as held:
        bound = held.enter_context(closing(LateSocket(socket.AF_INET, socket.SOCK_DGRAM)))
        client, stranger = (
            held.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))) for _ in range(2)
        )
        bound.bind(("127.0.0.1", 0))
        for each in (client, stranger):
            each.bind(("127.0.0.1", 0))
            each.settimeout(DEADLINE_S)
        yield bound, client, stranger


def test_a_strangers_datagram_that_comes_late_is_answered_to_the_stranger(
    sockets: tuple[LateSocket, socket.socket, socket.socket],
) -> None:
    bound, client, stranger = sockets
    stranger.sendto(REQUEST, bound.getsockname())
    bound.connect(client.getsockname())
    ledger = Ledger()
    with closing(StopSignal(DEADLINE_S)) as stop:
        config = ServerConfig(model="thread", transport="udp")
        service: Service[DatagramProtocol] = Service(config, UdpProtocol, ledger, ledger.open(), stop, lambda: None)
        serve_peer(bound, FIRST_REPLY, service, datagram_buffer(config), Ending(requested=True))
    assert client.recv(100) == FIRST_REPLY
    assert stranger.recv(100) == RESPONSE
    assert service.tally[MESSAGES] == 1
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
