"""The wire's messages over WebSocket: one in each binary frame, and what is none closes the connection.

That they are answered however they are split, glued and sized is what the checks of all streams say.
"""

from __future__ import annotations

from . import wire_bytes
from .server_process import Server
from .wire import Refused
from .wire_bytes import BAD_DATAGRAMS, payload_of
from .ws_bytes import (
    BINARY,
    CONTINUATION,
    NORMAL,
    PING,
    PLAIN_ECHO,
    PONG,
    TEXT,
    TOO_BIG,
    UNSUPPORTED,
    WIRE_MESSAGES,
    close_frame,
    fragments,
    frame,
    frame_head,
    judge_close,
    long_length,
    refused,
    reply,
)
from .ws_refusals import expect_closed

MEBIBYTE = 1 << 20
LIMIT = 1_000


def check_text_over_the_subprotocol_is_refused(server: Server) -> None:
    text = wire_bytes.request(1, b"text").decode("latin-1").encode()
    for name, sent in (("a text", frame(TEXT, text)), ("an empty text", frame(TEXT))):
        with server.connect() as peer:
            peer.send(server.wire.request(1, b"before") + sent + server.wire.request(2, b"behind"))
            peer.expect(server.wire.response(1, b"before"), f"a request before {name} is answered")
            found = peer.read_to_end(f"after {name} over echobench.v1 come a close frame and the end")
            judge_close(UNSUPPORTED, f"{name} over echobench.v1", found)


def check_a_binary_message_that_is_not_one_request_is_refused(server: Server) -> None:
    cases = [refused(f"{name} as a message", frame(BINARY, bad)) for name, bad in BAD_DATAGRAMS]
    expect_closed(server, cases, WIRE_MESSAGES)


def check_a_request_in_fragments_is_answered_by_one_frame(server: Server) -> None:
    payload = payload_of(300)
    sent = wire_bytes.request(7, payload)
    with server.connect() as peer:
        for cuts in ((0, 1), (8, 16), (15, 17), (16, 200), (100, 100)):
            frames = fragments(BINARY, sent[: cuts[0]], sent[cuts[0] : cuts[1]], sent[cuts[1] :])
            peer.send(frames[0] + frames[1] + frame(PING, b"between") + frames[2])
            expected = reply(PONG, b"between") + server.wire.response(7, payload)
            peer.expect(expected, f"a request in fragments that are cut at {cuts} is answered by one frame")


def check_a_message_of_the_longest_size_is_echoed_and_no_longer_one(server: Server) -> None:
    payload = payload_of(LIMIT)
    with server.another("--max-payload", str(LIMIT)) as own:
        with own.connect(PLAIN_ECHO) as peer:
            for name, sent in (
                ("one frame", [frame(BINARY, payload)]),
                ("fragments", fragments(BINARY, payload[:1], payload[1:900], payload[900:], b"")),
            ):
                peer.send(b"".join(sent))
                peer.expect(reply(BINARY, payload), f"a message of --max-payload bytes in {name} is echoed")
        expect_closed(own, _too_long())
        with own.connect() as peer:
            peer.echo(1, payload, "over echobench.v1 the limit is that of the payload")
            refusal = server.wire.over_the_limit(2, LIMIT + 1)
            peer.send(refusal.sent)
            refusal.judge(peer.read_to_end("over echobench.v1 a payload over the limit ends the connection"))
        parts = wire_bytes.request(1, payload + b"!")
        too_long = fragments(BINARY, parts[:500], parts[500:])
        expect_closed(
            own, [refused("a request over the limit in fragments", b"".join(too_long), TOO_BIG)], WIRE_MESSAGES
        )


def check_megabytes_in_one_message_come_back(server: Server) -> None:
    payload = payload_of(1 << 16) * 256
    with server.another("--max-payload", str(16 * MEBIBYTE)) as own:
        for name, sent in (
            ("one frame", [frame(BINARY, payload)]),
            (
                "fragments of 64 KiB",
                fragments(BINARY, *(payload[at : at + 65_536] for at in range(0, len(payload), 65_536))),
            ),
        ):
            _expect_echo(own, b"".join(sent), reply(BINARY, payload), f"16 MiB of binary in {name}")
        text = "Grüße ".encode() * (MEBIBYTE // 2)
        for name, sent in (
            ("one frame", [frame(TEXT, text)]),
            (
                "fragments of 4,095 bytes",
                fragments(TEXT, *(text[at : at + 4_095] for at in range(0, len(text), 4_095))),
            ),
        ):
            _expect_echo(own, b"".join(sent), reply(TEXT, text), f"4 MiB of text in {name}")


def _expect_echo(server: Server, sent: bytes, expected: bytes, what: str) -> None:
    rule = f"{what} come back as one frame, then the connection is closed cleanly"
    with server.connect(PLAIN_ECHO) as peer:
        got = peer.pump(sent + close_frame(), rule) + peer.read_to_end(rule, most_bytes=1 << 25)
        assert got[: len(expected)] == expected, f"{rule}: {len(got)} bytes came, or other ones"
        judge_close(NORMAL, what, got[len(expected) :])


def _too_long() -> list[Refused]:
    """Return what is too long for plain echo, each as soon as that is certain."""
    over, fitting = LIMIT + 1, frame(BINARY, payload_of(LIMIT), is_last=False)
    return [
        refused("the head of a frame that is too long", frame_head(BINARY, over), TOO_BIG),
        refused("the head of a text frame that is too long", frame_head(TEXT, over), TOO_BIG),
        refused("the head of a frame of 2^62 bytes", b"\x82" + long_length(1 << 62) + bytes(4), TOO_BIG),
        refused("a frame that is too long", frame(BINARY, bytes(over)), TOO_BIG),
        refused("the head of a fragment that is too long", frame_head(BINARY, over, is_last=False), TOO_BIG),
        refused("fragments that are too long together", fitting + frame(CONTINUATION, b"!"), TOO_BIG),
        refused(
            "the head of a fragment that makes a message too long", fitting + frame_head(CONTINUATION, 126), TOO_BIG
        ),
        refused(
            "many fragments that are too long together", b"".join(fragments(TEXT, *[b"0123456789"] * 101)), TOO_BIG
        ),
    ]
