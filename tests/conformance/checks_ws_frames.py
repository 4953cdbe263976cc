"""Frames over WebSocket: every length, every opcode, pings and pongs, and what no frame may be (RFC 6455, 5)."""

from __future__ import annotations

from collections.abc import Callable

from .server_process import Server
from .wire import Refused
from .wire_bytes import payload_of
from .ws_bytes import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PLAIN_ECHO,
    PONG,
    TEXT,
    close_frame,
    frame,
    judge_close,
    refused,
    reply,
)
from .ws_refusals import expect_closed, expect_closed_between_others

# Around each change of how a length is written.
LENGTHS = (0, 1, 125, 126, 127, 128, 65_535, 65_536)
CHOP_BYTES = 997
OPCODES_WITHOUT_MEANING = (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)


def check_text_and_binary_of_every_length_come_back(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        for length in LENGTHS:
            for opcode, name, payload in (
                (TEXT, "text", b"*" * length),
                (BINARY, "binary", payload_of(length)),
            ):
                rule = f"a {name} message of {length} bytes comes back as one frame of the same kind"
                expected = reply(opcode, payload)
                got = peer.pump(frame(opcode, payload), rule)
                peer.expect(expected[len(got) :], rule)
                assert got == expected[: len(got)], rule


def check_frames_that_arrive_octet_by_octet_are_answered(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        for opcode, answer, length in ((TEXT, TEXT, 130), (BINARY, BINARY, 126), (PING, PONG, 125), (TEXT, TEXT, 0)):
            rule = f"a frame of opcode {opcode} with {length} bytes that arrives octet by octet is answered"
            sent, payload = frame(opcode, b"*" * length), b"*" * length
            peer.send_apart([sent[at : at + 1] for at in range(len(sent))], rule)
            peer.expect(reply(answer, payload), rule)


def check_long_frames_that_arrive_in_chops_are_echoed(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        for opcode in (TEXT, BINARY):
            rule = f"a frame of opcode {opcode} with 65,536 bytes that arrives in chops of {CHOP_BYTES} is echoed"
            sent = frame(opcode, b"*" * 65_536)
            peer.send_apart([sent[at : at + CHOP_BYTES] for at in range(0, len(sent), CHOP_BYTES)], rule)
            peer.expect(reply(opcode, b"*" * 65_536), rule)


def check_a_ping_is_answered_with_its_own_bytes(server: Server) -> None:
    pings = [b"", b"p", b"Hello", bytes([0, 255, 254, 253, 252, 251, 0, 255]), payload_of(124), payload_of(125)]
    with server.connect(PLAIN_ECHO) as peer:
        for ping in pings:
            rule = f"a ping with {len(ping)} bytes is answered by a pong with the same bytes"
            peer.send(frame(PING, ping))
            peer.expect(reply(PONG, ping), rule)


def check_pings_that_arrive_together_are_answered_each(server: Server) -> None:
    pings = [b"ping %d" % number for number in range(10)]
    with server.connect(PLAIN_ECHO) as peer:
        for _ in range(2):
            peer.send(b"".join(frame(PING, ping) for ping in pings))
            peer.expect(b"".join(reply(PONG, ping) for ping in pings), "ten pings at once are answered in their order")
        peer.send(frame(PING, b"1") + frame(TEXT, b"text") + frame(PING, b"2") + frame(BINARY, b"") + frame(PING, b"3"))
        expected = reply(PONG, b"1") + reply(TEXT, b"text") + reply(PONG, b"2") + reply(BINARY) + reply(PONG, b"3")
        peer.expect(expected, "pings between messages are answered in their order")


def check_pongs_that_nobody_asked_for_are_ignored(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        peer.send(frame(PONG) + frame(PONG, b"unsolicited") + frame(PING, b"ping") + frame(PONG, payload_of(125)))
        peer.expect(reply(PONG, b"ping"), "a pong that nobody asked for is not answered, a ping between is")
        peer.send(close_frame())
        judge_close(1000, "pongs and a close frame", peer.read_to_end("after a close frame comes the end"))


def check_reserved_bits_are_refused(server: Server) -> None:
    cases = [
        refused(f"a frame of opcode {opcode} with reserved bits {bits}", frame(opcode, payload, reserved=bits))
        for bits in range(1, 8)
        for opcode, payload in ((TEXT, b"Hello"), (BINARY, b"\0\xff"), (PING, b"p"), (CLOSE, b"\x03\xe8"), (PONG, b""))
    ]
    # 4 is the bit of a compressed message, which was not negotiated.
    cases.append(refused("an empty frame with reserved bit 4", frame(TEXT, reserved=4)))
    expect_closed(server, cases)
    expect_closed_between_others(server, cases[:10])


def check_reserved_opcodes_are_refused(server: Server) -> None:
    cases = [
        refused(f"a frame of the reserved opcode {opcode} with {len(payload)} bytes", frame(opcode, payload))
        for opcode in OPCODES_WITHOUT_MEANING
        for payload in (b"", b"reserved opcode payload")
    ]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases)


def check_control_frames_over_125_bytes_are_refused(server: Server) -> None:
    expect_closed(server, _each_control("with 126 bytes", lambda opcode: frame(opcode, b"\x03\xe8" + bytes(124))))
    expect_closed_between_others(server, _each_control("with 126 bytes", lambda opcode: frame(opcode, bytes(126))))


def check_control_frames_in_fragments_are_refused(server: Server) -> None:
    cases = _each_control("that is a fragment", lambda opcode: frame(opcode, b"", is_last=False))
    expect_closed(server, cases)
    rest = frame(CONTINUATION, b"fragment2")
    expect_closed_between_others(
        server, _each_control("in two fragments", lambda opcode: frame(opcode, b"fragment1", is_last=False) + rest)
    )


def check_frames_without_a_mask_are_refused(server: Server) -> None:
    cases = [
        refused(f"a frame of opcode {opcode} without a mask", reply(opcode, payload))
        for opcode, payload in ((TEXT, b"Hello"), (BINARY, b""), (PING, b"p"), (CLOSE, b"\x03\xe8"), (PONG, b""))
    ]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases)


def _each_control(what: str, sent: Callable[[int], bytes]) -> list[Refused]:
    names = {CLOSE: "a close frame", PING: "a ping", PONG: "a pong"}
    return [refused(f"{name} {what}", sent(opcode)) for opcode, name in names.items()]
