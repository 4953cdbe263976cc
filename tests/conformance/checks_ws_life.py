"""What a WebSocket server counts, how long it waits, and what its drain says at every point of a connection's life."""

from __future__ import annotations

import signal

from .server_process import Server
from .waiting import eventually
from .ws_bytes import (
    BINARY,
    PING,
    PLAIN_ECHO,
    PONG,
    TEXT,
    close_frame,
    fragments,
    frame,
    frame_head,
    hello,
    reply,
)

LONG_DRAIN_S = "60"
GOOD_ENDS = (
    ("a close frame", close_frame()),
    ("an end without a close frame", b""),
    ("a close frame inside a fragmented message", frame(TEXT, b"a", is_last=False) + close_frame()),
)
BAD_ENDS = (
    ("a reserved bit", frame(TEXT, b"a", reserved=4)),
    ("a reserved opcode", frame(3)),
    ("text that is no UTF-8", frame(TEXT, b"\xff")),
    ("a close frame with a bad code", close_frame(1005)),
    ("a close frame with a bad reason", close_frame(1000, b"\xff")),
    ("a frame without a mask", reply(TEXT, b"a")),
    ("a frame that is too long", frame_head(BINARY, 1 << 40)),
)
CUTS = (
    ("inside the head of a frame", frame(TEXT, b"abc")[:1]),
    ("inside the mask of a frame", frame(TEXT, b"abc")[:4]),
    ("inside a frame", frame(TEXT, b"abc")[:-1]),
    ("inside a fragmented message", frame(TEXT, b"abc", is_last=False)),
    ("inside a ping inside a fragmented message", frame(BINARY, b"abc", is_last=False) + frame(PING, b"p")[:-1]),
)


def check_the_stopped_line_counts_every_kind_of_end(server: Server) -> None:
    with server.another() as own:
        for name, sent in (*GOOD_ENDS, *BAD_ENDS, *CUTS):
            with own.connect(PLAIN_ECHO) as peer:
                peer.send(frame(PING) + frame(TEXT, b"1") + b"".join(fragments(BINARY, b"2", b"3")) + sent)
                peer.expect(reply(PONG) + reply(TEXT, b"1") + reply(BINARY, b"23"), f"messages before {name} come back")
                peer.shut_sending()
                peer.read_to_end(f"{name} ends the connection")
        stopped = own.stop().stopped()
    ends = len(GOOD_ENDS) + len(BAD_ENDS) + len(CUTS)
    expected = {"connections": ends, "messages": 2 * ends, "protocol_errors": len(BAD_ENDS), "truncated": len(CUTS)}
    expected |= {"aborted": 0, "timed_out": 0}
    found = {name: stopped.get(name) for name in expected}
    assert found == expected, f"the stopped line counts messages and ends, {expected}, not {found}"


def check_pings_do_not_prolong_a_message_that_takes_too_long(server: Server) -> None:
    rule = "a fragmented message that takes longer than --message-timeout is cut off, also with pings in between"
    with server.another("--message-timeout", "0.4") as own:
        with own.connect(PLAIN_ECHO) as peer:
            peer.send(frame(TEXT, b"fragment1", is_last=False))
            eventually(lambda: not peer.gets_back(frame(PING, b"?"), reply(PONG, b"?"), rule), own.patience_s, rule)
        with own.connect(PLAIN_ECHO) as peer:
            peer.send(frame(TEXT, b"whole"))
            peer.expect(reply(TEXT, b"whole"), "a server that has cut a connection off serves others")
        stopped = own.stop().stopped()
    found = {name: stopped.get(name) for name in ("timed_out", "protocol_errors")}
    assert found == {"timed_out": 1, "protocol_errors": 0}, f"{rule} and counted as timed out: {found}"


def check_the_drain_closes_every_connection_with_1001(server: Server) -> None:
    goodbye = "at the drain comes a close frame with 1001, then the end"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.knock() as silent, own.knock() as begun:
        with own.connect() as idle, own.connect(PLAIN_ECHO) as plain, own.connect(PLAIN_ECHO) as asking:
            begun.send(hello()[:50])
            begun.wait_until_taken("a server reads the beginning of an opening handshake")
            own.freeze()
            asking.send(frame(PING, b"p") + frame(TEXT, b"in time") + b"".join(fragments(TEXT, b"in", b" time")))
            own.send_signal(signal.SIGTERM)
            own.thaw()
            asking.expect(
                reply(PONG, b"p") + reply(TEXT, b"in time") + reply(TEXT, b"in time"),
                "what had arrived before SIGTERM is answered",
            )
            for peer in (asking, idle, plain):
                peer.expect_goodbye(goodbye)
                peer.close()
            for peer in (silent, begun):
                peer.expect_end("a connection whose handshake is not complete gets just the end at the drain")
                peer.close()
        ended = own.ended()
    found = {name: ended.stopped().get(name) for name in ("messages", "aborted", "protocol_errors")}
    assert found == {"messages": 2, "aborted": 0, "protocol_errors": 0}, f"{goodbye}, and nothing is lost: {found}"


def check_a_client_that_has_closed_gets_no_second_close_frame_at_the_drain(server: Server) -> None:
    rule = "a client that closes just before SIGTERM gets its own code back and nothing else"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.connect(PLAIN_ECHO) as peer:
        own.freeze()
        peer.send(frame(TEXT, b"last") + close_frame(3000))
        own.send_signal(signal.SIGTERM)
        own.thaw()
        peer.expect(reply(TEXT, b"last") + reply(8, (3000).to_bytes(2, "big")), rule)
        peer.expect_end(rule)
        peer.close()
        own.ended()
