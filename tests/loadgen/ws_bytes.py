"""WebSocket as a server of the tests speaks it: by hand, on a socket, byte by byte as RFC 6455 has it."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Iterator

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 0x82, 0x81, 0x80, 0x88, 0x89, 0x8A
FINAL = 0x80


def receive(peer: socket.socket, size: int) -> bytes:
    """Receive so many bytes; raises EOFError when they end before."""
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def read_request(peer: socket.socket) -> bytes:
    """Receive an HTTP request, up to its empty line and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(peer, 1)
    return head


def accept_of(request: bytes) -> bytes:
    """Return the echo of a request's key."""
    (key,) = [line[19:] for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: ")]
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def answer_to(request: bytes, *lines: bytes) -> bytes:
    """Return a handshake's answer; further header lines as given, `Sec-WebSocket-Protocol` if there are none."""
    further = lines or (b"Sec-WebSocket-Protocol: echobench.v1",)
    head = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    return b"\r\n".join((*head, b"Sec-WebSocket-Accept: " + accept_of(request), *further, b"", b""))


def shake_hands(peer: socket.socket) -> bytes:
    """Answer a handshake; returns the request."""
    request = read_request(peer)
    peer.sendall(answer_to(request))
    return request


def frame(payload: bytes, first: int = BINARY) -> bytes:
    """Return an unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 65536:
        return bytes([first, 126]) + size.to_bytes(2, "big") + payload
    return bytes([first, 127]) + size.to_bytes(8, "big") + payload


def read_frame(peer: socket.socket) -> tuple[int, bytes]:
    """Receive a frame of a client: its first byte, and its payload unmasked."""
    first, second = receive(peer, 2)
    assert second & 0x80, "a client masks what it sends"
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(receive(peer, 2 if size == 126 else 8), "big")
    return first, unmasked(receive(peer, 4), receive(peer, size))


def unmasked(key: bytes, data: bytes) -> bytes:
    """Return data with its mask taken off."""
    return bytes(byte ^ key[place % 4] for place, byte in enumerate(data))


def frames(peer: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield a client's frames, up to its close frame, which is answered, or to its end."""
    try:
        while True:
            first, payload = read_frame(peer)
            yield first, payload
            if first == CLOSE:
                peer.sendall(frame(payload, CLOSE))
                return
    except EOFError:
        return


def messages(peer: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """Shake hands, and yield header and payload of each request."""
    shake_hands(peer)
    for first, message in frames(peer):
        if first == BINARY:
            yield message[:16], message[16:]
