"""Churn: a connection for every request."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.schema import Load
from loadgen.churn import Churn
from loadgen.conductor import NoResultError
from loadgen.dial import resolve
from loadgen.engine import make_epoll
from loadgen.recorder import Recorder
from loadgen.tally import WindowTally
from loadgen.wire import make_codec
from tests.loadgen.runs import carry

REQUEST_BYTES = 80


@dataclass
class Seen:
    """What a server of the test saw."""

    connections: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    ended_by_client: int = 0


@contextmanager
def accepting(behave: Any) -> Iterator[tuple[str, Seen]]:
    """Serve one connection after the other; `behave(connection, request, number)` does what it likes with each."""
    seen = Seen()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, (host, _port) = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    seen.sources[host] += 1
                    seen.connections += 1
                    request = connection.recv(REQUEST_BYTES, socket.MSG_WAITALL)
                    behave(connection, request, seen.connections)
                    seen.ended_by_client += connection.recv(1) == b""

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", seen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def echo(connection: socket.socket, request: bytes, _number: int) -> None:
    connection.sendall(request[:3] + b"\x02" + request[4:])


@pytest.mark.parametrize("load", ["closed", "open:200"])
def test_every_request_has_a_connection_of_its_own_and_its_connect_time(load: str) -> None:
    with accepting(echo) as (url, seen):
        run = carry(url, connections=4, mode="churn", load=[load])
    window, total = run.window, run.record["requests_total"]
    assert (window["errors"], window["unanswered"]) == ({}, 0)
    assert seen.connections == total == seen.ended_by_client
    assert run.record["connect_time_ns"]["count"] == total
    assert run.record["mode"] == "churn"
    connect = window["connect_time_ns"]
    assert connect is not None
    assert 0 < connect["count"] <= total
    least, most = connect["min"], window["service_time_ns"]["max"]
    assert least is not None
    assert most is not None
    assert least < most, "the connect is a part of the request's time"


def test_under_closed_load_a_slot_has_one_connection_at_a_time() -> None:
    with accepting(echo) as (url, _):
        window = carry(url, connections=1, mode="churn").window
    times = window["response_time_ns"]
    assert times["mean"] is not None
    assert times["count"] * times["mean"] <= 1.05 * 0.2e9, "times of one slot do not overlap"
    fairness = window["fairness"]
    assert (fairness["jain"], fairness["stalled_connections"]) == (1.0, 0)
    assert fairness["min"] == fairness["max"] == window["responses"]


def test_connections_to_a_loopback_server_come_from_many_addresses_in_turn() -> None:
    with accepting(echo) as (url, seen):
        total = carry(url, connections=2, mode="churn").record["requests_total"]
    assert len(seen.sources) == min(total, 1000)
    assert max(seen.sources.values()) - min(seen.sources.values()) <= 1


def test_a_connection_that_ends_before_its_reply_is_an_error_of_its_own_and_the_next_one_is_made() -> None:
    def every_third_hangs_up(connection: socket.socket, request: bytes, number: int) -> None:
        if number % 3:
            echo(connection, request, number)
        else:
            connection.shutdown(socket.SHUT_WR)

    with accepting(every_third_hangs_up) as (url, seen):
        run = carry(url, connections=1, mode="churn", window=0.4)
    window = run.window
    assert set(window["errors"]) == {"closed"}
    assert window["unanswered"] == window["errors"]["closed"] > 0
    assert run.life.failures.total() == seen.connections // 3


def test_a_wrong_echo_is_corrupt_and_a_silent_server_a_time_out() -> None:
    def wrong_or_silent(connection: socket.socket, request: bytes, number: int) -> None:
        if number % 4 == 1:
            echo(connection, request[:-1] + b"\xff", number)
        elif number % 4 != 2:
            echo(connection, request, number)

    with accepting(wrong_or_silent) as (url, _):
        window = carry(url, connections=1, mode="churn", window=0.5, timeout=0.05).window
    assert set(window["errors"]) == {"corrupt", "timeout"}
    assert window["answered"] > 0


def test_without_a_server_there_is_no_result_and_the_refusal_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(NoResultError, match="refused"):
        carry(url, connections=2, mode="churn")


def test_a_connection_that_never_stood_was_no_request_and_ranks_as_infinite_among_the_connects() -> None:
    codec = make_codec("tcp", b"x")
    recorder = Recorder(100_000_000, codec)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = resolve("127.0.0.1", full.getsockname()[1], socket.SOCK_STREAM)
        with ExitStack() as waiting:
            for _ in range(4):  # the queue of a listener that accepts nothing is full after a few
                knock = waiting.enter_context(socket.socket())
                knock.setblocking(False)
                knock.connect_ex(address.sockaddr)
            churn = Churn(codec, recorder, 100_000_000, make_epoll(), address)
            now = time.monotonic_ns()
            window = recorder.window = WindowTally(Load("closed"), now, now + 10_000_000_000)
            churn.adopt(churn.new_slot())
            churn.start_closed(1)
            churn.sweep(time.monotonic_ns() + 200_000_000)  # as if the time-out were over
            churn.stop_sending()
            churn.close()
    recorder.fold()
    assert (window.unanswered, window.unconnected, window.errors) == (1, 1, {"timeout": 1})
    assert recorder.life.requests_total == 0, "nothing was sent"


def test_what_fails_while_a_load_falls_silent_does_not_double_the_next_one() -> None:
    with accepting(echo) as (url, _):
        port = int(url.rpartition(":")[2])
        codec = make_codec("tcp", b"x" * 64)
        address = resolve("127.0.0.1", port, socket.SOCK_STREAM)
        churn = Churn(codec, Recorder(1_000_000_000, codec), 1_000_000_000, make_epoll(), address)
        churn.adopt(churn.new_slot())
        churn.start_closed(1)
        churn.stop_sending()
        churn.sweep(time.monotonic_ns() + 2_000_000_000)  # the request is given up while the load falls silent
        churn.start_closed(1)
        churn.sweep(time.monotonic_ns() + 30_000_000)
        assert len(churn._calls) == 1, "a slot has one connection at a time"
        churn.close()


def test_where_no_port_is_left_the_error_says_so_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        codec = make_codec("tcp", b"x")
        recorder = Recorder(1_000_000_000, codec)
        churn = Churn(codec, recorder, 1_000_000_000, make_epoll(), resolve("127.0.0.1", port, socket.SOCK_STREAM))

        def no_port_left(_made: socket.socket) -> None:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

        monkeypatch.setattr(churn._sources, "bind", no_port_left)
        churn.adopt(churn.new_slot())
        churn.start_closed(1)
        churn.close()
    assert recorder.life.failures == {"connect": 1}
    assert recorder.why_ended is not None
    assert recorder.why_ended.startswith("no free port is left to connect to 127.0.0.1 from: ")
    assert "net.ipv4.ip_local_port_range" in recorder.why_ended
