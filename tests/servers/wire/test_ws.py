"""The WebSocket protocol, without a socket: every way to split and glue, and everything that closes a connection."""

import itertools
import random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.contract import COUNTERS, MESSAGES, PROTOCOL_ERRORS, TRUNCATED, Phase
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
    REQUEST_ABC,
    RESPONSE_ABC,
    TEXT,
    close,
    code_of,
    frame,
    opened,
    reply,
)


class Said(NamedTuple):
    """What a client says, what that is answered, and how many messages it is."""

    sent: bytes
    answered: bytes = b""
    messages: int = 0


def message(opcode: int, payload: bytes, cuts: list[int], ping: bytes | None) -> Said:
    """A message in as many fragments as its cuts make, with a ping behind the first of several."""
    at = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    parts = [payload[start:end] for start, end in itertools.pairwise(at)]
    frames = [frame(CONTINUATION if n else opcode, part, fin=n == len(parts) - 1) for n, part in enumerate(parts)]
    if ping is None or len(frames) == 1:
        return Said(b"".join(frames), reply(opcode, payload), 1)
    frames.insert(1, frame(PING, ping))
    return Said(b"".join(frames), reply(PONG, ping) + reply(opcode, payload), 1)


cuts = st.lists(st.integers(0, LONGEST), max_size=4)
pings = st.none() | st.binary(max_size=125)
texts = st.text(max_size=70).map(str.encode)
SAID = st.one_of(
    st.builds(message, st.just(TEXT), texts, cuts, pings),
    st.builds(message, st.just(BINARY), st.binary(max_size=LONGEST), cuts, pings),
    st.binary(max_size=125).map(lambda data: Said(frame(PING, data), reply(PONG, data))),
    st.binary(max_size=125).map(lambda data: Said(frame(PONG, data))),
)
# What ends a connection for what the peer sent, and the code of the close frame that says so.
BAD = (
    (frame(0x3), 1002),
    (frame(0xB), 1002),
    (b"\xc1" + frame(TEXT, b"a")[1:], 1002),
    (reply(TEXT, b"a"), 1002),
    (frame(PING, b"a", fin=False), 1002),
    (frame(PING, bytes(126)), 1002),
    (frame(CONTINUATION, b"a"), 1002),
    (frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), 1002),
    (frame(TEXT, b"\xff"), 1007),
    (frame(TEXT, b"\xe2\x82"), 1007),
    (frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"a", fin=False), 1007),
    (frame(BINARY, bytes(LONGEST + 1))[:8], 1009),
    (frame(BINARY, bytes(LONGEST), fin=False) + frame(CONTINUATION, b"a"), 1009),
    (close(1005), 1002),
    (frame(CLOSE, b"\x03"), 1002),
    (close(1000, b"\xff"), 1007),
)
GOOD_ENDS = ((b"", None), (close(1000), 1000), (close(4999, "Grüße".encode()), 4999), (frame(CLOSE), 0))
STREAMS = st.tuples(st.lists(SAID, max_size=8), st.sampled_from(GOOD_ENDS + BAD))


@given(STREAMS, st.integers(1, 60), st.randoms(use_true_random=False))
def test_any_stream_is_answered_as_the_rfc_says_however_it_is_split(
    stream: tuple[list[Said], tuple[bytes, int | None]], longest: int, rng: random.Random
) -> None:
    said, (end, code) = stream
    protocol, tally = opened()
    got, rest = b"", b"".join(each.sent for each in said) + end
    while rest:
        size = rng.randint(1, longest)
        got += bytes(protocol.receive(memoryview(rest[:size])))
        rest = rest[size:]
    answered = b"".join(each.answered for each in said)
    assert got.startswith(answered)
    assert (code_of(got[len(answered) :]) if len(got) > len(answered) else None) == code
    assert tally[MESSAGES] == sum(each.messages for each in said)
    assert tally[PROTOCOL_ERRORS] == ((end, code) in BAD)
    assert protocol.phase is (Phase.OPEN if code is None else Phase.CLOSING)


@given(STREAMS)
def test_a_stream_in_one_piece_is_answered_like_its_bytes(stream: tuple[list[Said], tuple[bytes, int | None]]) -> None:
    sent = b"".join(each.sent for each in stream[0]) + stream[1][0]
    (whole, whole_tally), (bytewise, bytewise_tally) = opened(), opened()
    assert bytes(whole.receive(sent)) == b"".join(bytes(bytewise.receive(bytes([byte]))) for byte in sent)
    assert (whole_tally, whole.phase) == (bytewise_tally, bytewise.phase)


@given(STREAMS)
def test_steps_are_what_receive_returns_frame_by_frame(stream: tuple[list[Said], tuple[bytes, int | None]]) -> None:
    sent = b"".join(each.sent for each in stream[0]) + stream[1][0]
    (whole, whole_tally), (stepwise, stepwise_tally) = opened(), opened()
    steps = [bytes(step.reply) for step in stepwise.steps(sent)]
    assert b"".join(steps) == bytes(whole.receive(sent))
    assert all(step[0] & 0x80 for step in steps), "a step begins with a frame, and replies have one each"
    assert (stepwise_tally, stepwise.phase) == (whole_tally, whole.phase)


