"""Messages as literal bytes, written down here from the wire's description and not taken from the code under test.

offset  size  field      value
0       2     magic      eb 01
2       1     version    01
3       1     kind       01 REQUEST, 02 RESPONSE, 03 ERROR
4       4     length     payload bytes that follow, big endian
8       8     sequence   chosen by the client, returned unchanged, big endian
"""

from __future__ import annotations

import itertools
import random

HEADER_BYTES = 16
HIGHEST_SEQUENCE = 0xFFFF_FFFF_FFFF_FFFF
LONGEST_REASON_BYTES = 100

# (what it is, the request, its reply). Payloads look like everything that a careless parser could trip over.
CORPUS: tuple[tuple[str, bytes, bytes], ...] = tuple(
    (name, bytes.fromhex(f"eb010101 {rest}"), bytes.fromhex(f"eb010102 {rest}"))
    for name, rest in (
        ("an empty payload with sequence 0", "00000000 0000000000000000"),
        ("one byte", "00000001 0000000000000001 41"),
        ("an empty payload with the highest sequence", "00000000 ffffffffffffffff"),
        ("a sequence whose bytes all differ", "00000003 0102030405060708 616263"),
        ("a sequence with the sign bit alone", "00000002 8000000000000000 0d0a"),
        ("a payload that is a request", "00000010 0000000000000007 eb010101000000000000000000000008"),
        ("a payload that is a response", "00000010 0000000000000009 eb010102000000000000000000000008"),
        ("a payload that starts like a bad header", "00000012 000000000000000a eb0101ffffffffff00000000000000000000"),
        ("a payload of zeros", "00000011 000000000000000b 0000000000000000000000000000000000"),
        ("a payload of ones", "00000014 000000000000000c ffffffffffffffffffffffffffffffffffffffff"),
        ("a payload with line ends and a null", "00000008 000000000000000d 0d0a0d0a000a0d00"),
    )
)

# (what it is, its header, whether the sequence in it can be trusted). Every one asks for an ERROR and then the end.
# Behind a wrong magic or version nothing is known about the bytes, so 0 is as good a sequence as the one found there.
BAD_HEADERS: tuple[tuple[str, bytes, bool], ...] = tuple(
    (name, bytes.fromhex(header), known)
    for name, header, known in (
        ("a wrong magic", "eb020101 00000000 1122334455667788", False),
        ("a magic with its bytes swapped", "01eb0101 00000000 1122334455667788", False),
        ("text of another protocol", "474554202f20485454502f312e310d0a", False),
        ("version 0", "eb010001 00000000 1122334455667788", False),
        ("version 2", "eb010201 00000000 1122334455667788", False),
        ("kind 0", "eb010100 00000000 1122334455667788", True),
        ("kind 4", "eb010104 00000000 1122334455667788", True),
        ("kind 255", "eb0101ff 00000000 1122334455667788", True),
        ("a length of 2^31", "eb010101 80000000 1122334455667788", True),
        ("a length of 2^32 - 1", "eb010101 ffffffff 1122334455667788", True),
    )
)

# Replies of others, which no server ever answers.
FOREIGN_REPLIES: tuple[tuple[str, bytes], ...] = (
    ("a RESPONSE", bytes.fromhex("eb010102 00000003 1122334455667788 616263")),
    ("an empty RESPONSE", bytes.fromhex("eb010102 00000000 0000000000000000")),
    ("an ERROR", bytes.fromhex("eb010103 00000003 1122334455667788 626164")),
    ("a RESPONSE of impossible length", bytes.fromhex("eb010102 ffffffff 1122334455667788")),
)

# (what it is, the datagram). None of them is one whole request and nothing else.
BAD_DATAGRAMS: tuple[tuple[str, bytes], ...] = (
    ("an empty datagram", b""),
    ("one byte", b"\xeb"),
    ("15 bytes of a header", bytes.fromhex("eb010101 00000000 11223344556677")),
    ("a payload that is one byte short", bytes.fromhex("eb010101 00000003 1122334455667788 6162")),
    ("a payload that is one byte too long", bytes.fromhex("eb010101 00000003 1122334455667788 61626364")),
    ("a header that announces a payload which is not there", bytes.fromhex("eb010101 00000400 1122334455667788")),
    ("two requests in one datagram", 2 * bytes.fromhex("eb010101 00000001 1122334455667788 41")),
    ("a request and a part of another", bytes.fromhex("eb010101 00000000 1122334455667788 eb0101010000")),
    *((name, header) for name, header, _ in BAD_HEADERS),
    *FOREIGN_REPLIES,
)


def request(sequence: int, payload: bytes = b"") -> bytes:
    """Return a REQUEST."""
    return _message("eb010101", sequence, payload)


def response(sequence: int, payload: bytes = b"") -> bytes:
    """Return the RESPONSE to the REQUEST of the same sequence and payload."""
    return _message("eb010102", sequence, payload)


def header(sequence: int, length: int) -> bytes:
    """Return the header of a REQUEST without the payload that it announces."""
    return bytes.fromhex("eb010101") + length.to_bytes(4, "big") + sequence.to_bytes(8, "big")


def payload_of(size: int, seed: int = 0) -> bytes:
    """Return `size` bytes that differ from seed to seed and repeat nowhere."""
    return random.Random(f"{size}/{seed}").randbytes(size)


def pieces(data: bytes, rng: random.Random, count: int) -> list[bytes]:
    """Return the data cut at up to `count` random places, no piece empty."""
    cuts = [0, *sorted(rng.sample(range(1, len(data)), min(count, len(data) - 1))), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(cuts)]


def difference(got: bytes, expected: bytes) -> str:
    """Say where and how bytes differ from what was expected, in one short phrase."""
    same = next((at for at, (ours, theirs) in enumerate(zip(got, expected, strict=False)) if ours != theirs), None)
    at = min(len(got), len(expected)) if same is None else same
    start = max(0, at - 4)
    return (
        f"{len(got)} bytes instead of {len(expected)}, other from byte {at} on: "
        f"{got[start : at + 12].hex(' ')!r} instead of {expected[start : at + 12].hex(' ')!r}"
    )


def assert_refusal(found: bytes, sequence: int, sequence_known: bool, name: str) -> None:
    """Check that bytes are one ERROR about the message of that sequence, with a short reason in ASCII."""
    rule = f"after {name} comes one ERROR"
    assert found[:4] == bytes.fromhex("eb010103"), f"{rule}, found {found[:32].hex(' ')!r} ({len(found)} bytes)"
    length, answered = int.from_bytes(found[4:8], "big"), int.from_bytes(found[8:16], "big")
    reason = found[HEADER_BYTES:]
    assert length == len(reason), f"{rule} and nothing else: it announces {length} bytes, {len(reason)} followed"
    assert 0 < length <= LONGEST_REASON_BYTES, f"the reason in the ERROR after {name} is short, not {length} bytes"
    assert all(0x20 <= byte < 0x7F for byte in reason), f"the reason after {name} is printable ASCII, not {reason!r}"
    allowed = {sequence} if sequence_known else {sequence, 0}
    assert answered in allowed, f"the ERROR after {name} carries sequence {sequence:#x}, not {answered:#x}"


def _message(start: str, sequence: int, payload: bytes) -> bytes:
    return bytes.fromhex(start) + len(payload).to_bytes(4, "big") + sequence.to_bytes(8, "big") + payload
