"""The opening handshake: what is accepted and selected, what is refused and how, and the page that says "alive".

Every refused handshake is answered, counted, and its connection ended in order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .process_tree import held
from .server_process import Server
from .waiting import eventually
from .ws_bytes import (
    BINARY,
    HEADERS,
    PLAIN_ECHO,
    SUBPROTOCOL,
    TEXT,
    WIRE_MESSAGES,
    Greeting,
    frame,
    greeting,
    hello,
    offer,
    reply,
)
from .ws_requests import (
    BAD_REQUESTS,
    MOST_HEAD_BYTES,
    BadRequest,
    judge_answer,
    padded,
    plain_get,
    with_headers,
    with_host,
    without,
)

HEALTH = tuple(
    BadRequest(name, sent, (200,), has_body=not sent.startswith(b"HEAD"))
    for name, sent in (
        ("/healthz", plain_get("/healthz")),
        ("/healthz over HTTP/1.0", plain_get("/healthz", "1.0")),
        ("/healthz over HTTP/1.0 without a Host", b"GET /healthz HTTP/1.0\r\n\r\n"),
        ("/healthz with a query", plain_get("/healthz?by=probe")),
        ("/healthz by its URL", plain_get("http://server.example.com/healthz")),
        ("/healthz with an upgrade to h2c", without("Upgrade", ("Upgrade", "h2c")).replace(b"/", b"/healthz", 1)),
        ("/healthz by HEAD", plain_get("/healthz", method="HEAD")),
        ("/healthz by HEAD over HTTP/1.0", plain_get("/healthz", "1.0", "HEAD")),
        ("/healthz with Connection: close", b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
)


def check_an_opening_handshake_may_be_written_in_many_ways(server: Server) -> None:
    text = hello().decode()
    ways = {
        "with a path": hello(path="/any/path?and=query"),
        "with names in upper case": "\r\n".join(_renamed(line, str.upper) for line in text.split("\r\n")).encode(),
        "with names in lower case": "\r\n".join(_renamed(line, str.lower) for line in text.split("\r\n")).encode(),
        "with values in another case": text.replace(": websocket", ": WebSocket")
        .replace(": Upgrade", ": uPGRADE")
        .encode(),
        "with a connection to be kept": text.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade").encode(),
        "with spaces around values": text.replace(": ", ":   ").replace("\r\nUp", "  \r\nUp").encode(),
        "with headers in another order": hello(headers=tuple(reversed(HEADERS))),
        "with headers of browsers": hello(("Origin", "http://example.com"), ("User-Agent", "x"), ("Cookie", "a=b")),
        "with headers of 8 KiB": padded(MOST_HEAD_BYTES - 200),
        "with many headers": with_headers(128),
        "with a URL": hello(path="http://server.example.com/"),
        "with a URL in upper case": hello(path="HTTP://SERVER.EXAMPLE.COM:80/any?query"),
        "with a port behind the host": with_host("server.example.com:9000"),
        "with an address as the host": with_host("[::1]:9000"),
        "with an empty host": with_host(""),
    }
    for name, sent in ways.items():
        rule = f"an opening handshake {name} is accepted"
        with server.knock() as peer:
            peer.greet(Greeting(sent, partial(_judge_way, rule)), rule)
            peer.send(frame(TEXT, b"echo"))
            peer.expect(reply(TEXT, b"echo"), rule)


def check_no_extension_is_negotiated(server: Server) -> None:
    offered = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-other")
    for more in ((offered,), (offered, offer(SUBPROTOCOL))):
        with server.knock() as peer:
            peer.greet(greeting(*more, selects=SUBPROTOCOL if len(more) > 1 else None), "extensions may be offered")


def check_the_subprotocol_is_selected_where_it_is_offered(server: Server) -> None:
    request, response = server.wire.request(1, b"x"), server.wire.response(1, b"x")
    for offered in (
        (offer(SUBPROTOCOL),),
        (offer("chat", SUBPROTOCOL, "superchat"),),
        (offer("chat"), offer(SUBPROTOCOL)),
        (offer(SUBPROTOCOL, "echobench.v2"),),
    ):
        with server.connect(greeting(*offered, selects=SUBPROTOCOL)) as peer:
            peer.send(request)
            peer.expect(response, f"with {offered} offered messages are the wire's")
    for others in ((), (offer("chat"),), (offer("echobench.v2", "echobench"),), (offer("ECHOBENCH.V1"),)):
        with server.connect(greeting(*others)) as peer:
            peer.send(request)
            peer.expect(reply(BINARY, _payload(request)), f"with {others} offered messages come back as they are")


def check_messages_may_arrive_together_with_the_handshake(server: Server) -> None:
    rule = "messages that arrive together with the opening handshake are answered"
    with server.knock() as peer:
        peer.send(WIRE_MESSAGES.hello + server.wire.request(1, b"early") + server.wire.request(2))
        peer.expect_welcome(rule)
        peer.expect(server.wire.response(1, b"early") + server.wire.response(2), rule)


def check_a_handshake_may_arrive_in_pieces(server: Server) -> None:
    rule = "an opening handshake that arrives in pieces is accepted"
    for size in (1, 7):
        sent = WIRE_MESSAGES.hello
        with server.knock() as peer:
            peer.send_apart([sent[at : at + size] for at in range(0, len(sent), size)], rule)
            peer.expect_welcome(rule)
            peer.echo(1, b"x", rule)


def check_every_bad_handshake_is_answered_and_ends_its_connection(server: Server) -> None:
    for request in BAD_REQUESTS:
        with server.knock() as peer:
            peer.send(request.sent)
            judge_answer(request, peer.read_to_end(f"after {request.name} come an answer and the end"))


def check_what_comes_behind_a_bad_handshake_is_ignored(server: Server) -> None:
    for request in BAD_REQUESTS:
        rule = f"what comes behind {request.name} is ignored, and the answer comes whole"
        with server.knock() as peer:
            sent = request.sent + hello() + frame(TEXT, b"behind") + bytes(200_000)
            got = peer.pump(sent, rule, reads_only_when_stuck=True)
            judge_answer(request, got + peer.read_to_end(rule))


def check_a_client_that_stays_after_a_bad_handshake_is_let_go(server: Server) -> None:
    with server.knock() as peer:
        peer.send(plain_get())
        peer.read_to_end("a plain GET ends the connection")
        rule = "a client that neither closes nor stops sending after a bad handshake is let go after a moment"
        eventually(peer.was_let_go, server.patience_s, rule)


def check_bad_handshakes_are_counted_and_leave_nothing(server: Server) -> None:
    with server.another() as own:
        with own.connect() as peer:
            peer.echo(1)
            before = held(own.pid)
        for request in BAD_REQUESTS:
            with own.knock() as peer:
                peer.send(request.sent)
                peer.read_to_end(f"after {request.name} comes the end")
        rule = "bad handshakes leave no process, thread or descriptor"
        eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, rule)
        ended = own.stop()
    found, expected = ended.stopped(), {"protocol_errors": len(BAD_REQUESTS), "messages": 1, "truncated": 0}
    counts = {name: found.get(name) for name in expected}
    assert counts == expected, f"every bad handshake is a protocol error: counted {expected}, not {counts}"
    assert ended.stderr == "", f"nothing is said on stderr about bad handshakes: {ended.stderr!r}"


def check_the_health_page_answers_and_is_no_error(server: Server) -> None:
    with server.another() as own:
        for request in HEALTH:
            with own.knock() as peer:
                peer.send(request.sent)
                found = peer.read_to_end(f"after {request.name} come an answer and the end")
                judge_answer(request, found)
                body = found.partition(b"\r\n\r\n")[2]
                assert bool(body) is request.has_body, f"{request.name} is answered with {body!r}"
                assert len(body) <= 100, f"{request.name} is answered with a short text, not {len(body)} bytes"
        stopped = own.stop().stopped()
    assert stopped["protocol_errors"] == 0, f"/healthz is no protocol error: {stopped}"


def check_a_handshake_that_is_cut_off_ends_without_an_answer(server: Server) -> None:
    cuts = (1, 3, len("GET / HTTP/1.1\r"), len("GET / HTTP/1.1\r\n"), len(hello()) - 1)
    with server.another() as own:
        for size in cuts:
            with own.knock() as peer:
                peer.send(hello()[:size])
                peer.shut_sending()
                peer.expect_end(f"an opening handshake of which {size} bytes came gets no answer")
        with own.knock() as peer:
            peer.shut_sending()
            peer.expect_end("a connection on which nothing was said ends")
        stopped = own.stop().stopped()
    expected = {"truncated": len(cuts), "protocol_errors": 0}
    found = {name: stopped.get(name) for name in expected}
    assert found == expected, f"handshakes that are cut off are counted: {expected}, not {found}"


def check_a_handshake_that_takes_too_long_ends_its_connection(server: Server) -> None:
    with server.another("--message-timeout", "0.3") as own:
        with own.knock() as idle, own.connect() as open_:
            with own.knock() as dribbler:
                dribbler.send(hello()[:-4])
                rule = "a client that dribbles its opening handshake beyond --message-timeout is cut off"
                eventually(dribbler.has_ended_while_dribbling, own.patience_s, rule)
            open_.echo(1, b"x", "a connection that is idle between messages outlives --message-timeout")
            idle.greet(PLAIN_ECHO, "a connection on which nothing was said yet outlives --message-timeout")
        stopped = own.stop().stopped()
    assert stopped["timed_out"] == 1, f"a dribbled handshake is counted as timed out: {stopped}"


def _judge_way(rule: str, head: bytes) -> None:
    try:
        PLAIN_ECHO.judge(head)
    except AssertionError as error:
        raise AssertionError(f"{rule}: {error}") from error


def _renamed(line: str, change: Callable[[str], str]) -> str:
    name, colon, value = line.partition(":")
    return change(name) + colon + value if colon else line


def _payload(sent: bytes) -> bytes:
    """Return the payload of a short frame of a client."""
    mask, payload = sent[2:6], sent[6:]
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
