"""The stream protocol, without a socket: every way to split and glue, and everything that is no request."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.contract import COUNTERS, MESSAGES, PROTOCOL_ERRORS, TRUNCATED, Phase
from servers.wire.tcp import TcpProtocol

# Literal bytes: the tests must not be built by the code they test.
REQUEST_ABC = bytes.fromhex("eb01 01 01 00000003 0000000000000007") + b"abc"
RESPONSE_ABC = bytes.fromhex("eb01 01 02 00000003 0000000000000007") + b"abc"
EMPTY_REQUEST = bytes.fromhex("eb01 01 01 00000000 ffffffffffffffff")
EMPTY_RESPONSE = bytes.fromhex("eb01 01 02 00000000 ffffffffffffffff")

SHORT = 40  # the longest payload of those that look into refusals
# Messages, and what differs from one in a field or in its length: glued together they are every kind of stream.
ALMOST_MESSAGES = st.builds(
    lambda start, length, sequence, payload: start + length.to_bytes(4, "big") + sequence.to_bytes(8, "big") + payload,
    st.sampled_from(
        [b"\xeb\x01\x01\x01"] * 12 + [b"\xeb\x01\x01\x02", b"\xeb\x01\x01\x03", b"\xeb\x01\x01\0", b"HTTP"]
    ),
    st.one_of(st.integers(0, 6), st.integers(0, 6), st.integers(SHORT - 1, SHORT + 1), st.just(0xFFFF_FFFF)),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=8),
)
STREAMS = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.binary(max_size=5).map(lambda payload: request(1, payload)), ALMOST_MESSAGES)).map(b"".join),
)


def fresh(max_payload: int = 1 << 20) -> tuple[TcpProtocol, list[int]]:
    tally = [0] * len(COUNTERS)
    return TcpProtocol(tally, max_payload), tally


def request(sequence: int, payload: bytes) -> bytes:
    return b"\xeb\x01\x01\x01" + len(payload).to_bytes(4, "big") + sequence.to_bytes(8, "big") + payload


def response(sequence: int, payload: bytes) -> bytes:
    return b"\xeb\x01\x01\x02" + len(payload).to_bytes(4, "big") + sequence.to_bytes(8, "big") + payload


def test_a_whole_request_is_answered_with_its_sequence_and_payload() -> None:
    protocol, tally = fresh()
    assert protocol.receive(REQUEST_ABC) == RESPONSE_ABC
    assert protocol.receive(EMPTY_REQUEST) == EMPTY_RESPONSE
    assert (tally[MESSAGES], protocol.phase) == (2, Phase.OPEN)


def test_a_request_that_comes_byte_by_byte_is_answered_at_its_last_byte() -> None:
    protocol, tally = fresh()
    for byte in REQUEST_ABC[:-1]:
        assert protocol.receive(bytes([byte])) == b""
        assert protocol.phase is Phase.PARTIAL
    assert protocol.receive(REQUEST_ABC[-1:]) == RESPONSE_ABC
    assert (tally[MESSAGES], protocol.phase) == (1, Phase.OPEN)


def test_the_reply_does_not_alias_the_receive_buffer() -> None:
    protocol, _ = fresh()
    buffer = bytearray(REQUEST_ABC)
    reply = protocol.receive(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert reply == RESPONSE_ABC


def judged(stream: bytes) -> tuple[bytes, int, int, Phase]:
    """Say by the wire's description what a stream is answered, how it is counted, and where it ends."""
    replies, messages, at = b"", 0, 0
    while len(stream) - at >= 16:
        start, length = stream[at : at + 4], int.from_bytes(stream[at + 4 : at + 8], "big")
        if start != b"\xeb\x01\x01\x01" or length > SHORT:
            return replies, messages, 1, Phase.CLOSING
        if len(stream) - at < 16 + length:
            break
        replies += response(int.from_bytes(stream[at + 8 : at + 16], "big"), stream[at + 16 : at + 16 + length])
        messages, at = messages + 1, at + 16 + length
    return replies, messages, 0, Phase.PARTIAL if at < len(stream) else Phase.OPEN


def is_one_error(said: bytes) -> bool:
    return said[:4] == b"\xeb\x01\x01\x03" and int.from_bytes(said[4:8], "big") == len(said) - 16 > 0


@given(STREAMS, st.integers(1, 40), st.randoms(use_true_random=False))
def test_any_stream_is_answered_as_the_wire_says_however_it_is_split(
    stream: bytes, longest: int, rng: random.Random
) -> None:
    replies, messages, errors, phase = judged(stream)
    protocol, tally = fresh(max_payload=SHORT)
    said, rest = b"", stream
    while rest:
        size = rng.randint(1, longest)
        said += bytes(protocol.receive(memoryview(rest[:size])))
        rest = rest[size:]
    assert said.startswith(replies)
    assert said == replies or (phase is Phase.CLOSING and is_one_error(said[len(replies) :]))
    assert (tally[MESSAGES], tally[PROTOCOL_ERRORS], protocol.phase) == (messages, errors, phase)


@given(STREAMS)
def test_a_stream_in_one_piece_is_answered_like_its_bytes(stream: bytes) -> None:
    (whole, whole_tally), (bytewise, bytewise_tally) = fresh(max_payload=SHORT), fresh(max_payload=SHORT)
    assert bytes(whole.receive(stream)) == b"".join(bytes(bytewise.receive(bytes([byte]))) for byte in stream)
    assert (whole_tally, whole.phase) == (bytewise_tally, bytewise.phase)


