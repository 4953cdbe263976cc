"""Messages in several frames: put together, with control frames between them, and the orders that are none."""

from __future__ import annotations

from .server_process import Server
from .wire_bytes import payload_of
from .ws_bytes import (
    BINARY,
    CONTINUATION,
    PING,
    PLAIN_ECHO,
    PONG,
    TEXT,
    fragments,
    frame,
    refused,
    reply,
)
from .ws_refusals import expect_closed, expect_closed_between_others

MESSAGES = (
    ("two fragments", (b"fragment1", b"fragment2")),
    ("three empty fragments", (b"", b"", b"")),
    ("a fragment between two empty ones", (b"", b"middle frame payload", b"")),
    ("an empty fragment at the end", (b"all of it", b"")),
    ("fragments of one byte", tuple(bytes([byte]) for byte in b"one by one")),
    ("fragments of every form of length", (b"a" * 125, b"b" * 126, b"c" * 65_535, b"d" * 65_536, b"")),
)


def check_fragments_are_put_together(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        for opcode in (TEXT, BINARY):
            for name, parts in MESSAGES:
                rule = f"a message of opcode {opcode} in {name} comes back as one frame"
                peer.send(b"".join(fragments(opcode, *parts)))
                peer.expect(reply(opcode, b"".join(parts)), rule)
                peer.send_apart(fragments(opcode, *parts), f"{rule}, also when they come one by one")
                peer.expect(reply(opcode, b"".join(parts)), f"{rule}, also when they come one by one")


def check_fragments_that_arrive_octet_by_octet_are_put_together(server: Server) -> None:
    rule = "fragments that arrive octet by octet, with a ping between them, are put together"
    first, last = fragments(TEXT, b"fragment1", b"fragment2")
    sent = first + frame(PING, b"ping") + last
    with server.connect(PLAIN_ECHO) as peer:
        peer.send_apart([sent[at : at + 1] for at in range(len(sent))], rule)
        peer.expect(reply(PONG, b"ping") + reply(TEXT, b"fragment1fragment2"), rule)


def check_a_thousand_fragments_are_put_together(server: Server) -> None:
    rule = "a message in a thousand fragments comes back as one frame"
    whole = payload_of(64_000)
    parts = [whole[at : at + 64] for at in range(0, len(whole), 64)]
    with server.connect(PLAIN_ECHO) as peer:
        peer.send(b"".join(fragments(BINARY, *parts)))
        peer.expect(reply(BINARY, whole), rule)


def check_a_ping_between_fragments_is_answered_at_once(server: Server) -> None:
    with server.connect(PLAIN_ECHO) as peer:
        frames = fragments(TEXT, b"frag1", b"frag2", b"frag3", b"frag4", b"frag5")
        for number in (0, 2):
            peer.send(frames[number] + frames[number + 1] + frame(PING, b"ping %d" % number))
            peer.expect(
                reply(PONG, b"ping %d" % number), "a ping between fragments is answered before the last fragment"
            )
        peer.send(frame(PONG, b"unsolicited") + frames[4])
        peer.expect(reply(TEXT, b"frag1frag2frag3frag4frag5"), "fragments with control frames between are put together")


def check_a_continuation_of_nothing_is_refused(server: Server) -> None:
    whole = b"".join(fragments(TEXT, b"fragment1", b"fragment2"))
    cases = [
        refused(f"a continuation of nothing, {name}", sent)
        for name, sent in (
            ("with FIN", frame(CONTINUATION, b"nothing to continue")),
            ("without FIN", frame(CONTINUATION, b"nothing to continue", is_last=False)),
            ("empty", frame(CONTINUATION)),
            ("with a text behind it", frame(CONTINUATION, b"nothing", is_last=False) + frame(TEXT, b"Hello")),
        )
    ]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases)
    for case in cases:
        with server.connect(PLAIN_ECHO) as peer:
            peer.send(whole + case.sent)
            peer.expect(reply(TEXT, b"fragment1fragment2"), f"a fragmented message before {case.name} is echoed")
            case.judge(peer.read_to_end(f"after {case.name} come a close frame and the end"))


def check_a_new_message_inside_a_fragmented_one_is_refused(server: Server) -> None:
    cases = [
        refused(
            f"a frame of opcode {second} inside a fragmented message of opcode {first}",
            frame(first, b"fragment1", is_last=False) + frame(second, b"fragment2", is_last=is_last),
        )
        for first in (TEXT, BINARY)
        for second in (TEXT, BINARY)
        for is_last in (True, False)
    ]
    expect_closed(server, cases)
    expect_closed_between_others(server, cases)
