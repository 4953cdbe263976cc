"""The summary for people."""

from __future__ import annotations

import io
import socket

import pytest

from loadgen.summary import duration, print_summary
from tests.loadgen.peers import answering, requests, response, serving
from tests.loadgen.runs import carry


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), ("> 1 s", "> 1 s"), (850, "850 ns"), (51_234, "51.2 us"), (1.5e6, "1.5 ms"), (2e9, "2 s")],
)
def test_times_are_written_with_three_digits_and_a_unit(value: object, text: str) -> None:
    assert duration(value) == text


def test_response_and_service_time_stand_side_by_side_and_warnings_in_words() -> None:
    def forgetful(peer: socket.socket, number: int) -> None:
        for count, (header, payload) in enumerate(requests(peer)):
            if count % 10:
                peer.sendall(response(header, payload))

    with serving(forgetful) as server:
        record = carry(server.url, 2, load=["open:200:constant"], timeout=0.1).record
    text = io.StringIO()
    print_summary(record, text)
    lines = text.getvalue().splitlines()
    assert lines[0].startswith(f"{record['target']}: 2 of 2 connections")
    assert any("response time" in line and "service time" in line and "send lateness" in line for line in lines)
    assert "of 40 requests answered" in text.getvalue()
    assert any(line.startswith("Warning: unanswered (") for line in lines)
    assert any(line.startswith("Warning: errors (timeout ") for line in lines)


def test_over_udp_there_are_sockets_and_no_connect_time_and_what_is_lost_is_unanswered_without_an_error() -> None:
    def forgetful(number: int, header: bytes, payload: bytes) -> list[bytes]:
        return [] if header[15] & 7 == 0 else [response(header, payload)]

    with answering("udp", forgetful) as server:
        record = carry(server.url, 2, load=["open:200:constant"], timeout=0.1).record
    assert record["windows"][0]["lost"] == record["windows"][0]["unanswered"] > 0
    text = io.StringIO()
    print_summary(record, text)
    lines = text.getvalue().splitlines()
    assert lines[0].startswith(f"{record['target']}: 2 sockets, 64 bytes")
    assert "connect" not in text.getvalue()
    assert any(line.startswith("Warning: unanswered (") for line in lines)
    assert not any(line.startswith("Warning: errors") for line in lines)
