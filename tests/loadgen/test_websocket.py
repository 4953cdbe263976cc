"""Whole runs over WebSocket, against an independent server and against ones that do what the RFC allows or forbids."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from harness.schema import ErrorKind
from loadgen.conductor import NoResultError
from tests.loadgen import ws_bytes
from tests.loadgen.peers import PATIENCE_S, response, serving
from tests.loadgen.runs import Bulletin, carry, rigged
from tests.loadgen.ws_bytes import BINARY, CLOSE, CONTINUATION, PING, PONG, frame

GOING_AWAY, PROTOCOL_ERROR = b"\x03\xe9", b"\x03\xea"
Behaviour = Callable[[socket.socket, int], None]


def reply_to(message: bytes) -> bytes:
    """Return the right answer to a request, without its frame."""
    return response(message[:16], message[16:])


def talking(answer: Callable[[socket.socket, bytes], None], seen: Counter[int] | None = None) -> Behaviour:
    """Return what shakes hands and then answers each request; `seen` counts the client's frames by their kinds."""

    def behave(peer: socket.socket, number: int) -> None:
        ws_bytes.shake_hands(peer)
        for first, payload in ws_bytes.frames(peer):
            if seen is not None:
                seen[first] += 1
            if first == BINARY:
                answer(peer, payload)

    return behave


def echo(peer: socket.socket, message: bytes) -> None:
    """Answer rightly."""
    peer.sendall(frame(reply_to(message)))


@contextmanager
def independent_server(closed_with: list[int | None]) -> Iterator[str]:
    """Run an echo made with the `websockets` package; notes the codes that clients close with."""

    def handle(connection: ServerConnection) -> None:
        try:
            while True:
                message = connection.recv()
                assert isinstance(message, bytes)
                connection.send(reply_to(message))
        except ConnectionClosed as closed:
            closed_with.append(closed.rcvd.code if closed.rcvd is not None else None)

    protocol = Subprotocol("echobench.v1")
    with serve(handle, "127.0.0.1", 0, subprotocols=[protocol], compression="deflate") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/echo"
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pipeline": 8},
        {"load": ["open:500"]},
        {"payload": "200000"},
        {"payload": "10:0.5,300:0.4,70000:0.1", "load": ["closed", "open:300"]},
        {"idle": 3},
        {"mode": "churn"},
        {"mode": "churn", "load": ["open:100"]},
    ],
    ids=str,
)
def test_an_independent_server_agrees_with_everything_that_is_sent(changes: dict[str, object]) -> None:
    closed_with: list[int | None] = []
    with independent_server(closed_with) as url:
        run = carry(url, connections=3, **changes)
    for window in run.record["windows"]:
        assert (window["errors"], window["unanswered"]) == ({}, 0)
        assert window["answered"] > 0
    assert set(closed_with) == {1000}
    handshake, connect = run.record["handshake_time_ns"], run.record["connect_time_ns"]
    assert handshake is not None
    assert handshake["count"] == connect["count"] == len(closed_with)


def test_under_churn_handshakes_are_times_of_their_own() -> None:
    with serving(talking(echo), "ws") as server:
        run = carry(server.url, connections=2, mode="churn")
    window = run.window
    connect, handshake, whole = window["connect_time_ns"], window["handshake_time_ns"], window["response_time_ns"]
    assert connect is not None
    assert handshake is not None
    assert handshake["count"] == connect["count"] == window["due"] > 0
    assert connect["p50"] is None or handshake["p50"] is None or connect["p50"] < handshake["p50"]
    assert handshake["mean"] is not None
    assert whole["mean"] is not None
    assert handshake["mean"] < whole["mean"], "the handshake is a part of the request's time"


def test_under_churn_leave_is_taken_and_the_answer_is_waited_for() -> None:
    ends: Counter[str] = Counter()

    def behave(peer: socket.socket, number: int) -> None:
        ws_bytes.shake_hands(peer)
        echo(peer, ws_bytes.read_frame(peer)[1])
        assert ws_bytes.read_frame(peer) == (CLOSE, b"\x03\xe8")
        peer.sendall(frame(b"\x03\xe8", CLOSE))
        ends["orderly" if peer.recv(1) == b"" else "more"] += 1  # a socket that was closed already would reset

    with serving(behave, "ws") as server:
        run = carry(server.url, connections=2, mode="churn")
    assert run.window["errors"] == {}
    assert ends == {"orderly": run.record["requests_total"]}


@pytest.mark.parametrize("load", ["closed", "open:300"])
def test_what_the_rfc_allows_a_server_to_send_is_understood(load: str) -> None:
    seen: Counter[int] = Counter()

    def at_length(peer: socket.socket, message: bytes) -> None:
        """Answer in fragments with pings between them, cut in the middle of a frame's header."""
        reply = reply_to(message)
        data = frame(b"before", PING) + frame(reply[:5], 0x02) + frame(b"between", PING) + frame(b"unasked", PONG)
        data += frame(reply[5:], CONTINUATION)
        peer.sendall(data[:9])
        peer.sendall(data[9:])

    with serving(talking(at_length, seen), "ws") as server:
        run = carry(server.url, connections=2, load=[load])
    assert (run.window["errors"], run.window["unanswered"]) == ({}, 0)
    assert seen[BINARY] == run.record["requests_total"] > 0
    assert seen[PONG] == 2 * seen[BINARY]
    assert seen[CLOSE] == 2


