"""The opening handshake of WebSocket: what is asked, which answers are taken, and how long it took."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import gevent
import pytest

from harness.schema import ErrorKind
from loadgen.dial import CLOSED_EARLY, HANDSHAKE_ALONE_NS, DialError, dial, resolve, shake_hands
from loadgen.parting import hang_up
from loadgen.traffic import Took
from loadgen.wire import HandshakeError, make_codec
from loadgen.wire._handshake import Opening
from tests.loadgen import ws_bytes
from tests.loadgen.peers import PATIENCE_S, reset, serving
from tests.loadgen.runs import rigged

URL = "ws://localhost:9000/a/path?with=query"
AGREED = (
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: {accept}",
    "Sec-WebSocket-Protocol: echobench.v1",
)


def answered(*lines: str, opening: Opening | None = None) -> bool:
    """Begin a handshake and give it an answer of these lines, in which `{accept}` is the key's echo."""
    handshake = (opening or Opening(URL)).begin()
    accept = ws_bytes.accept_of(handshake.request).decode()
    return handshake.take("\r\n".join((*lines, "", "")).format(accept=accept).encode())


def test_the_request_is_what_the_rfc_asks_for_without_compression() -> None:
    lines = Opening(URL).begin().request.decode().split("\r\n")
    assert lines[0] == "GET /a/path?with=query HTTP/1.1"
    assert lines[-2:] == ["", ""]
    headers = dict(line.split(": ") for line in lines[1:-2])
    assert len(headers.pop("Sec-WebSocket-Key")) == 24
    assert headers == {
        "Host": "localhost:9000",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "echobench.v1",
    }


def test_a_url_without_a_path_asks_for_the_root_and_names_an_ipv6_host_in_brackets() -> None:
    request = Opening("ws://[::1]:9000").begin().request
    assert request.startswith(b"GET / HTTP/1.1\r\nHost: [::1]:9000\r\n")


def test_every_connection_has_a_key_of_its_own() -> None:
    opening = Opening(URL)
    assert len({opening.begin().request for _ in range(100)}) == 100


def test_an_answer_is_taken_byte_by_byte_and_what_is_glued_behind_it_is_kept() -> None:
    handshake = Opening(URL).begin()
    answer = ws_bytes.answer_to(handshake.request)
    for at in range(len(answer) - 1):
        assert not handshake.take(answer[at : at + 1])
    assert handshake.take(answer[-1:] + b"\x89\x00")
    assert handshake.rest == b"\x89\x00"


