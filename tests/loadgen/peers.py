"""Servers of the tests, with literal bytes and a behaviour that a test chooses.

Over TCP a behaviour has a thread and the socket of one connection. Where only messages matter, over all transports
alike, `answering` takes a function from a request to the messages that are sent back for it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.loadgen import ws_bytes

RESPONSE = b"\xeb\x01\x01\x02"
ERROR = b"\xeb\x01\x01\x03"
TRANSPORTS = ("tcp", "udp", "ws")
PATIENCE_S = 5.0

Behaviour = Callable[[socket.socket, int], None]
Answers = Callable[[int, bytes, bytes], list[bytes]]  # peer's number, header, payload; messages to send


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


def right(number: int, header: bytes, payload: bytes) -> list[bytes]:
    """Answer rightly."""
    return [response(header, payload)]


def nothing(number: int, header: bytes, payload: bytes) -> list[bytes]:
    """Answer nothing."""
    return []


def garbage(number: int, header: bytes, payload: bytes) -> list[bytes]:
    """Answer in another protocol."""
    return [b"HTTP/1.1 400 Bad Request\r\n\r\n"]


def reset(peer: socket.socket) -> None:
    """Close a connection with a reset instead of an orderly end."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@dataclass
class Server:
    """A bound socket and, over TCP, the connections that were accepted from it."""

    url: str
    port: int
    accepted: list[socket.socket] = field(default_factory=list)


@contextmanager
def answering(transport: str, answers: Answers = right) -> Iterator[Server]:
    """Serve messages over a transport until the block ends."""

    def connection(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer) if transport == "tcp" else ws_bytes.messages(peer):
            for message in answers(number, header, payload):
                peer.sendall(message if transport == "tcp" else ws_bytes.frame(message))

    with serving_datagrams(answers) if transport == "udp" else serving(connection, transport) as server:
        yield server


@contextmanager
def serving(behaviour: Behaviour = echo, scheme: str = "tcp") -> Iterator[Server]:
    """Serve connections with a behaviour (called with the socket and the connection's number) until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listener.getsockname()[1]
    server = Server(f"{scheme}://127.0.0.1:{port}", port)
    threads = [threading.Thread(target=_accept, args=(listener, server, behaviour), daemon=True)]
    threads[0].start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        threads[0].join(PATIENCE_S)
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


def bound_datagram_socket() -> socket.socket:
    """Return a bound datagram socket with room for what comes while its thread does not run."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind(("127.0.0.1", 0))
    return made


@contextmanager
def serving_datagrams(answers: Answers = right) -> Iterator[Server]:
    """Serve datagrams from one thread until the block ends; peers are numbered as their first datagrams come."""
    stopping = threading.Event()
    with bound_datagram_socket() as served:
        port = served.getsockname()[1]
        thread = threading.Thread(target=_answer_datagrams, args=(served, answers, stopping), daemon=True)
        thread.start()
        try:
            yield Server(f"udp://127.0.0.1:{port}", port)
        finally:
            stopping.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", ("127.0.0.1", port))
            thread.join(PATIENCE_S)


def _answer_datagrams(served: socket.socket, answers: Answers, stopping: threading.Event) -> None:
    numbers: dict[object, int] = {}
    while not stopping.is_set():
        data, address = served.recvfrom(65536)
        if len(data) < 16:
            continue
        for message in answers(numbers.setdefault(address, len(numbers)), data[:16], data[16:]):
            with suppress(ConnectionError):  # the client has gone
                served.sendto(message, address)


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def unbound_datagram_port() -> int:
    """Return a port that nobody receives datagrams on."""
    with bound_datagram_socket() as made:
        return int(made.getsockname()[1])
