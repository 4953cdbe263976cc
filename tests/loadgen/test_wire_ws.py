"""The client's codec over WebSocket, on literal bytes."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.payload import Payloads
from loadgen.wire import Reply, next_counter
from loadgen.wire.ws import MOST_OWED_BYTES, Codec, Wire
from tests.loadgen import ws_bytes
from tests.loadgen.ws_bytes import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, unmasked

PAYLOAD = b"payload"
NUMBER = 0x010203
RESPONSE = b"\xeb\x01\x01\x02\x00\x00\x00\x07"


def wire(payload: bytes = PAYLOAD) -> Wire:
    """Return a connection's codec."""
    return Codec(payload).connection(NUMBER)


def message(counter: int) -> bytes:
    """Return an intact reply of the connection as literal bytes, without its frame."""
    return RESPONSE + b"\x01\x02\x03" + counter.to_bytes(5, "big") + PAYLOAD


def sequence(counter: int) -> int:
    """Return a sequence of the connection."""
    return (NUMBER << 40) + counter


def opened(data: bytes) -> tuple[bytes, bytes]:
    """Return the header of a masked frame without the key, and its payload unmasked."""
    head = {126: 4, 127: 10}.get(data[1] & 0x7F, 2)
    return data[:head], unmasked(data[head : head + 4], data[head + 4 :])


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x90"),
        (109, b"\x82\xfd"),
        (110, b"\x82\xfe\x00\x7e"),
        (65519, b"\x82\xfe\xff\xff"),
        (65520, b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_request_is_one_masked_binary_frame_with_the_shortest_length(size: int, head: bytes) -> None:
    payload = bytes(range(256)) * 256
    codec = Codec(payload[:size])
    number, request = codec.connection(NUMBER).request(5)
    assert number == sequence(5)
    assert len(request) == codec.request_bytes
    header = b"\xeb\x01\x01\x01" + size.to_bytes(4, "big") + b"\x01\x02\x03\x00\x00\x00\x00\x05"
    assert opened(request) == (head, header + payload[:size])


def test_head_and_masked_tail_make_the_request_and_head_and_tail_its_reply() -> None:
    codec = Codec(PAYLOAD)
    made, tail = codec.connection(NUMBER), codec.tail(77)
    assert made.request_head + codec.mask(tail, made.mask_key) == made.request(77)[1]
    assert made.reply_head + tail == frame(message(77))
    assert made.sequence_of(frame(message(77))) == sequence(77)
    assert codec.reply_bytes == codec.read_bytes == len(frame(message(77))) == codec.reply_bytes_of(sequence(77))


def test_every_connection_has_a_key_of_its_own() -> None:
    codec = Codec(PAYLOAD)
    keys = {codec.connection(NUMBER).request(1)[1][2:6] for _ in range(100)}
    assert len(keys) > 90


def test_in_a_mix_of_sizes_every_request_and_reply_has_its_own_length() -> None:
    codec = Codec(Payloads((b"short", bytes(300)), (0.5, 0.5)))
    lengths = set()
    counter = 0
    for _ in range(50):
        counter = next_counter(counter)
        number, request = codec.connection(NUMBER).request(counter)
        payload = opened(request)[1][16:]
        assert payload in (b"short", bytes(300))
        reply = frame(b"\xeb\x01\x01\x02" + len(payload).to_bytes(4, "big") + number.to_bytes(8, "big") + payload)
        assert codec.connection(NUMBER).replies(reply) == [Reply(number, True)]
        assert codec.reply_bytes_of(number) == len(reply)
        lengths.add(len(reply))
    assert lengths == {2 + 16 + 5, 4 + 16 + 300}


# A stream in which everything occurs that a server may send.
PINGED = [b"", b"ping", b"x" * 125]
STREAM = b"".join(
    [
        frame(message(0)),
        frame(PINGED[0], PING),
        b"\x82\x7e\x00\x17" + message(1),  # longer lengths than needed
        b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x17" + message(2),
        frame(message(3)[:1], 0x02) + frame(message(3)[1:20], 0x00) + frame(b"", 0x00),
        frame(PINGED[1], PING) + frame(b"nobody asked", PONG),
        frame(message(3)[20:], CONTINUATION),
        frame(b"", 0x02) + frame(message(4), CONTINUATION),
        frame(PINGED[2], PING),
        frame(message(5)),
    ]
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_replies_and_pongs_are_the_same_however_the_stream_is_split(cuts: list[int]) -> None:
    receiver, found = wire(), []
    for begin, end in pairwise([0, *sorted(cuts), len(STREAM)]):
        found += receiver.replies(STREAM[begin:end])
    assert found == [Reply(sequence(counter), True) for counter in range(6)]
    assert not receiver.partial
    assert (receiver.broken, receiver.closed) == (None, False)
    assert receiver.owed == b"".join(pong(receiver, data) for data in PINGED)


def pong(receiver: Wire, data: bytes) -> bytes:
    """Return a pong masked with the key of a wire."""
    key = receiver.request(1)[1][2:6]
    return bytes([PONG, 0x80 | len(data)]) + key + unmasked(key, data)


def test_byte_by_byte_replies_are_the_same() -> None:
    receiver = wire()
    found = [reply for at in range(len(STREAM)) for reply in receiver.replies(STREAM[at : at + 1])]
    assert found == [Reply(sequence(counter), True) for counter in range(6)]


@pytest.mark.parametrize("size", [109, 110, 65519, 65520, 200_000])
def test_replies_of_all_lengths_are_found(size: int) -> None:
    payload = bytes(size)
    reply = frame(b"\xeb\x01\x01\x02" + size.to_bytes(4, "big") + sequence(1).to_bytes(8, "big") + payload)
    receiver = wire(payload)
    assert receiver.replies(reply[:70]) == []
    assert receiver.partial
    assert receiver.replies(reply[70:] + reply[:1]) == [Reply(sequence(1), True)]
    assert receiver.partial


@pytest.mark.parametrize(
    "wrong",
    [
        RESPONSE + bytes(8) + b"payloaD",
        b"\xeb\x01\x01\x01\x00\x00\x00\x07" + bytes(8) + PAYLOAD,
        b"\xeb\x01\x01\x02\x00\x00\x00\x03" + bytes(8) + b"pay",
        RESPONSE + bytes(8) + PAYLOAD + b"+",
        RESPONSE + bytes(8) + PAYLOAD[:-1],
    ],
    ids=["payload", "kind", "shorter", "more than its header says", "less than its header says"],
)
def test_a_message_that_is_no_echo_is_a_reply_that_is_not_intact(wrong: bytes) -> None:
    receiver = wire()
    assert receiver.replies(frame(wrong) + frame(message(1))) == [Reply(0, False), Reply(sequence(1), True)]
    assert receiver.broken is None


BROKEN = {
    "text": (frame(b"hello", TEXT), "the server sent text where there are binary messages only"),
    "masked": (b"\x82\x97", "the server sent a masked frame"),
    "reserved bit": (b"\xc2\x17", "the server sent a frame with reserved bits"),
    "opcode": (b"\x83\x00", "the server sent a frame of the unknown kind 3"),
    "long ping": (b"\x89\x7e\x00\x7e", "the server sent a control frame that is too long or in fragments"),
    "ping in fragments": (b"\x09\x01", "the server sent a control frame that is too long or in fragments"),
    "no beginning": (frame(b"x", CONTINUATION), "the server sent the continuation of no message"),
    "two at once": (frame(b"x", 0x02) + b"\x82\x10", "the server sent the fragments of two messages at once"),
    "too long": (b"\x82\x7f" + (1 << 25).to_bytes(8, "big"), "the server sent a message of 33554432 bytes"),
    "length with its top bit": (b"\x82\x7f" + b"\xff" * 8, f"the server sent a message of {2**64 - 1} bytes"),
    "too long in fragments": (
        frame(bytes(100), 0x02) + b"\x80\x7f" + (1 << 24).to_bytes(8, "big"),
        f"the server sent a message of {(1 << 24) + 100} bytes",
    ),
    "no message": (frame(b"HTTP/1.1 200 OK\r\n"), "the server sent bytes that are no message: 485454502f312e31203230"),
    "shorter than a header": (frame(b"\xeb\x01"), "the server sent bytes that are no message: eb01"),
    "error": (frame(b"\xeb\x01\x01\x03\0\0\0\x03" + bytes(8) + b"why"), "the server sent ERROR: why"),
    "close with 1002": (frame(b"\x03\xea", CLOSE), "the server closed the connection: 1002 (protocol error)"),
    "close with a reason": (
        frame(b"\x03\xf1no, thanks", CLOSE),
        "the server closed the connection: 1009 (message too big) no, thanks",
    ),
    "close with a reason that would move the cursor": (
        frame(b"\x03\xf1\x1b[2J\n\xe2\x80\xae!", CLOSE),
        "the server closed the connection: 1009 (message too big) \\x1b[2J\\n\\u202e!",
    ),
    "close with a long reason": (
        frame(b"\x03\xf1" + b"x" * 123, CLOSE),
        f"the server closed the connection: 1009 (message too big) {'x' * 57}...",
    ),
    "error with control characters": (
        frame(b"\xeb\x01\x01\x03\0\0\0\x05" + bytes(8) + b"\x1b[2J\r"),
        "the server sent ERROR: \\x1b[2J\\r",
    ),
    "close with half a code": (frame(b"\x03", CLOSE), "the server sent a close frame that makes no sense: 03"),
    "close with a forbidden code": (frame(b"\x03\xed", CLOSE), "the server sent a close frame that makes no sense"),
    "close with bad UTF-8": (frame(b"\x03\xe8\xff", CLOSE), "the server sent a close frame that makes no sense"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_rules_breaks_the_wire_after_the_replies_before_it(name: str) -> None:
    data, sentence = BROKEN[name]
    receiver = wire()
    assert receiver.replies(frame(message(1)) + data) == [Reply(sequence(1), True)]
    assert receiver.broken is not None
    assert receiver.broken.startswith(sentence)
    assert receiver.replies(frame(message(2))) == []


@pytest.mark.parametrize(
    ("said", "answer"),
    [(b"\x03\xe8", b"\x03\xe8"), (b"\x03\xe9bye", b"\x03\xe9"), (b"", b"")],
    ids=["1000", "1001 with a reason", "no code"],
)
def test_a_close_frame_without_blame_ends_the_connection_and_its_code_is_given_back(said: bytes, answer: bytes) -> None:
    receiver = wire()
    assert receiver.replies(frame(message(1)) + frame(said, CLOSE) + frame(message(2))) == [Reply(sequence(1), True)]
    assert (receiver.closed, receiver.broken) == (True, None)
    assert opened(receiver.farewell()) == (bytes([0x88, 0x80 | len(answer)]), answer)


def test_leave_is_taken_with_1000_and_of_one_that_broke_the_rules_with_1002() -> None:
    receiver = wire()
    assert opened(receiver.farewell()) == (b"\x88\x82", b"\x03\xe8")
    receiver.replies(b"\x83\x00")
    assert opened(receiver.farewell()) == (b"\x88\x82", b"\x03\xea")


def test_of_many_pings_the_last_ones_are_answered_within_bounds() -> None:
    receiver = wire()
    for number in range(10_000):
        receiver.replies(frame(struct.pack("!Q", number) + bytes(100), PING))
    assert len(receiver.owed) <= MOST_OWED_BYTES
    assert receiver.owed.endswith(pong(receiver, struct.pack("!Q", 9_999) + bytes(100)))


def test_the_peer_of_the_tests_reads_what_the_codec_writes() -> None:
    class Fed:
        """A socket that holds some bytes."""

        def __init__(self, data: bytes) -> None:
            self._data = data

        def recv(self, size: int) -> bytes:
            """Return the next of them."""
            data, self._data = self._data[:size], self._data[size:]
            return data

    fed: Any = Fed(wire().request(5)[1])
    request = b"\xeb\x01\x01\x01\x00\x00\x00\x07\x01\x02\x03\x00\x00\x00\x00\x05payload"
    assert ws_bytes.read_frame(fed) == (BINARY, request)
