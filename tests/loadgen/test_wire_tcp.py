"""The client's codec, on literal bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.wire import (
    COUNTER_MASK,
    COUNTER_STEP,
    MAX_CONNECTION_NUMBER,
    Reply,
    make_codec,
    next_counter,
    transports,
    was_issued,
)
from loadgen.wire.tcp import Codec, Wire

PAYLOAD = b"payload"
HEADER = b"\xeb\x01\x01\x02\x00\x00\x00\x07"


def wire(number: int = 0x010203) -> Wire:
    """Return a connection's codec."""
    return Codec(PAYLOAD).connection(number)


def reply(counter: int) -> bytes:
    """Return the intact reply of connection 0x010203 as literal bytes."""
    return HEADER + b"\x01\x02\x03" + counter.to_bytes(5, "big") + PAYLOAD


def sequence(counter: int) -> int:
    """Return a sequence of connection 0x010203."""
    return (0x010203 << 40) + counter


def test_transports_are_the_files_of_the_folder() -> None:
    assert transports() == ["tcp", "udp", "ws"]
    assert [make_codec(name, b"").transport for name in transports()] == transports()


def test_a_request_is_header_sequence_and_payload() -> None:
    assert wire().request(5) == (
        sequence(5),
        b"\xeb\x01\x01\x01\x00\x00\x00\x07\x01\x02\x03\x00\x00\x00\x00\x05payload",
    )


def test_heads_and_tail_make_the_request_and_its_reply() -> None:
    tail = Codec(PAYLOAD).tail(77)
    assert wire().request_head + tail == wire().request(77)[1]
    assert wire().reply_head + tail == reply(77)
    assert wire().sequence_of(reply(77)) == sequence(77)


def test_no_two_connections_send_the_same_sequence() -> None:
    assert wire(0).request(9)[0] != wire(1).request(9)[0]
    assert wire(MAX_CONNECTION_NUMBER).request(COUNTER_MASK)[0] == (1 << 64) - 1


def test_counters_run_through_all_values_and_tell_whether_they_were_issued() -> None:
    assert COUNTER_STEP % 2 == 1  # odd: no value comes twice before all have come
    counters = [0]
    for _ in range(1000):
        counters.append(next_counter(counters[-1]))
    assert all(was_issued(counter, counters[1000]) for counter in counters[1:])
    assert not any(was_issued(counter, counters[500]) for counter in counters[501:])
    assert not was_issued(0, counters[1000])


def test_a_garbled_counter_is_none_that_was_issued() -> None:
    newest = (100_000 * COUNTER_STEP) & COUNTER_MASK
    for place in (1, 77, 50_000, 100_000):
        counter = (place * COUNTER_STEP) & COUNTER_MASK
        assert not any(was_issued(counter ^ (1 << bit), newest) for bit in range(40))


@given(st.lists(st.integers(0, 200), max_size=8))
def test_replies_are_found_however_they_are_split(cuts: list[int]) -> None:
    stream = b"".join(reply(counter) for counter in range(6))
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    receiver, found = wire(), []
    for begin, end in pairwise(bounds):
        found += receiver.replies(stream[begin:end])
    assert found == [Reply(sequence(counter), True) for counter in range(6)]
    assert receiver.broken is None
    assert not receiver.partial


@pytest.mark.parametrize(
    "message",
    [
        HEADER + bytes(8) + b"payloaD",
        b"\xeb\x01\x01\x01\x00\x00\x00\x07" + bytes(8) + PAYLOAD,
        b"\xeb\x01\x01\x02\x00\x00\x00\x03" + bytes(8) + b"pay",
        b"\xeb\x01\x01\x02\x00\x00\x00\x09" + bytes(8) + b"payload++",
    ],
    ids=["payload", "kind", "shorter", "longer"],
)
def test_a_message_that_is_no_echo_is_a_reply_that_is_not_intact(message: bytes) -> None:
    receiver = wire()
    assert receiver.replies(message + reply(1)) == [Reply(0, False), Reply(sequence(1), True)]
    assert receiver.broken is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n", "bytes that are no message: 485454502f312e31"),
        (b"\xeb\x01\x02\x02\x00\x00\x00\x07" + bytes(8), "bytes that are no message: eb010202"),
        (b"\xeb\x01\x01\x02\x7f\x00\x00\x00" + bytes(8), "a message of 2130706432 bytes"),
        (b"\xeb\x01\x01\x03\x00\x00\x00\x09" + bytes(8) + b"bad magic", "ERROR: bad magic"),
    ],
    ids=["garbage", "version", "length", "error"],
)
def test_bytes_that_are_no_message_break_the_wire_after_the_replies_before_them(data: bytes, reason: str) -> None:
    receiver = wire()
    assert receiver.replies(reply(1) + data) == [Reply(sequence(1), True)]
    assert receiver.broken is not None
    assert reason in receiver.broken


def test_the_beginning_of_a_message_is_kept_and_known() -> None:
    receiver = wire()
    assert receiver.replies(reply(3)[:20]) == []
    assert receiver.partial
    assert receiver.replies(reply(3)[20:]) == [Reply(sequence(3), True)]
    assert not receiver.partial
