"""Servers of the tests: one thread a connection, literal bytes, and a behaviour that a test chooses."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

RESPONSE = b"\xeb\x01\x01\x02"
ERROR = b"\xeb\x01\x01\x03"

Behaviour = Callable[[socket.socket, int], None]


def requests(peer: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header and the payload of each request until the client has gone."""
    buffer = b""
    while data := peer.recv(65536):
        buffer += data
        while len(buffer) >= 16:
            end = 16 + int.from_bytes(buffer[4:8], "big")
            if len(buffer) < end:
                break
            yield buffer[:16], buffer[16:end]
            buffer = buffer[end:]


def response(header: bytes, payload: bytes) -> bytes:
    """Return the right answer to a request."""
    return RESPONSE + header[4:] + payload


def echo(peer: socket.socket, number: int) -> None:
    """Behave well."""
    for header, payload in requests(peer):
        peer.sendall(response(header, payload))


def reset(peer: socket.socket) -> None:
    """Close a connection with a reset instead of an orderly end."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@dataclass
class Server:
    """A listening socket and the connections that were accepted from it."""

    url: str
    port: int
    accepted: list[socket.socket] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour = echo) -> Iterator[Server]:
    """Serve connections with a behaviour (called with the socket and the connection's number) until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listener.getsockname()[1]
    server = Server(f"tcp://127.0.0.1:{port}", port)
    threads = [threading.Thread(target=_accept, args=(listener, server, behaviour), daemon=True)]
    threads[0].start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        threads[0].join(5)
        listener.close()
        for peer in server.accepted:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()


def _accept(listener: socket.socket, server: Server, behaviour: Behaviour) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = len(server.accepted)
        server.accepted.append(peer)
        threading.Thread(target=_behave, args=(behaviour, peer, number), daemon=True).start()


def _behave(behaviour: Behaviour, peer: socket.socket, number: int) -> None:
    try:
        behaviour(peer, number)
    except OSError:  # the client has gone
        return
    with suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
