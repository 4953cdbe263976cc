"""How a WebSocket connection is closed: a close frame is answered with its code, then comes the end (RFC 6455, 7)."""

from __future__ import annotations

from .server_process import Server
from .wire_bytes import payload_of
from .ws_bytes import (
    BAD_DATA,
    BINARY,
    CLOSE,
    NORMAL,
    PING,
    PLAIN_ECHO,
    TEXT,
    WIRE_MESSAGES,
    close_frame,
    frame,
    judge_close,
    refused,
    reply,
)
from .ws_refusals import expect_closed, expect_closed_between_others

# What the RFC defines for close frames, what is registered (1012 to 1014), and the ranges of libraries and programs.
LEGAL = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
# Reserved, never to be in a close frame, or nobody's.
ILLEGAL = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


def check_a_close_frame_is_answered_with_its_code(server: Server) -> None:
    for greeting in (PLAIN_ECHO, WIRE_MESSAGES):
        for code in LEGAL:
            with server.connect(greeting) as peer:
                peer.send(close_frame(code))
                judge_close(code, f"a close frame with {code}", peer.read_to_end("after a close frame comes the end"))


def check_an_empty_close_frame_is_answered_with_an_empty_one(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        peer.send(frame(CLOSE))
        judge_close(None, "a close frame without a code", peer.read_to_end("after an empty close frame comes the end"))


def check_a_reason_may_be_up_to_123_bytes_of_utf_8(server: Server) -> None:
    for reason in (b"b", b"Hello World!", "Tschüß, 再见".encode(), b"*" * 122, b"*" * 123, "ß".encode() * 61):
        with server.connect(PLAIN_ECHO) as peer:
            peer.send(close_frame(NORMAL, reason))
            found = peer.read_to_end("after a close frame with a reason comes the end")
            judge_close(NORMAL, f"a close frame with a reason of {len(reason)} bytes", found)


def check_illegal_close_codes_are_refused(server: Server) -> None:
    cases = [refused(f"a close frame with {code}", close_frame(code)) for code in ILLEGAL]
    cases += [refused(f"a close frame with {code} and a reason", close_frame(code, b"reason")) for code in ILLEGAL]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases)


def check_a_close_frame_of_1_or_126_bytes_is_refused(server: Server) -> None:
    cases = [
        refused("a close frame with half a code", frame(CLOSE, b"\x03")),
        refused("a close frame with a reason of 124 bytes", close_frame(NORMAL, b"*" * 124)),
    ]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases)


def check_a_reason_that_is_no_utf_8_is_refused(server: Server) -> None:
    cases = [
        refused(f"a close frame with the reason {bad.hex(' ')!r}", close_frame(NORMAL, bad), BAD_DATA)
        for bad in (b"\xff", "κόσμε".encode() + b"\xed\xa0\x80edited", b"cut \xe2\x82", b"\xc0\x80")
    ]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases)


def check_what_comes_before_a_close_frame_is_answered(server: Server) -> None:
    rule = "messages before a close frame are answered, then comes the close frame"
    large = payload_of(300_000)
    with server.connect(PLAIN_ECHO) as peer:
        got = peer.pump(frame(TEXT, b"Hello") + frame(BINARY, large) + close_frame(), rule) + peer.read_to_end(rule)
        replies = reply(TEXT, b"Hello") + reply(BINARY, large)
        assert got.startswith(replies), f"{rule}: {len(got)} bytes came, or other ones"
        judge_close(NORMAL, "messages and a close frame", got[len(replies) :])


def check_what_comes_behind_a_close_frame_is_ignored(server: Server) -> None:
    behind = (
        ("a text", frame(TEXT, b"behind")),
        ("a ping", frame(PING, b"behind")),
        ("another close frame", close_frame(1001)),
        ("an empty close frame", frame(CLOSE)),
        ("a frame that is none", b"\xff\xff\xff\xff"),
        ("a text that is no UTF-8", frame(TEXT, b"\xff")),
        ("megabytes", frame(BINARY, payload_of(1 << 20)) * 2),
    )
    for name, sent in behind:
        rule = f"{name} behind a close frame is ignored, and the connection ends in order"
        with server.connect(PLAIN_ECHO) as peer:
            got = peer.pump(close_frame() + sent, rule, reads_only_when_stuck=True) + peer.read_to_end(rule)
            judge_close(NORMAL, f"a close frame with {name} behind it", got)


def check_a_close_frame_inside_a_fragmented_message_is_answered(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        peer.send(frame(TEXT, b"fragment1", is_last=False) + close_frame() + frame(0, b"fragment2"))
        found = peer.read_to_end("after a close frame inside a fragmented message comes the end")
        judge_close(NORMAL, "a close frame inside a fragmented message", found)


def check_a_close_frame_that_arrives_octet_by_octet_is_answered(server: Server) -> None:
    rule = "a close frame that arrives octet by octet is answered"
    sent = close_frame(1001, b"going")
    with server.connect(PLAIN_ECHO) as peer:
        peer.send_apart([sent[at : at + 1] for at in range(len(sent) - 1)], rule)
        peer.send(sent[-1:])
        judge_close(1001, "a close frame in single octets", peer.read_to_end(rule))
