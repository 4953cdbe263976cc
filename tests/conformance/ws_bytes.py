"""WebSocket as literal bytes (RFC 6455), written down here from the RFC and not taken from the code under test.

first byte    FIN (80), three reserved bits (40 20 10), opcode (0 continuation, 1 text, 2 binary, 8 close, 9 ping,
              a pong)
second byte   MASK (80), length: 0 to 125 itself, 126: two bytes with it follow, 127: eight bytes with it follow
then          a client's mask of 4 bytes, with which its payload is XORed; a server's frames have none

Over `echobench.v1` each wire message is one binary frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

from . import wire_bytes
from .wire import Greeting, Refused

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, MASK = 0x80, 0x80
LONGEST_CONTROL_BYTES = 125
NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED, BAD_DATA, TOO_BIG = 1000, 1001, 1002, 1003, 1007, 1009
SUBPROTOCOL = "echobench.v1"
# The key of the RFC's own example, and what it says has to come back.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HEADERS = (
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
)


# Frames


def length_bytes(length: int, mask_bit: int) -> bytes:
    """Return the second byte of a frame and the longer lengths behind it, in the shortest form, as the RFC demands."""
    if length <= 125:
        return bytes([mask_bit | length])
    return bytes([mask_bit | 126]) + length.to_bytes(2, "big") if length < 65_536 else long_length(length, mask_bit)


def long_length(length: int, mask_bit: int = MASK) -> bytes:
    """Return the second byte of a frame and a length in its longest form."""
    return bytes([mask_bit | 127]) + length.to_bytes(8, "big")


def mask_of(payload: bytes) -> bytes:
    """Return a mask that differs from frame to frame and is the same in every run."""
    return zlib.crc32(payload, len(payload)).to_bytes(4, "big")


def masked(payload: bytes, mask: bytes) -> bytes:
    """Return a payload XORed with its mask."""
    whole = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(payload), "big")


def frame(opcode: int, payload: bytes = b"", *, is_last: bool = True, reserved: int = 0) -> bytes:
    """Return a frame of a client; `reserved` are the three reserved bits as a number from 0 to 7."""
    mask = mask_of(payload)
    return frame_head(opcode, len(payload), mask, is_last=is_last, reserved=reserved) + masked(payload, mask)


def frame_head(
    opcode: int, length: int, mask: bytes = b"\1\2\3\4", *, is_last: bool = True, reserved: int = 0
) -> bytes:
    """Return a client's frame without the payload that it announces."""
    first = (FIN if is_last else 0) | reserved << 4 | opcode
    return bytes([first]) + length_bytes(length, MASK) + mask


def reply(opcode: int, payload: bytes = b"") -> bytes:
    """Return a whole frame of a server."""
    return bytes([FIN | opcode]) + length_bytes(len(payload), 0) + payload


def fragments(opcode: int, *parts: bytes) -> list[bytes]:
    """Return a message of a client in as many frames as there are parts."""
    last = len(parts) - 1
    return [frame(CONTINUATION if at else opcode, part, is_last=at == last) for at, part in enumerate(parts)]


def close_frame(code: int = NORMAL, reason: bytes = b"") -> bytes:
    """Return a close frame of a client."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def judge_close(code: int | None, name: str, found: bytes) -> None:
    """Check that what was found is one close frame with that code (None: with none) and nothing else."""
    rule = f"after {name} comes a close frame {'without a code' if code is None else f'with code {code}'}"
    assert found[:1] == bytes([FIN | CLOSE]), f"{rule}, found {found[:32].hex(' ')!r} ({len(found)} bytes)"
    length, said = found[1], found[2:]
    assert length <= LONGEST_CONTROL_BYTES, f"{rule}, not masked and not longer than 125 bytes, not {length:#x}"
    assert len(said) == length, f"{rule} and nothing else: it announces {length} bytes, {len(said)} followed"
    got = int.from_bytes(said[:2], "big") if said else None
    assert got == code, f"{rule}, not {got}"
    said[2:].decode("utf-8")


# The opening handshake


def hello(*more: tuple[str, str], path: str = "/", headers: tuple[tuple[str, str], ...] = HEADERS) -> bytes:
    """Return the opening handshake of a client."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (*headers, *more)), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def offer(*names: str) -> tuple[str, str]:
    """Return the header that offers subprotocols."""
    return "Sec-WebSocket-Protocol", ", ".join(names)


