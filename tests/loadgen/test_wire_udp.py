"""The client's codec over UDP, on literal datagrams."""

from __future__ import annotations

import socket

import pytest

from loadgen.wire import Reply, make_codec, most_payload_bytes
from loadgen.wire.udp import Codec, Wire

PAYLOAD = b"payload"
HEADER = b"\xeb\x01\x01\x02\x00\x00\x00\x07"
NOBODY = -1


def wire(number: int = 0x010203) -> Wire:
    """Return a connection's codec."""
    return Codec(PAYLOAD).connection(number)


def reply(counter: int) -> bytes:
    """Return the intact reply of connection 0x010203 as a literal datagram."""
    return HEADER + b"\x01\x02\x03" + counter.to_bytes(5, "big") + PAYLOAD


def sequence(counter: int) -> int:
    """Return a sequence of connection 0x010203."""
    return (0x010203 << 40) + counter


def test_a_request_is_one_datagram_of_header_sequence_and_payload() -> None:
    assert wire().request(5) == (
        sequence(5),
        b"\xeb\x01\x01\x01\x00\x00\x00\x07\x01\x02\x03\x00\x00\x00\x00\x05payload",
    )


def test_heads_and_tail_make_the_request_and_its_reply() -> None:
    tail = Codec(PAYLOAD).tail(77)
    assert wire().request_head + tail == wire().request(77)[1]
    assert wire().reply_head + tail == reply(77)
    assert wire().sequence_of(reply(77)) == sequence(77)


def test_it_is_a_transport_of_datagrams_without_order() -> None:
    codec = make_codec("udp", PAYLOAD)
    assert (codec.transport, codec.socket_type, codec.ordered) == ("udp", socket.SOCK_DGRAM, False)


def test_the_longest_payload_makes_the_longest_datagram_there_is() -> None:
    assert 16 + most_payload_bytes("udp") == 65_507


def test_more_is_read_than_the_right_reply_has_so_that_a_longer_one_is_seen() -> None:
    codec = Codec(PAYLOAD)
    assert codec.read_bytes > codec.reply_bytes == 23


def test_an_echo_is_one_intact_reply() -> None:
    receiver = wire()
    assert receiver.replies(reply(3)) == [Reply(sequence(3), True)]
    assert (receiver.partial, receiver.broken) == (False, None)


@pytest.mark.parametrize(
    "datagram",
    [
        HEADER + bytes(8) + b"payloaD",
        HEADER + bytes(8) + b"payloa",
        HEADER + bytes(8) + b"payload+",
        HEADER + bytes(8) + b"payload" + HEADER + bytes(8) + b"payload",
        b"\xeb\x02\x01\x02\x00\x00\x00\x07" + bytes(8) + PAYLOAD,
        b"\xeb\x01\x02\x02\x00\x00\x00\x07" + bytes(8) + PAYLOAD,
        b"\xeb\x01\x01\x01\x00\x00\x00\x07" + bytes(8) + PAYLOAD,
        b"\xeb\x01\x01\x03\x00\x00\x00\x07" + bytes(8) + PAYLOAD,
        b"\xeb\x01\x01\x02\x00\x00\x00\x03" + bytes(8) + b"pay",
        b"\xeb\x01\x01\x02\x00\x00\x00\x09" + bytes(8) + b"payload",
    ],
    ids=["payload", "cut", "longer", "two", "magic", "version", "request", "error", "length", "lying length"],
)
def test_a_datagram_that_is_no_echo_is_not_intact_and_breaks_nothing(datagram: bytes) -> None:
    receiver = wire()
    assert receiver.replies(datagram) == [Reply(0, False)]
    assert receiver.replies(reply(1)) == [Reply(sequence(1), True)]
    assert (receiver.partial, receiver.broken) == (False, None)


@pytest.mark.parametrize("datagram", [b"", b"\xeb", reply(1)[:15]], ids=["empty", "a byte", "a header cut short"])
def test_a_datagram_without_a_whole_header_is_a_reply_to_nobody(datagram: bytes) -> None:
    receiver = wire()
    assert receiver.replies(datagram) == [Reply(NOBODY, False)]
    assert receiver.replies(reply(1)) == [Reply(sequence(1), True)]


def test_a_payload_of_no_bytes_is_echoed_by_a_bare_header() -> None:
    receiver = Codec(b"").connection(0)
    assert receiver.replies(b"\xeb\x01\x01\x02" + bytes(12)) == [Reply(0, True)]
    assert receiver.replies(b"\xeb\x01\x01\x02" + bytes(13)) == [Reply(0, False)]