REFUSED = {
    "404": (["HTTP/1.1 404 Not Found"], "the server answered 404 Not Found to the WebSocket handshake"),
    "a status without words": (["HTTP/1.1 426 "], "the server answered 426 to the WebSocket handshake"),
    "control characters": (
        ["HTTP/1.1 404 \x1b[31mred\x00\x7f"],
        "the server answered 404 \\x1b[31mred\\x00\\x7f to the WebSocket handshake",
    ),
    "many words": (
        ["HTTP/1.1 404 " + "x" * 90],
        f"the server answered 404 {'x' * 76}... to the WebSocket handshake",
    ),
    "a status of control characters": (
        ["HTTP/1.1 \x1b[2Jfine"],
        "the server answered HTTP/1.1 \\x1b[2Jfine to the WebSocket handshake",
    ),
    "a subprotocol of many letters": (
        [*AGREED[:4], "Sec-WebSocket-Protocol: " + "x" * 90],
        f"the server's answer to the WebSocket handshake is wrong: unsupported subprotocol: {'x' * 55}...",
    ),
    "200": (["HTTP/1.1 200 OK", "Content-Length: 9"], "the server answered 200 OK to the WebSocket handshake"),
    "no status": (["HTTP/1.1 fine"], "the server answered HTTP/1.1 fine to the WebSocket handshake"),
    "HTTP/1.0": (["HTTP/1.0 101 Yes"], "the server did not answer the WebSocket handshake in HTTP/1.1: b'HTTP/1.0 101"),
    "a wrong key": (
        [*AGREED[:3], "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", AGREED[4]],
        "the server's answer to the WebSocket handshake is wrong: invalid Sec-WebSocket-Accept header: s3pPLMBiTx",
    ),
    "the echo elsewhere": (
        [*AGREED[:3], "X-Sec-WebSocket-Accept: {accept}", AGREED[4]],
        "the server's answer to the WebSocket handshake is wrong: missing Sec-WebSocket-Accept header",
    ),
    "no key": (
        [*AGREED[:3], AGREED[4]],
        "the server's answer to the WebSocket handshake is wrong: missing Sec-Web",
    ),
    "no upgrade": (
        [AGREED[0], *AGREED[2:]],
        "the server's answer to the WebSocket handshake is wrong: missing Up",
    ),
    "no subprotocol": (AGREED[:4], "the server does not know the subprotocol echobench.v1"),
    "another subprotocol": (
        [*AGREED[:4], "Sec-WebSocket-Protocol: chat"],
        "the server's answer to the WebSocket handshake is wrong: unsupported subprotocol: chat",
    ),
    "compression": (
        [*AGREED, "Sec-WebSocket-Extensions: permessage-deflate"],
        "the server's answer to the WebSocket handshake is wrong: no extensions supported",
    ),
    "no header": (
        [*AGREED, "what is this"],
        "the server's answer to the WebSocket handshake is wrong: did not",
    ),
    "over 8 KiB": (
        ["HTTP/1.1 101 Yes", "X: " + 9000 * "x"],
        "the server answered the WebSocket handshake with over",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("after_a_right_one", [False, True])
def test_an_answer_that_is_no_agreement_is_a_sentence(name: str, after_a_right_one: bool) -> None:
    lines, sentence = REFUSED[name]
    opening = Opening(URL)
    if after_a_right_one:  # which is remembered
        assert answered(*AGREED, opening=opening)
    with pytest.raises(HandshakeError) as refusal:
        answered(*lines, opening=opening)
    assert str(refusal.value).startswith(sentence)


def test_an_answer_is_right_again_for_another_key_and_with_another_date() -> None:
    opening = Opening(URL)
    for second in (1, 1, 2, 2):
        assert answered(AGREED[0], f"Date: Thu, 01 Oct 2026 00:00:0{second} GMT", *AGREED[1:], opening=opening)


def test_the_answer_to_another_connection_s_key_is_wrong() -> None:
    opening = Opening(URL)
    first, second = opening.begin(), opening.begin()
    assert first.take(ws_bytes.answer_to(first.request))
    with pytest.raises(HandshakeError, match="invalid Sec-WebSocket-Accept"):
        second.take(ws_bytes.answer_to(first.request))


# Over a socket, timed.


def shake(behaviour: Callable[[socket.socket, int], None]) -> tuple[int, bytes]:
    """Connect to a server with a behaviour and shake hands; returns how long that took (ns), and what came behind."""
    with serving(behaviour, "ws") as server:
        fd, _ = dial(resolve("127.0.0.1", server.port, socket.SOCK_STREAM), socket.SOCK_STREAM)
        handshake = make_codec("ws", b"", server.url).handshake()
        assert handshake is not None
        took_ns = shake_hands(fd, handshake)
        hang_up(fd, b"")
        return took_ns, handshake.rest


def test_the_handshake_is_timed_until_the_end_of_its_answer_and_apart_from_the_connect() -> None:
    waited_ns: list[int] = []

    def slowly(peer: socket.socket, number: int) -> None:
        request = ws_bytes.read_request(peer)
        began_ns = time.monotonic_ns()
        answer = ws_bytes.answer_to(request)
        peer.sendall(answer[:20])
        threading.Event().wait(0.03)
        waited_ns.append(time.monotonic_ns() - began_ns)
        peer.sendall(answer[20:] + b"behind")
        peer.recv(1)

    began_ns = time.monotonic_ns()
    took_ns, rest = shake(slowly)
    assert waited_ns[0] <= took_ns <= time.monotonic_ns() - began_ns
    assert rest == b"behind"
    with serving(slowly, "ws") as server, rigged(server.url, 1) as rig:
        times = rig.conductor.all_connect_times()
        connect_ns, handshake_ns = times.connect.max_ns, times.handshake.max_ns
    assert (times.connect.count, times.handshake.count) == (1, 1)
    assert connect_ns is not None
    assert handshake_ns is not None
    assert connect_ns < handshake_ns
    assert handshake_ns >= waited_ns[1]


def test_an_answer_that_lies_there_until_a_greenlet_has_its_turn_was_no_longer_on_its_way() -> None:
    answered = threading.Event()
    answered_ns: list[int] = []

    def after_a_while(peer: socket.socket, number: int) -> None:
        request = ws_bytes.read_request(peer)
        threading.Event().wait(2 * HANDSHAKE_ALONE_NS / 1e9)  # until others have their turn
        peer.sendall(ws_bytes.answer_to(request))
        answered_ns.append(time.monotonic_ns())
        answered.set()
        peer.recv(1)

    def keeps_the_others_waiting() -> None:
        assert answered.wait(PATIENCE_S)
        threading.Event().wait(0.1)

    gevent.spawn(keeps_the_others_waiting)
    began_ns = time.monotonic_ns()
    took_ns, _ = shake(after_a_while)
    assert 2 * HANDSHAKE_ALONE_NS <= took_ns <= answered_ns[0] - began_ns


def test_over_tcp_there_is_no_handshake() -> None:
    with serving() as server, rigged(server.url, 0) as rig:
        rig.conductor.connected(Took(5, None))
        assert rig.conductor.all_connect_times().handshake.count == 0


def closes(peer: socket.socket, number: int) -> None:
    """End the connection in the middle of the answer."""
    peer.sendall(ws_bytes.answer_to(ws_bytes.read_request(peer))[:30])


def resets(peer: socket.socket, number: int) -> None:
    """Break the connection off."""
    ws_bytes.read_request(peer)
    reset(peer)


def refuses(peer: socket.socket, number: int) -> None:
    """Answer 404, and leave the connection open."""
    ws_bytes.read_request(peer)
    peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n")
    peer.recv(1)


def keeps_silent(peer: socket.socket, number: int) -> None:
    """Answer nothing."""
    ws_bytes.read_request(peer)
    peer.recv(1)


def dribbles(peer: socket.socket, number: int) -> None:
    """Answer without an end."""
    ws_bytes.read_request(peer)
    peer.sendall(b"HTTP/1.1 101 ")
    never = threading.Event()
    while not never.wait(0.01):
        peer.sendall(b"x")


FAILURES = {
    "closes": (closes, ErrorKind.CLOSED, CLOSED_EARLY),
    "resets": (resets, ErrorKind.RESET, "during the handshake: "),
    "refuses": (refuses, ErrorKind.PROTOCOL, "the server answered 404 Not Found to the WebSocket handshake"),
    "keeps silent": (keeps_silent, ErrorKind.TIMEOUT, "the server did not answer the handshake within 0.1 s"),
    "dribbles": (dribbles, ErrorKind.TIMEOUT, "the server did not answer the handshake within 0.1 s"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_handshake_that_fails_has_a_kind_and_a_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour, kind, sentence = FAILURES[name]
    monkeypatch.setattr("loadgen.dial.HANDSHAKE_TIMEOUT_S", 0.1)
    with pytest.raises(DialError) as failure:
        shake(behaviour)
    assert failure.value.kind is kind
    assert failure.value.because is not None
    assert failure.value.because.startswith(sentence)
