"""What a frame's head gives away is refused at once: the client sends the head and nothing behind it, and waits.

A head ends here with the length: neither a mask nor a byte of the payload follows. A server that waits for more never
answers. Where a head is wrong and its length is over the limit too, the mistake is what is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from .server_process import Server
from .wire import Refused
from .wire_bytes import HEADER_BYTES, payload_of
from .ws_bytes import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MASK,
    PING,
    PLAIN_ECHO,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    UNSUPPORTED,
    WIRE_MESSAGES,
    frame,
    frame_head,
    length_bytes,
    refused,
    reply,
)
from .ws_refusals import expect_closed

# Of each form: in the second byte, in two bytes more, in eight bytes more.
LENGTHS = (5, 300, 70_000)
OVER_THE_LIMIT = 2 << 20  # of a server with the default of --max-payload
TOP_BIT = 1 << 63
LIMIT = 1_000
BEGUN = frame(BINARY, b"fragment1", is_last=False)
CONTROL = ((CLOSE, "a close frame"), (PING, "a ping"), (PONG, "a pong"))


def check_what_a_head_gives_away_is_refused_before_the_payload_comes(server: Server) -> None:
    for greeting in (PLAIN_ECHO, WIRE_MESSAGES):
        for length in LENGTHS:
            expect_closed(server, _bad_heads(length), greeting)


def check_a_bad_head_that_announces_too_much_is_refused_for_what_is_bad(server: Server) -> None:
    assert server.setting("max_payload") < OVER_THE_LIMIT
    for greeting in (PLAIN_ECHO, WIRE_MESSAGES):
        expect_closed(server, _bad_heads(OVER_THE_LIMIT), greeting)


def check_text_over_the_subprotocol_is_refused_at_its_head(server: Server) -> None:
    cases = [
        refused(
            f"the head of a text of {length} bytes over echobench.v1",
            frame_head(TEXT, length, b"", is_last=is_last),
            UNSUPPORTED,
        )
        for length in (*LENGTHS, OVER_THE_LIMIT)
        for is_last in (True, False)
    ]
    expect_closed(server, cases, WIRE_MESSAGES)


def check_a_length_that_is_not_in_its_shortest_form_is_refused(server: Server) -> None:
    lengths = [*((2, length) for length in (0, 5, 125)), *((8, length) for length in (3, 126, 300, 65_535))]
    lengths += [(8, TOP_BIT), (8, TOP_BIT | 300), (8, 2 * TOP_BIT - 1)]
    written = [
        (
            f"a length of {length} in {size} bytes",
            bytes([MASK | (126 if size == 2 else 127)]) + length.to_bytes(size, "big"),
        )
        for size, length in lengths
    ]
    cases = [
        refused(f"{name}, opcode {opcode}", begun + bytes([FIN | opcode]) + said, PROTOCOL_ERROR)
        for name, said in written
        for opcode, begun in ((BINARY, b""), (CONTINUATION, BEGUN))
    ]
    for greeting in (PLAIN_ECHO, WIRE_MESSAGES):
        expect_closed(server, cases, greeting)
    expect_closed(server, [refused(f"{name}, of text", bytes([FIN | TEXT]) + said) for name, said in written])


def check_a_length_over_the_limit_is_refused_at_its_head(server: Server) -> None:
    limit = server.setting("max_payload")
    begun = frame(BINARY, bytes(HEADER_BYTES + 1), is_last=False)
    for greeting, most in ((PLAIN_ECHO, limit), (WIRE_MESSAGES, limit + HEADER_BYTES)):
        lengths = (most + 1, OVER_THE_LIMIT, 1 << 62, TOP_BIT - 1)
        cases = [
            refused(f"the head of a frame of {length} bytes", frame_head(BINARY, length, b""), TOO_BIG)
            for length in lengths
        ]
        left = most - HEADER_BYTES
        cases += [
            refused(f"the head of a fragment of {length} bytes", begun + frame_head(CONTINUATION, length, b""), TOO_BIG)
            for length in (left, *lengths)
        ]
        expect_closed(server, cases, greeting)
    expect_closed(server, [refused("the head of a long text", frame_head(TEXT, limit + 1, b""), TOO_BIG)])


def check_a_ping_in_a_message_that_is_nearly_full_is_answered(server: Server) -> None:
    payload, ping = payload_of(LIMIT), payload_of(125)
    with server.another("--max-payload", str(LIMIT)) as own, own.connect(PLAIN_ECHO) as peer:
        for left in (124, 1, 0):
            rule = f"a ping of 125 bytes is answered in a fragmented message with room for {left} bytes"
            peer.send(frame(BINARY, payload[: LIMIT - left], is_last=False) + frame(PING, ping))
            peer.expect(reply(PONG, ping), rule)
            peer.send(frame(CONTINUATION, payload[LIMIT - left :]))
            peer.expect(reply(BINARY, payload), f"{rule}, and the message comes back whole")


def _bad_heads(length: int) -> Iterator[Refused]:
    """Yield heads of frames that may not be, whatever comes behind them."""
    of = f"the head of a frame of {length} bytes"
    for opcode, reserved in ((BINARY, 4), (BINARY, 1), (TEXT, 2), (PING, 7)):
        yield refused(
            f"{of} of opcode {opcode} with reserved bits {reserved}",
            frame_head(opcode, length, b"", reserved=reserved),
        )
    for opcode in (0x3, 0x7, 0xB, 0xF):
        yield refused(f"{of} of the reserved opcode {opcode}", frame_head(opcode, length, b""))
    for opcode in (BINARY, TEXT, PING):
        yield refused(f"{of} of opcode {opcode} without a mask", bytes([FIN | opcode]) + length_bytes(length, 0))
    for opcode, name in CONTROL:
        if length > 125:
            yield refused(f"the head of {name} of {length} bytes", frame_head(opcode, length, b""))
        yield refused(
            f"the head of {name} of {length} bytes, a fragment", frame_head(opcode, length, b"", is_last=False)
        )
    for is_last in (True, False):
        yield refused(f"{of} that continues nothing", frame_head(CONTINUATION, length, b"", is_last=is_last))
        for opcode in (TEXT, BINARY):
            yield refused(
                f"{of} of opcode {opcode} inside a fragmented message",
                BEGUN + frame_head(opcode, length, b"", is_last=is_last),
            )