def parsed_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Return the status line and the headers of a reply, their names in lower case; none may be there twice."""
    status, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, f"a line of a reply's headers has a colon: {line!r}"
        assert name.lower() not in headers, f"a header of a reply is there once: {name}"
        headers[name.lower()] = value.strip()
    return status, headers


def judge_welcome(subprotocol: str | None, head: bytes) -> None:
    """Check that a server has switched protocols, and to which subprotocol."""
    status, headers = parsed_head(head)
    assert status.startswith("HTTP/1.1 101 "), f"an opening handshake is answered with 101, not {status!r}"
    expected = {"upgrade": "websocket", "connection": "upgrade"}
    found = {name: headers.get(name, "").lower() for name in expected}
    assert found == expected, f"the 101 says {expected}, not {found}"
    accept = headers.get("sec-websocket-accept")
    assert accept == ACCEPT, f"the 101 proves that the key was read, with {ACCEPT}, not {accept}"
    selected = headers.get("sec-websocket-protocol")
    assert selected == subprotocol, f"the 101 selects the subprotocol {subprotocol}, not {selected}"
    extensions = headers.get("sec-websocket-extensions")
    assert extensions is None, f"the 101 negotiates no extension, not {extensions}"


def greeting(*more: tuple[str, str], selects: str | None = None, path: str = "/") -> Greeting:
    """Return an opening handshake with further headers, and the subprotocol that it leads to."""
    return Greeting(hello(*more, path=path), partial(judge_welcome, selects))


# What gets everything echoed as it is, and what speaks the wire's messages.
PLAIN_ECHO = greeting()
WIRE_MESSAGES = greeting(offer(SUBPROTOCOL), selects=SUBPROTOCOL)


class FramedWire:
    """The wire's messages, each in a binary frame."""

    def __init__(self) -> None:
        self.greeting = WIRE_MESSAGES
        self.corpus = tuple(
            (name, frame(BINARY, sent), reply(BINARY, expected)) for name, sent, expected in wire_bytes.CORPUS
        )
        self.bad_headers = tuple(refused(name, frame(BINARY, bad)) for name, bad, _ in wire_bytes.BAD_HEADERS)
        self.foreign_replies = tuple(refused(name, frame(BINARY, bad)) for name, bad in wire_bytes.FOREIGN_REPLIES)

    def request(self, sequence: int, payload: bytes = b"") -> bytes:
        """Return a REQUEST in a frame."""
        return frame(BINARY, wire_bytes.request(sequence, payload))

    def response(self, sequence: int, payload: bytes = b"") -> bytes:
        """Return its RESPONSE in a frame."""
        return reply(BINARY, wire_bytes.response(sequence, payload))

    def header(self, sequence: int, length: int) -> bytes:
        """Return the heads of a frame and of a REQUEST, without the payload that they announce."""
        head, mask = wire_bytes.header(sequence, length), b"\x11\x22\x33\x44"
        return frame_head(BINARY, len(head) + length, mask) + masked(head, mask)

    def over_the_limit(self, sequence: int, length: int) -> Refused:
        """Return the head of a frame that is longer than the server takes."""
        return refused(f"a length of {length}", self.header(sequence, length), TOO_BIG)

    def judge_goodbye(self, found: bytes) -> None:
        """Check that a close frame says that the server goes away."""
        judge_close(GOING_AWAY, "all replies, at the drain,", found)


def refused(name: str, sent: bytes, code: int = PROTOCOL_ERROR) -> Refused:
    """Return bytes for which a connection is closed with a code."""
    return Refused(name, sent, judge_closed_with(code, name))


def judge_closed_with(code: int | None, name: str) -> Callable[[bytes], None]:
    """Return who judges that all that comes is one close frame."""
    return partial(judge_close, code, name)


FRAMES = FramedWire()