@given(STREAMS, st.lists(st.binary(max_size=80), max_size=4))
def test_nothing_is_answered_or_counted_after_the_end(
    stream: tuple[list[Said], tuple[bytes, int | None]], later: list[bytes]
) -> None:
    protocol, tally = opened()
    protocol.receive(b"".join(each.sent for each in stream[0]) + stream[1][0])
    protocol.receive_eof()
    counted = list(tally)
    for data in later:
        assert bytes(protocol.receive(data)) == b""
        assert list(protocol.steps(data)) == []
    assert bytes(protocol.drain()) == b""
    assert (tally, protocol.phase) == (counted, Phase.CLOSING)


@given(st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_handshake_may_be_split_anywhere_and_glued_to_what_follows(longest: int, rng: random.Random) -> None:
    tally = [0] * len(COUNTERS)
    protocol = WsProtocol(tally, LONGEST)
    got, rest = b"", HELLO_WIRE + frame(BINARY, REQUEST_ABC) + frame(PING)
    while rest:
        size = rng.randint(1, longest)
        got += bytes(protocol.receive(rest[:size]))
        rest = rest[size:]
    head, _, frames = got.partition(b"\r\n\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head.split(b"\r\n")
    assert b"Sec-WebSocket-Protocol: echobench.v1" in head.split(b"\r\n")
    assert frames == reply(BINARY, RESPONSE_ABC) + reply(PONG)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, REQUEST_ABC[1:1]), 1003),
        (frame(BINARY), 1002),
        (frame(BINARY, REQUEST_ABC[:-1]), 1002),
        (frame(BINARY, REQUEST_ABC + b"!"), 1002),
        (frame(BINARY, RESPONSE_ABC), 1002),
        (frame(BINARY, 2 * REQUEST_ABC), 1002),
        (frame(BINARY, bytes(16 + LONGEST + 1))[:4], 1009),
    ],
)
def test_what_is_not_one_request_closes_the_subprotocol(sent: bytes, code: int) -> None:
    protocol, tally = opened(HELLO_WIRE)
    got = bytes(protocol.receive(frame(BINARY, REQUEST_ABC) + sent + frame(BINARY, REQUEST_ABC)))
    assert got.startswith(reply(BINARY, RESPONSE_ABC))
    assert code_of(got[len(reply(BINARY, RESPONSE_ABC)) :]) == code
    assert (tally[MESSAGES], tally[PROTOCOL_ERRORS], protocol.phase) == (1, 1, Phase.CLOSING)


def test_the_reply_does_not_alias_the_receive_buffer() -> None:
    protocol, _ = opened()
    buffer = bytearray(frame(BINARY, b"abc"))
    answer = protocol.receive(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert answer == reply(BINARY, b"abc")


@pytest.mark.parametrize("begun", [HELLO[:1], HELLO[:-1]])
def test_half_a_handshake_is_partial_and_truncated_at_the_end(begun: bytes) -> None:
    tally = [0] * len(COUNTERS)
    protocol = WsProtocol(tally, LONGEST)
    assert (protocol.phase, protocol.receive(begun)) == (Phase.OPEN, b"")
    assert protocol.phase is Phase.PARTIAL
    protocol.receive_eof()
    assert (tally[TRUNCATED], tally[PROTOCOL_ERRORS], protocol.phase) == (1, 0, Phase.CLOSING)


@pytest.mark.parametrize("begun", [b"\x81", frame(TEXT, b"abc")[:-1], frame(TEXT, b"abc", fin=False)])
def test_half_a_message_is_partial_and_truncated_at_the_end(begun: bytes) -> None:
    protocol, tally = opened()
    protocol.receive(begun)
    assert protocol.phase is Phase.PARTIAL
    protocol.receive_eof()
    assert (tally[TRUNCATED], tally[PROTOCOL_ERRORS], protocol.phase) == (1, 0, Phase.CLOSING)


def test_a_fragmented_message_stays_partial_between_its_frames_whatever_comes_between() -> None:
    protocol, _ = opened()
    protocol.receive(frame(TEXT, b"abc", fin=False) + frame(PING))
    assert protocol.phase is Phase.PARTIAL
    assert bytes(protocol.receive(frame(CONTINUATION, b"d"))) == reply(TEXT, b"abcd")
    assert protocol.phase is Phase.OPEN


@pytest.mark.parametrize(("received", "farewell"), [(b"", 0), (HELLO[:40], 0), (HELLO, 1001), (HELLO + b"\x81", 1001)])
def test_the_drain_says_1001_where_the_handshake_is_done(received: bytes, farewell: int) -> None:
    protocol = WsProtocol([0] * len(COUNTERS), LONGEST)
    protocol.receive(received)
    said = bytes(protocol.drain())
    assert (code_of(said) if said else 0) == farewell
    assert protocol.phase is Phase.CLOSING


def test_a_length_takes_no_memory_before_its_bytes_have_arrived() -> None:
    protocol, _ = opened(max_payload=1 << 30)
    protocol.receive(b"\x82\xff" + (1 << 30).to_bytes(8, "big") + b"\0\0\0\0" + b"a beginning")
    assert len(protocol._conversation.buffer) < 100
