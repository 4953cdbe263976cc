"""How the messages of the integration tests travel over each stream transport, byte by byte.

Over WebSocket the first message is sent behind the handshake without waiting for its answer: a server that is stopped
or held up must be told all that at once, and none may lose what came glued.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

_HEAD_END = b"\r\n\r\n"
_KEY = bytes.fromhex("37fa213d")


@dataclass(frozen=True)
class Dialect:
    """What a client says before its first message, how a message is sent, how it comes back, how the server ends."""

    opening: bytes
    is_opened_by: bytes  # the end of the answer to the opening
    sent: Callable[[bytes], bytes]
    replied: Callable[[bytes], bytes]
    farewell: bytes

    def after_opening(self, received: bytes) -> bytes | None:
        """Return what came behind the answer to the opening, None while that is not whole."""
        if not self.opening:
            return received
        head, end, rest = received.partition(self.is_opened_by)
        assert not end or head.startswith(b"HTTP/1.1 101 "), f"the server answered {head!r}"
        return rest if end else None


def _frame_head(length: int, mask_bit: int) -> bytes:
    if length < 126:
        return bytes([0x82, mask_bit | length])
    if length < 1 << 16:
        return bytes([0x82, mask_bit | 126]) + length.to_bytes(2, "big")
    return bytes([0x82, mask_bit | 127]) + length.to_bytes(8, "big")


def _masked(message: bytes) -> bytes:
    length = len(message)
    if length >= 16:  # what is announced, also where not all of it is there
        length = 16 + int.from_bytes(message[4:8], "big")
    masked = bytes(byte ^ key for byte, key in zip(message, cycle(_KEY), strict=False))
    return _frame_head(length, 0x80) + _KEY + masked


DIALECTS = {
    "tcp": Dialect(b"", b"", bytes, bytes, b""),
    "ws": Dialect(
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: echobench.v1\r\n\r\n",
        _HEAD_END,
        _masked,
        lambda message: _frame_head(len(message), 0) + message,
        b"\x88\x12\x03\xe9the server stops",
    ),
}
