"""The WebSocket protocol refuses a frame by its head, and holds nothing of what it is done with."""

import gc
import tracemalloc
import weakref
from collections.abc import Iterator

import pytest

from servers.contract import COUNTERS, PROTOCOL_ERRORS, Phase
from servers.wire.ws import WsProtocol
from tests.servers.wire.ws_bytes import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HELLO,
    HELLO_WIRE,
    LONGEST,
    PING,
    PONG,
    TEXT,
    code_of,
    frame,
    opened,
    reply,
)

# The heads of frames, up to their length and not a byte further.
SHORT, IN_TWO, IN_EIGHT = b"\x85", b"\xfe\x01\x2c", b"\xff" + (70_000).to_bytes(8, "big")
OVER = b"\xff" + (1 << 40).to_bytes(8, "big")
BEGUN = frame(BINARY, b"abc", fin=False)
HEADS = {
    "a reserved bit": (b"", b"\xc2"),
    "the reserved bits of a ping": (b"", b"\xb9"),
    "a reserved opcode": (b"", b"\x83"),
    "a reserved control opcode": (b"", b"\x8b"),
    "a close in fragments": (b"", b"\x08"),
    "a ping in fragments": (b"", b"\x09"),
    "a continuation of nothing": (b"", b"\x80"),
    "a text inside a message": (BEGUN, b"\x81"),
    "a fragment of a binary inside a message": (BEGUN, b"\x02"),
}
LENGTHS = {"a short length": SHORT, "two bytes": IN_TWO, "eight bytes": IN_EIGHT, "over the limit": OVER}


@pytest.mark.parametrize("hello", [HELLO, HELLO_WIRE], ids=["plain", "wire"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", HEADS)
def test_what_a_head_gives_away_is_refused_before_more_has_come(name: str, length: str, hello: bytes) -> None:
    begun, first = HEADS[name]
    assert code_at_the_head(begun, first + LENGTHS[length], hello) == 1002


@pytest.mark.parametrize("hello", [HELLO, HELLO_WIRE], ids=["plain", "wire"])
@pytest.mark.parametrize(
    "head",
    [
        *(bytes([0x80 | opcode, length]) for opcode in (TEXT, BINARY, PING) for length in (0, 5, 125, 126, 127)),
        *(bytes([0x80 | opcode, length]) for opcode in (CLOSE, PING, PONG) for length in (0xFE, 0xFF)),
        *(b"\x82\xfe" + length.to_bytes(2, "big") for length in (0, 5, 125)),
        *(b"\x82\xff" + length.to_bytes(8, "big") for length in (0, 126, 300, 65_535)),
        *(b"\x82\xff" + length.to_bytes(8, "big") for length in (1 << 63, (1 << 63) + 300, (1 << 64) - 1)),
    ],
    ids=bytes.hex,
)
def test_a_head_without_a_mask_or_with_a_length_that_may_not_be_is_refused(head: bytes, hello: bytes) -> None:
    assert code_at_the_head(b"", head, hello) == 1002


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("first", [b"\x81", b"\x01"])
def test_text_over_the_subprotocol_is_refused_at_its_head(first: bytes, length: str) -> None:
    assert code_at_the_head(b"", first + LENGTHS[length], HELLO_WIRE) == 1003


@pytest.mark.parametrize(
    ("begun", "head", "hello"),
    [
        (b"", b"\x82\xfe\x01\x2d", HELLO),
        (b"", b"\x81\xfe\x01\x2d", HELLO),
        (b"", b"\x82\xfe\x01\x3d", HELLO_WIRE),
        (b"", b"\x82" + OVER, HELLO),
        (b"", b"\x82\xff" + ((1 << 63) - 1).to_bytes(8, "big"), HELLO_WIRE),
        (BEGUN, b"\x80\xfe\x01\x2a", HELLO),
        (BEGUN, b"\x00\xfe\x01\x3a", HELLO_WIRE),
        (frame(BINARY, bytes(LONGEST), fin=False), b"\x80\x81", HELLO),
    ],
)
def test_a_length_over_the_limit_is_refused_at_its_head(begun: bytes, head: bytes, hello: bytes) -> None:
    assert code_at_the_head(begun, head, hello) == 1009


def code_at_the_head(begun: bytes, head: bytes, hello: bytes) -> int:
    """Return the code with which a head is refused, however it is split; it must be counted once."""
    found = set()
    for pieces in ([begun + head], [begun, *(head[at : at + 1] for at in range(len(head)))]):
        protocol, tally = opened(hello)
        said = b"".join(bytes(protocol.receive(piece)) for piece in pieces)
        assert (tally[PROTOCOL_ERRORS], protocol.phase) == (1, Phase.CLOSING)
        found.add(code_of(said))
    (code,) = found
    return code


@pytest.mark.parametrize("left", [124, 1, 0])
def test_a_ping_of_125_bytes_is_answered_in_a_message_that_is_nearly_full(left: int) -> None:
    protocol, _ = opened()
    first = frame(BINARY, bytes(LONGEST - left), fin=False)
    assert bytes(protocol.receive(first + frame(PING, b"p" * 125))) == reply(PONG, b"p" * 125)
    assert bytes(protocol.receive(frame(CONTINUATION, bytes(left)))) == reply(BINARY, bytes(LONGEST))


@pytest.fixture
def without_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


HALVES = {
    "nothing": b"",
    "half a head": b"\x82",
    "half a frame": frame(BINARY, bytes(200))[:100],
    "a fragment": BEGUN,
    "half a fragment": BEGUN + frame(CONTINUATION, bytes(99))[:50],
}


class Weakly(bytearray):
    """A buffer that can be watched."""


@pytest.mark.parametrize("hello", [b"", HELLO[:50], HELLO, HELLO_WIRE], ids=["none", "half", "plain", "wire"])
@pytest.mark.parametrize("received", HALVES.values(), ids=HALVES)
@pytest.mark.usefixtures("without_gc")
def test_what_a_dropped_connection_held_is_given_back_at_once(hello: bytes, received: bytes) -> None:
    protocol = WsProtocol([0] * len(COUNTERS), LONGEST)
    protocol.receive(hello + received)
    protocol._conversation._message = Weakly(protocol._conversation._message)
    message, parser = weakref.ref(protocol._conversation._message), weakref.ref(protocol._parser)
    assert message() is not None
    del protocol
    assert (message(), parser()) == (None, None)


@pytest.mark.usefixtures("without_gc")
def test_a_message_that_was_answered_is_not_kept() -> None:
    protocol, _ = opened(max_payload=1 << 20)
    tracemalloc.start()
    try:
        for sent in (frame(BINARY, bytes(60_000)), BEGUN + frame(CONTINUATION, bytes(60_000))):
            before = tracemalloc.get_traced_memory()[0]
            protocol.receive(sent)
            assert tracemalloc.get_traced_memory()[0] - before < 1 << 14
    finally:
        tracemalloc.stop()
