"""Whole runs: what is announced, what is counted, and what a stall, a loss or a missing server make of it."""

from __future__ import annotations

import socket

import pytest

from harness.schema import ErrorKind
from loadgen.conductor import NoResultError
from loadgen.record import window_record
from tests.loadgen.peers import closed_port, requests, response, serving
from tests.loadgen.runs import carry, rigged


def test_a_correct_server_is_answered_in_full() -> None:
    with serving() as server:
        run = carry(server.url, 8)
    window = run.window
    assert window["due"] == window["sent"] == window["answered"] > 100
    assert (window["unanswered"], window["errors"], window["late"], window["lost"]) == (0, {}, 0, 0)
    assert window["response_time_ns"] == window["service_time_ns"]
    assert window["send_lateness_ns"] is None
    assert sum(second["responses"] for second in window["per_second"]) == window["responses"]
    assert run.record["requests_total"] > window["due"]
    assert window["fairness"]["stalled_connections"] == 0
    assert run.record["connect_time_ns"]["count"] == 8


@pytest.mark.parametrize("pipeline", [1, 8])
def test_every_request_of_the_whole_run_reaches_the_server(pipeline: int) -> None:
    counts: list[int] = []

    def counting(peer: socket.socket, number: int) -> None:
        counts.append(0)
        for header, payload in requests(peer):
            counts[number] += 1
            peer.sendall(response(header, payload))

    with serving(counting) as server:
        run = carry(server.url, 3, load=["closed", "open:500"], pipeline=pipeline, window=0.2)
    assert sum(counts) == run.record["requests_total"]
    assert [window["load"] for window in run.record["windows"]] == ["closed", "open:500"]


@pytest.mark.parametrize("pipeline", [1, 5])
@pytest.mark.parametrize("size", [1, 7, 200])
def test_replies_split_and_glued_in_any_way_are_whole_in_the_end(pipeline: int, size: int) -> None:
    def in_pieces(peer: socket.socket, number: int) -> None:
        buffer = b""
        while data := peer.recv(65536):
            buffer += data
            replies = b""
            while len(buffer) >= 80:
                replies += response(buffer[:16], buffer[16:80])
                buffer = buffer[80:]
            for at in range(0, len(replies), size):
                peer.sendall(replies[at : at + size])

    with serving(in_pieces) as server:
        run = carry(server.url, 2, pipeline=pipeline, window=0.15, timeout=5)
    assert run.window["errors"] == {}
    assert run.window["answered"] == run.window["due"] > 0


@pytest.mark.parametrize("load", ["closed", "open:200:constant"])
def test_payloads_beyond_every_buffer_go_through_whole(load: str) -> None:
    with serving() as server:
        run = carry(server.url, 2, payload=str(1 << 20), load=[load], timeout=10)
    assert run.window["errors"] == {}
    assert run.window["answered"] == run.window["due"] > 0


def test_a_payload_of_no_bytes_is_echoed_too() -> None:
    with serving() as server:
        run = carry(server.url, 2, payload="0")
    assert run.window["answered"] == run.window["due"] > 0


def test_open_load_counts_by_due_time_and_keeps_response_and_service_apart() -> None:
    with serving() as server:
        run = carry(server.url, 4, load=["open:1000:constant"], window=0.3)
    window = run.window
    assert window["due"] == window["sent"] == window["answered"] == 300
    assert window["send_lateness_ns"] is not None
    assert window["send_lateness_ns"]["count"] == 300
    response_mean, service_mean = window["response_time_ns"]["mean"], window["service_time_ns"]["mean"]
    assert response_mean is not None
    assert service_mean is not None
    lateness_mean = window["send_lateness_ns"]["mean"]
    assert lateness_mean is not None
    assert response_mean == pytest.approx(service_mean + lateness_mean)


def test_two_per_cent_unanswered_reach_the_99th_percentile() -> None:
    def drops(peer: socket.socket, number: int) -> None:
        for count, (header, payload) in enumerate(requests(peer)):
            if count % 50 != 49:
                peer.sendall(response(header, payload))

    with serving(drops) as server:
        run = carry(server.url, 1, load=["open:4000:constant"], window=0.3, timeout=0.4)
    window = run.window
    assert window["due"] == 1200
    assert window["unanswered"] == 24
    assert window["response_time_ns"]["p99"] == "> 0.4 s"
    assert isinstance(window["response_time_ns"]["p50"], int)
    assert window["errors"] == {"timeout": 24}


def test_a_connection_that_can_not_be_made_is_counted_and_stops_no_other() -> None:
    """Three connections are asked for and the third is refused: the listener is gone by then."""
    with serving() as server, rigged(server.url, 2) as rig:
        rig.conductor.connect_failed(ErrorKind.REFUSED)
        rig.conductor.users_expected = 3
        measured = rig.conductor.run()
    assert rig.bulletin.events[0] == {"event": "connected", "connections": 2, "failed": 1, "errors": {"refused": 1}}
    window = window_record(measured[0], 1)
    assert window["errors"] == {"refused": 1}
    assert window["answered"] == window["due"] > 0
    with pytest.raises(NoResultError, match=r"nothing connected to tcp://.* \(refused 2\)"):
        carry(f"tcp://127.0.0.1:{closed_port()}", 2)


@pytest.mark.parametrize("load", ["closed", "open:500"])
def test_a_connection_that_ends_before_the_window_is_missed_in_it(load: str) -> None:
    def half_give_up(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer):
            if number % 2:
                return
            peer.sendall(response(header, payload))

    with serving(half_give_up) as server:
        run = carry(server.url, 8, load=[load, load], warmup=0.3, window=0.2)
    for window in run.record["windows"]:
        assert window["answered"] > 0
        assert window["errors"] == {"closed": 4}
        assert "errors" in [record["kind"] for record in window["warnings"]]


def test_a_window_without_an_answer_is_no_result() -> None:
    def silent(peer: socket.socket, number: int) -> None:
        for _ in requests(peer):
            pass

    refusal = pytest.raises(NoResultError, match=r"no request of window 0 \(closed\) was answered")
    with serving(silent) as server, refusal:
        carry(server.url, 2, timeout=0.1, window=0.1)


def test_events_come_in_order_and_the_window_is_announced_ahead() -> None:
    with serving() as server:
        run = carry(server.url, 2, load=["open:500"], window=1.1, warmup=0)
    assert [event["event"] for event in run.bulletin.events] == ["connected", "window", "second", "second"]
    assert run.bulletin.announced_ahead_ns >= 50_000_000
    assert [(event["index"], event["second"]) for event in run.bulletin.events[2:]] == [(0, 0), (0, 1)]
    assert run.window["window_s"] == pytest.approx(1.1)
    assert sum(entry["responses"] for entry in run.window["per_second"]) == run.window["responses"]


def test_a_spinning_engine_that_waits_is_not_busy() -> None:
    with serving() as server:
        run = carry(server.url, 1, load=["open:100:constant"], window=0.3, spin=True)
    assert run.window["answered"] == 30
    assert run.window["busy_fraction"] < 0.5
    assert run.window["cpu_s"] > 0
