"""Idle connections beside the active ones, and payloads of several sizes."""

from __future__ import annotations

import socket
from collections import Counter

import pytest

from loadgen.conductor import NoResultError
from tests.loadgen.peers import TRANSPORTS, answering, echo, right, serving
from tests.loadgen.runs import carry


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("load", ["closed", "open:300"])
def test_idle_connections_are_held_and_carry_one_request_each(transport: str, load: str) -> None:
    requests: Counter[int] = Counter()  # by the connection's number, the upper bytes of the sequence

    def count(number: int, header: bytes, payload: bytes) -> list[bytes]:
        requests[int.from_bytes(header[8:11], "big")] += 1
        return right(number, header, payload)

    with answering(transport, count) as server:
        run = carry(server.url, connections=3, idle=5, load=[load])
    window = run.window
    assert (window["errors"], window["unanswered"]) == ({}, 0)
    assert sorted(requests.values())[:5] == [1] * 5
    assert len(requests) == 8
    assert sum(requests.values()) == run.record["requests_total"]
    assert (run.record["connections"], run.record["idle"]) == (3, 5)
    assert window["fairness"]["stalled_connections"] == 0, "a connection that is meant to be idle has not stalled"


def test_a_server_that_ends_an_idle_connection_is_seen() -> None:
    def ends_the_first(peer: socket.socket, number: int) -> None:
        if number == 0:
            peer.settimeout(5)
            header = peer.recv(16, socket.MSG_WAITALL)
            payload = peer.recv(64, socket.MSG_WAITALL)
            peer.sendall(right(0, header, payload)[0])
        else:
            echo(peer, number)

    with serving(ends_the_first) as server:
        run = carry(server.url, connections=1, idle=1, window=0.3)
    assert run.life.failures == {"closed": 1}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("load", ["closed", "open:500"])
def test_a_mix_of_payloads_is_sent_in_its_parts_and_every_reply_checked(transport: str, load: str) -> None:
    sizes: Counter[int] = Counter()

    def measure(number: int, header: bytes, payload: bytes) -> list[bytes]:
        sizes[len(payload)] += 1
        return right(number, header, payload)

    with answering(transport, measure) as server:
        run = carry(server.url, connections=4, load=[load], payload="10:0.75,3000:0.25", window=0.5)
    window, total = run.window, run.record["requests_total"]
    assert (window["errors"], window["unanswered"]) == ({}, 0)
    assert sizes.keys() == {10, 3000}
    assert abs(sizes[3000] / total - 0.25) < 4 * (0.25 * 0.75 / total) ** 0.5
    mean = window["bytes_per_s"] / window["throughput_per_s"]
    assert 16 + 10 < mean < 16 + 3000, "bytes are those that were received"
    assert run.record["payload"] == "10:0.75,3000:0.25"


def test_a_reply_with_the_payload_of_another_size_is_corrupt() -> None:
    def cut(_number: int, header: bytes, payload: bytes) -> list[bytes]:
        return [header[:3] + b"\x02" + (5).to_bytes(4, "big") + header[8:] + payload[:5]]

    with answering("udp", cut) as server, pytest.raises(NoResultError, match="corrupt"):
        carry(server.url, connections=1, payload="10:0.5,20:0.5", timeout=0.1)
