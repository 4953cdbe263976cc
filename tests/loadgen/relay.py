"""A relay for datagrams that loses some of them, by the throw of a seeded coin, and counts which."""

from __future__ import annotations

import random
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.loadgen.peers import PATIENCE_S, bound_datagram_socket


@dataclass
class Relay:
    """What went through, and what did not; complete when the block has ended."""

    url: str
    requests: int = 0
    dropped: int = 0


class _Way:
    """One direction; its coin falls the same way in every run."""

    def __init__(self, share: float, seed: int) -> None:
        self._share = share
        self._coin = random.Random(seed)

    def loses(self) -> bool:
        return self._coin.random() < self._share


@contextmanager
def relaying(server_port: int, lost_share: float, seed: int = 1) -> Iterator[Relay]:
    """Stand in front of a server until the block ends; that share of requests is lost, half of them on the way back."""
    there = lost_share / 2
    ways = _Way(there, seed), _Way((lost_share - there) / (1 - there), seed + 1)
    stopping = threading.Event()
    with bound_datagram_socket() as front:
        port = front.getsockname()[1]
        relay = Relay(f"udp://127.0.0.1:{port}")
        thread = threading.Thread(target=_run, args=(relay, front, server_port, ways, stopping), daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            stopping.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", ("127.0.0.1", port))
            thread.join(PATIENCE_S)


def _run(
    relay: Relay, front: socket.socket, server_port: int, ways: tuple[_Way, _Way], stopping: threading.Event
) -> None:
    """Pass datagrams on; each client has a socket of its own towards the server."""
    there, back = ways
    behind: dict[object, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(front, selectors.EVENT_READ, None)
        while not stopping.is_set():
            for key, _ in selector.select():
                if key.data is not None:
                    reply = behind[key.data].recv(65536)
                    if back.loses():
                        relay.dropped += 1
                    else:
                        front.sendto(reply, key.data)
                    continue
                request, client = front.recvfrom(65536)
                if stopping.is_set():
                    break
                relay.requests += 1
                if there.loses():
                    relay.dropped += 1
                    continue
                if client not in behind:
                    behind[client] = bound_datagram_socket()
                    behind[client].connect(("127.0.0.1", server_port))
                    selector.register(behind[client], selectors.EVENT_READ, client)
                behind[client].send(request)
    for one in behind.values():
        one.close()
