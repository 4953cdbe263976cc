"""WebSocket's literal bytes for the tests of the protocol object: they must not be built by the code they test."""

import itertools

from servers.contract import COUNTERS
from servers.wire.ws import WsProtocol

# Key and proof are those of the RFC's example.
HEADERS = (
    b"GET /echo HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
HELLO = HEADERS + b"\r\n"
HELLO_WIRE = HEADERS + b"Sec-WebSocket-Protocol: chat, echobench.v1\r\n\r\n"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
REQUEST_ABC = bytes.fromhex("eb01 01 01 00000003 0000000000000007") + b"abc"
RESPONSE_ABC = bytes.fromhex("eb01 01 02 00000003 0000000000000007") + b"abc"
LONGEST = 300


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = b"\x0f\xf0\x55\xaa") -> bytes:
    return bytes([fin << 7 | opcode]) + length(payload, 0x80) + mask + masked(payload, mask)


def reply(opcode: int, payload: bytes = b"") -> bytes:
    return bytes([0x80 | opcode]) + length(payload, 0) + payload


def length(payload: bytes, bit: int) -> bytes:
    if len(payload) < 126:
        return bytes([bit | len(payload)])
    return bytes([bit | 126]) + len(payload).to_bytes(2, "big")


def masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ key for byte, key in zip(payload, itertools.cycle(mask), strict=False))


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def opened(hello: bytes = HELLO, max_payload: int = LONGEST) -> tuple[WsProtocol, list[int]]:
    tally = [0] * len(COUNTERS)
    protocol = WsProtocol(tally, max_payload)
    answer = bytes(protocol.receive(hello))
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\r\n\r\n")
    return protocol, tally


def code_of(close_frame: bytes) -> int:
    """Return the code of what has to be one close frame, 0 where it has none."""
    assert close_frame[0] == 0x80 | CLOSE
    assert close_frame[1] == len(close_frame) - 2 <= 125
    close_frame[4:].decode()
    return int.from_bytes(close_frame[2:4], "big")
