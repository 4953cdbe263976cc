"""Whole runs against servers that misbehave in known ways: the record must hold exactly what they did."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from harness.schema import ErrorKind
from tests.loadgen.peers import ERROR, echo, requests, reset, response, serving
from tests.loadgen.runs import Bulletin, Run, carry

Answer = Callable[[socket.socket, bytes, bytes], None]


class Mischief:
    """Answers rightly, but wrongly `times` times on requests that were certainly sent inside the window.

    Under closed load with one request outstanding, a request that follows one received inside the window was sent
    inside it; one that is received before the window closes was sent before.
    """

    def __init__(self, bulletin: Bulletin, answer: Answer, times: int = 5) -> None:
        self.done = 0
        self._bulletin = bulletin
        self._answer = answer
        self._times = times
        self._lock = threading.Lock()

    def __call__(self, peer: socket.socket, number: int) -> None:
        """Serve a connection."""
        follows = False
        for header, payload in requests(peer):
            is_open = self._bulletin.is_open()
            if follows and is_open and self._may():
                self._answer(peer, header, payload)
            else:
                peer.sendall(response(header, payload))
            follows = is_open

    def _may(self) -> bool:
        with self._lock:
            if self.done == self._times:
                return False
            self.done += 1
            return True


def run_with(answer: Answer, times: int = 5, connections: int = 4, **changes: object) -> tuple[Run, Mischief]:
    """Run a closed load against a server that misbehaves in one way."""
    bulletin = Bulletin()
    mischief = Mischief(bulletin, answer, times)
    with serving(mischief) as server:
        run = carry(server.url, connections, bulletin, **changes)
    assert mischief.done == times
    return run, mischief


def test_a_garbled_sequence_is_corrupt() -> None:
    run, mischief = run_with(
        lambda peer, header, payload: peer.sendall(response(header[:15] + bytes([header[15] ^ 1]), payload))
    )
    assert run.window["errors"] == {"corrupt": mischief.done}
    assert (run.window["duplicates"], run.window["late"]) == (0, 0)


def test_a_request_sent_back_unchanged_is_corrupt() -> None:
    run, mischief = run_with(lambda peer, header, payload: peer.sendall(header + payload))
    assert run.window["errors"] == {"corrupt": mischief.done}


def test_a_payload_of_another_length_is_corrupt() -> None:
    run, mischief = run_with(
        lambda peer, header, payload: peer.sendall(response(header[:4] + b"\0\0\0\3" + header[8:], payload[:3]))
    )
    assert run.window["errors"] == {"corrupt": mischief.done}


def test_the_bytes_of_another_connection_are_corrupt() -> None:
    last: dict[str, bytes] = {}

    def mixed_up(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer):
            reply = response(header, payload)
            if number == 1 and "other" in last:
                reply = last.pop("other")
            elif number == 0:
                last["other"] = reply
            peer.sendall(reply)

    with serving(mixed_up) as server:
        run = carry(server.url, 2)
    assert run.window["errors"].keys() == {"corrupt"}


def test_a_late_reply_is_a_time_out_and_late_and_breaks_nothing() -> None:
    def late(peer: socket.socket, header: bytes, payload: bytes) -> None:
        threading.Event().wait(0.35)
        peer.sendall(response(header, payload))

    run, mischief = run_with(late, times=2, timeout=0.3, window=0.6)
    assert run.window["late"] == mischief.done
    assert run.window["errors"]["timeout"] >= mischief.done  # the next request on that connection waits meanwhile
    assert run.window["fairness"]["stalled_connections"] == 0
    assert run.window["response_time_ns"]["max"] is not None
    assert run.window["response_time_ns"]["max"] <= 300_000_000


def test_garbage_is_a_protocol_error_and_closes_that_connection_only() -> None:
    run, mischief = run_with(lambda peer, header, payload: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), times=1)
    assert run.window["errors"] == {"protocol": mischief.done}
    assert run.window["answered"] == run.window["due"] - 1


def test_an_error_message_is_a_protocol_error() -> None:
    run, mischief = run_with(
        lambda peer, header, payload: peer.sendall(ERROR + b"\0\0\0\x03" + header[8:] + b"bad"), times=2
    )
    assert run.window["errors"] == {"protocol": mischief.done}


def test_a_reset_fails_the_requests_that_waited() -> None:
    run, mischief = run_with(lambda peer, header, payload: reset(peer), times=2)
    assert run.window["errors"] == {"reset": mischief.done}
    assert run.window["unanswered"] == mischief.done


def test_a_connection_that_is_closed_in_the_middle_of_a_reply_fails_its_request() -> None:
    def cut(peer: socket.socket, header: bytes, payload: bytes) -> None:
        peer.sendall(response(header, payload)[:30])
        peer.shutdown(socket.SHUT_WR)

    run, mischief = run_with(cut, times=2)
    assert run.window["errors"] == {"closed": mischief.done}
    assert run.window["unanswered"] == mischief.done


def test_every_request_of_a_pipeline_fails_with_its_connection() -> None:
    def close_after(peer: socket.socket, number: int) -> None:
        for count, (header, payload) in enumerate(requests(peer)):
            if number == 0 and count == 100:
                reset(peer)
                return
            peer.sendall(response(header, payload))

    with serving(close_after) as server:
        run = carry(server.url, 2, pipeline=8)
    # Between the reply to the hundredth request and the reset the client may have sent up to eight more.
    assert run.life.failures.keys() == {ErrorKind.RESET}
    assert 1 <= run.life.failures[ErrorKind.RESET] <= 8


def test_a_silent_connection_is_stalled_and_stops_no_other() -> None:
    def silent(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer):
            if number != 2:
                peer.sendall(response(header, payload))

    with serving(silent) as server:
        run = carry(server.url, 4, timeout=0.15, window=0.3)
    window = run.window
    assert window["fairness"]["stalled_connections"] == 1
    assert window["fairness"]["min"] == 0
    assert window["errors"].keys() == {"timeout"}
    # Always one outstanding, given up after 150 ms each: two or three of them were sent in 300 ms.
    assert 1 <= window["errors"]["timeout"] <= 3
    assert {warning["kind"] for warning in window["warnings"]} >= {"stalled_connections", "unanswered"}


def test_a_server_that_does_not_read_fills_the_backlog_and_not_the_engine() -> None:
    gate = threading.Event()

    def deaf(peer: socket.socket, number: int) -> None:
        if number == 0:
            gate.wait(10)
            return
        echo(peer, number)

    with serving(deaf) as server:
        run = carry(server.url, 2, load=["open:600:constant"], payload=str(1 << 16), window=0.3, timeout=0.2)
        gate.set()
    window = run.window
    assert window["due"] == 180
    assert window["sent"] < window["due"]  # the socket of the deaf one was full before long
    assert window["errors"] == {"timeout": window["unanswered"]}
    assert window["fairness"]["stalled_connections"] == 1
    assert window["answered"] > 0
