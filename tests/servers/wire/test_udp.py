"""The datagram protocol, without a socket: a request is answered, everything else is dropped and counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.contract import COUNTERS, MESSAGES, PROTOCOL_ERRORS
from servers.wire.udp import UdpProtocol

# Literal bytes: the tests must not be built by the code they test.
REQUEST_ABC = bytes.fromhex("eb01 01 01 00000003 0000000000000007") + b"abc"
RESPONSE_ABC = bytes.fromhex("eb01 01 02 00000003 0000000000000007") + b"abc"

LONGEST = 40
DATAGRAMS = st.one_of(
    st.binary(max_size=80),
    # A request, or what differs from one in a field or in its length.
    st.builds(
        lambda start, length, sequence, payload: start + length.to_bytes(4, "big") + sequence + payload,
        st.sampled_from([b"\xeb\x01\x01\x01"] * 8 + [b"\xeb\x01\x01\x02", b"\xeb\x01\x01\x03", b"\xeb\x01\x02\x01"]),
        st.integers(0, 4),
        st.binary(min_size=8, max_size=8),
        st.binary(max_size=4),
    ),
    st.integers(LONGEST - 2, LONGEST + 2).map(
        lambda size: b"\xeb\x01\x01\x01" + size.to_bytes(4, "big") + bytes(8) + bytes(size)
    ),
)


def fresh(max_payload: int = 1 << 20) -> tuple[UdpProtocol, list[int]]:
    tally = [0] * len(COUNTERS)
    return UdpProtocol(tally, 16 + max_payload), tally


def judged(datagram: bytes) -> bytes | None:
    """Say by the wire's description what a datagram is answered."""
    length = int.from_bytes(datagram[4:8], "big")
    if len(datagram) < 16 or datagram[:4] != b"\xeb\x01\x01\x01" or len(datagram) != 16 + length or length > LONGEST:
        return None
    return b"\xeb\x01\x01\x02" + datagram[4:]


def test_a_request_is_answered_with_its_sequence_and_payload() -> None:
    protocol, tally = fresh()
    assert protocol.receive(REQUEST_ABC) == RESPONSE_ABC
    assert (tally[MESSAGES], tally[PROTOCOL_ERRORS]) == (1, 0)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        REQUEST_ABC[:15],
        REQUEST_ABC[:-1],
        REQUEST_ABC + b"d",
        REQUEST_ABC + REQUEST_ABC,
        RESPONSE_ABC,
        b"\xeb\x01\x01\x03" + REQUEST_ABC[4:],
        b"\xeb\x01\x01\x00" + REQUEST_ABC[4:],
        b"\xeb\x01\x02\x01" + REQUEST_ABC[4:],
        b"\xeb\x02\x01\x01" + REQUEST_ABC[4:],
    ],
)
def test_what_is_not_one_whole_request_is_dropped_and_counted(datagram: bytes) -> None:
    protocol, tally = fresh()
    assert protocol.receive(datagram) is None
    assert (tally[MESSAGES], tally[PROTOCOL_ERRORS]) == (0, 1)
    assert protocol.receive(REQUEST_ABC) == RESPONSE_ABC, "a datagram stands alone"


def test_the_longest_payload_is_accepted_and_a_longer_one_is_not() -> None:
    protocol, _ = fresh(max_payload=3)
    assert protocol.receive(REQUEST_ABC) == RESPONSE_ABC
    assert protocol.receive(bytes.fromhex("eb01 01 01 00000004 0000000000000007") + b"abcd") is None


def test_the_reply_does_not_alias_the_receive_buffer() -> None:
    protocol, _ = fresh()
    buffer = bytearray(REQUEST_ABC)
    reply = protocol.receive(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert reply == RESPONSE_ABC


@given(DATAGRAMS)
def test_any_datagram_is_answered_as_the_wire_says(datagram: bytes) -> None:
    protocol, tally = fresh(max_payload=LONGEST)
    reply, expected = protocol.receive(datagram), judged(datagram)
    assert (None if reply is None else bytes(reply)) == expected
    assert (tally[MESSAGES], tally[PROTOCOL_ERRORS]) == ((1, 0) if expected else (0, 1))


@given(DATAGRAMS)
def test_no_reply_is_ever_answered_by_another_server(datagram: bytes) -> None:
    reply = fresh(max_payload=LONGEST)[0].receive(datagram)
    assert reply is None or fresh(max_payload=LONGEST)[0].receive(reply) is None


@given(st.lists(DATAGRAMS, max_size=20))
def test_every_datagram_is_counted_once(datagrams: list[bytes]) -> None:
    protocol, tally = fresh(max_payload=LONGEST)
    answered = sum(protocol.receive(datagram) is not None for datagram in datagrams)
    assert (tally[MESSAGES], tally[PROTOCOL_ERRORS]) == (answered, len(datagrams) - answered)
    assert sum(tally) == len(datagrams), "nothing else is counted"