def test_pings_are_answered_while_nothing_is_asked_too() -> None:
    answered = threading.Event()

    def pings(peer: socket.socket, number: int) -> None:
        request = ws_bytes.read_request(peer)
        peer.sendall(ws_bytes.answer_to(request) + frame(b"early", PING))  # glued to the answer
        for first, payload in ws_bytes.frames(peer):
            if first == BINARY:
                echo(peer, payload)
                peer.sendall(frame(b"idle", PING))
            elif payload == b"idle":
                answered.set()

    with serving(pings, "ws") as server:
        run = carry(server.url, connections=1, idle=2, load=["open:20:constant"], window=0.3)
    assert run.window["errors"] == {}
    assert answered.is_set()


@pytest.mark.parametrize("load", ["closed", "open:500:constant"])
def test_a_server_that_goes_away_closes_connections(load: str) -> None:
    def leaves(peer: socket.socket, number: int) -> None:
        ws_bytes.shake_hands(peer)
        for count, (first, payload) in enumerate(ws_bytes.frames(peer)):
            if number == 0 and count == 20:
                peer.sendall(frame(GOING_AWAY, CLOSE))
                assert (CLOSE, GOING_AWAY) in ws_bytes.frames(peer)
                return
            if first == BINARY:
                echo(peer, payload)

    with serving(leaves, "ws") as server:
        run = carry(server.url, connections=2, load=[load], window=0.4)
    assert run.window["errors"].keys() == {"closed"}
    assert run.life.failures == {ErrorKind.CLOSED: run.window["errors"]["closed"]}
    assert run.window["answered"] > 20


def test_a_close_frame_that_blames_us_is_a_protocol_error_that_names_its_code() -> None:
    def blames(peer: socket.socket, message: bytes) -> None:
        peer.sendall(frame(PROTOCOL_ERROR + b"not like this", CLOSE))

    sentence = r"protocol \d+; the server closed the connection: 1002 \(protocol error\) not like this"
    with serving(talking(blames), "ws") as server, pytest.raises(NoResultError, match=sentence):
        carry(server.url, connections=2)
    with serving(talking(blames), "ws") as server, pytest.raises(NoResultError, match=sentence):
        carry(server.url, connections=2, mode="churn")


def test_a_reply_before_a_close_frame_counts_under_churn() -> None:
    def once(peer: socket.socket, message: bytes) -> None:
        peer.sendall(frame(reply_to(message)) + frame(GOING_AWAY, CLOSE))

    with serving(talking(once), "ws") as server:
        run = carry(server.url, connections=2, mode="churn")
    assert (run.window["errors"], run.window["unanswered"]) == ({}, 0)


def test_under_churn_a_handshake_that_fails_is_no_request_and_ranks_as_infinite_among_the_handshakes() -> None:
    def refuses_every_second(peer: socket.socket, number: int) -> None:
        if number % 2:
            ws_bytes.read_request(peer)
            peer.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        else:
            talking(echo)(peer, number)

    bulletin = Bulletin()
    with serving(refuses_every_second, "ws") as server:
        run = carry(server.url, 1, bulletin, mode="churn", window=0.4)
    window = run.window
    assert window["errors"].keys() == {"protocol"}
    connect, handshake = window["connect_time_ns"], window["handshake_time_ns"]
    assert connect is not None
    assert handshake is not None
    assert connect["count"] == window["due"]
    assert handshake["count"] == window["answered"]
    assert run.record["requests_total"] == run.life.answered.count


def test_under_churn_a_silent_handshake_is_a_time_out() -> None:
    def silent(peer: socket.socket, number: int) -> None:
        ws_bytes.read_request(peer)
        peer.recv(1)

    with serving(silent, "ws") as server, pytest.raises(NoResultError, match="timeout"):
        carry(server.url, connections=1, mode="churn", timeout=0.05)


def test_connections_whose_handshake_fails_are_missing_in_the_window_and_the_reason_is_kept() -> None:
    def refuses_one(peer: socket.socket, number: int) -> None:
        if number == 1:
            ws_bytes.read_request(peer)
            peer.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        else:
            talking(echo)(peer, number)

    with serving(refuses_one, "ws") as server, rigged(server.url, 3) as rig:
        measured = rig.conductor.run()
        recorder = rig.engine.exchange.recorder
        assert recorder.why_ended == "the server answered 403 Forbidden to the WebSocket handshake"
    assert measured[0].tally.errors == {"protocol": 1}
    assert measured[0].tally.answered > 0
    connected = rig.bulletin.events[0]
    assert (connected["connections"], connected["errors"]) == (2, {"protocol": 1})


def test_a_server_that_pings_and_never_reads_does_not_fill_the_memory() -> None:
    """The socket is full, and what is owed is bounded."""

    def pours(peer: socket.socket, number: int) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ws_bytes.shake_hands(peer)
        message = ws_bytes.read_frame(peer)[1]
        peer.sendall(frame(reply_to(message)))
        while True:  # until the client has gone
            peer.sendall(frame(bytes(125), PING) * 100)

    with serving(pours, "ws") as server, rigged(server.url, 1, load=["open:1000"], timeout=0.1) as rig:
        with pytest.raises(NoResultError, match="timeout"):
            rig.conductor.run()
        (connection,) = rig.engine.exchange.live
        assert len(connection.unsent) <= 4096
        assert len(connection.wire.owed) <= 4096


def test_descriptors_are_closed_at_once_also_where_gevent_has_patched_the_process() -> None:
    """The `os.close` of gevent puts it off, and what is not closed is reported by epoll."""
    code = (
        "import locust, os, socket\nfrom loadgen.parting import hang_up\n"
        "import gevent\ngevent.sleep(0)\na, b = socket.socketpair()\nfd = os.dup(a.fileno())\nhang_up(fd, b'')\n"
        "try: os.fstat(fd)\nexcept OSError: print('closed')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "closed\n"