@given(STREAMS)
def test_steps_are_what_receive_returns_also_of_streams_that_are_refused(stream: bytes) -> None:
    (whole, whole_tally), (stepwise, stepwise_tally) = fresh(max_payload=SHORT), fresh(max_payload=SHORT)
    steps = [bytes(step.reply) for step in stepwise.steps(stream)]
    assert b"".join(steps) == bytes(whole.receive(stream))
    assert all(int.from_bytes(step[4:8], "big") == len(step) - 16 for step in steps), "a step is one whole message"
    assert (stepwise_tally, stepwise.phase) == (whole_tally, whole.phase)


@given(STREAMS, st.lists(STREAMS, max_size=4))
def test_nothing_is_answered_or_counted_after_the_end(stream: bytes, later: list[bytes]) -> None:
    protocol, tally = fresh(max_payload=SHORT)
    protocol.receive(stream)
    protocol.receive_eof()
    counted = list(tally)
    for data in later:
        assert bytes(protocol.receive(data)) == b""
        assert list(protocol.steps(data)) == []
    assert (tally, protocol.phase) == (counted, Phase.CLOSING)


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=100)), max_size=20),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_any_split_of_any_messages_gives_the_same_replies_in_order(
    messages: list[tuple[int, bytes]], longest: int, rng: random.Random
) -> None:
    protocol, tally = fresh()
    stream, replies = b"".join(request(*message) for message in messages), b""
    while stream:
        size = rng.randint(1, longest)
        replies += bytes(protocol.receive(memoryview(stream[:size])))
        stream = stream[size:]
    assert replies == b"".join(response(*message) for message in messages)
    assert tally[MESSAGES] == len(messages)


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(0, 15))
def test_steps_are_the_replies_of_receive_cut_into_messages(payloads: list[bytes], cut: int) -> None:
    stream = b"".join(request(n, payload) for n, payload in enumerate(payloads)) + REQUEST_ABC[:cut]
    whole, stepwise = fresh()[0], fresh()[0]
    steps = [bytes(step.reply) for step in stepwise.steps(stream)]
    assert steps == [response(n, payload) for n, payload in enumerate(payloads)]
    assert b"".join(steps) == whole.receive(stream)


@pytest.mark.parametrize(
    ("header", "sequence", "reason"),
    [
        ("eb02 01 01 00000000 0000000000000009", 0, b"bad magic"),
        ("eb01 02 01 00000000 0000000000000009", 9, b"bad version"),
        ("eb01 01 00 00000000 0000000000000009", 9, b"bad kind"),
        ("eb01 01 ff 00000000 0000000000000009", 9, b"bad kind"),
        ("eb01 01 01 00000065 0000000000000009", 9, b"payload too long"),
        ("eb01 01 01 ffffffff 0000000000000009", 9, b"payload too long"),
    ],
)
def test_a_bad_header_is_refused_after_the_requests_before_it_are_answered(
    header: str, sequence: int, reason: bytes
) -> None:
    protocol, tally = fresh(max_payload=100)
    replies = bytes(protocol.receive(REQUEST_ABC + bytes.fromhex(header) + REQUEST_ABC))
    error = b"\xeb\x01\x01\x03" + len(reason).to_bytes(4, "big") + sequence.to_bytes(8, "big") + reason
    assert replies == RESPONSE_ABC + error
    assert protocol.phase is Phase.CLOSING
    assert (tally[MESSAGES], tally[PROTOCOL_ERRORS]) == (1, 1)
    assert protocol.receive(REQUEST_ABC) == b""


@pytest.mark.parametrize("kind", ["02", "03"])
def test_a_reply_is_never_answered(kind: str) -> None:
    protocol, tally = fresh()
    assert protocol.receive(REQUEST_ABC + bytes.fromhex(f"eb0101{kind} 00000000 0000000000000001")) == RESPONSE_ABC
    assert (protocol.phase, tally[PROTOCOL_ERRORS]) == (Phase.CLOSING, 1)


def test_a_header_is_judged_as_soon_as_its_sixteen_bytes_are_there() -> None:
    protocol, _ = fresh(max_payload=100)
    assert protocol.receive(b"GET / HTTP/1.1\r") == b""
    assert bytes(protocol.receive(b"\n")).endswith(b"bad magic")


def test_the_longest_payload_is_accepted() -> None:
    protocol, _ = fresh(max_payload=100)
    assert protocol.receive(request(1, b"x" * 100)) == response(1, b"x" * 100)


def test_an_unfinished_message_at_the_end_is_dropped_and_counted() -> None:
    protocol, tally = fresh()
    protocol.receive(REQUEST_ABC + REQUEST_ABC[:5])
    assert protocol.receive_eof() == b""
    assert (tally[TRUNCATED], tally[MESSAGES], protocol.phase) == (1, 1, Phase.CLOSING)


def test_an_end_between_messages_is_no_truncation() -> None:
    protocol, tally = fresh()
    protocol.receive(REQUEST_ABC)
    protocol.drain()
    assert (tally[TRUNCATED], protocol.phase) == (0, Phase.CLOSING)


def test_a_length_takes_no_memory_before_its_bytes_have_arrived() -> None:
    protocol, _ = fresh(max_payload=1 << 30)
    protocol.receive(bytes.fromhex("eb01 01 01 40000000 0000000000000001"))
    assert len(protocol._held) == 16
