"""A server that stands still for 200 ms: what was due meanwhile waited, and none of it is lost or left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.loadgen.ours import OurServer, our_server
from tests.loadgen.peers import TRANSPORTS
from tests.loadgen.runs import Bulletin, Run, carry, longer_than

CONNECTIONS = 4
STALL_S = 0.2
SLOW_S = 0.1


@pytest.fixture(scope="module", params=TRANSPORTS)
def server(request: pytest.FixtureRequest) -> Iterator[OurServer]:
    """Return one of our servers."""
    with our_server(request.param) as running:
        yield running


def stalled_run(server: OurServer, load: str) -> tuple[Run, float]:
    """Freeze the server for 200 ms in the middle of the window; returns the run, and how long it really stood still."""
    bulletin = Bulletin()

    def stall() -> float:
        assert bulletin.announced.wait(10)
        threading.Event().wait((bulletin.opens_ns - time.monotonic_ns()) / 1e9 + 0.1)
        server.freeze()
        began_s = time.monotonic()
        threading.Event().wait(STALL_S)
        stood_still_s = time.monotonic() - began_s
        server.thaw()
        return stood_still_s

    with ThreadPoolExecutor(1) as pool:
        stood_still = pool.submit(stall)
        run = carry(server.url, CONNECTIONS, bulletin, load=[load], window=0.6)
        return run, stood_still.result()


def slow_requests(run: Run) -> int:
    """Return how many requests were answered after 100 ms or later."""
    return longer_than(run.window, "response_time_ns", int(SLOW_S * 1e9))


def test_under_open_load_all_that_was_due_in_the_first_half_of_a_stall_is_slow(server: OurServer) -> None:
    rate_per_s = 500
    run, stood_still_s = stalled_run(server, f"open:{rate_per_s}:constant")
    assert (run.window["unanswered"], run.window["errors"]) == (0, {})
    longest_ns = run.window["response_time_ns"]["max"]
    assert longest_ns is not None
    assert longest_ns / 1e9 > stood_still_s - 1 / rate_per_s
    # A busy machine lets a thawed server wait for its turn: then more requests waited, and the first one longer.
    slow = slow_requests(run)
    assert slow >= rate_per_s * (stood_still_s - SLOW_S) - 1
    assert slow == pytest.approx(rate_per_s * (longest_ns / 1e9 - SLOW_S), rel=0.1)


def test_under_closed_load_a_stall_touches_one_request_a_connection(server: OurServer) -> None:
    run, _ = stalled_run(server, "closed")
    assert 1 <= slow_requests(run) <= CONNECTIONS
    assert (run.window["unanswered"], run.window["errors"]) == (0, {})


def test_buffers_hold_more_than_the_system_s_default_while_a_server_stands_still() -> None:
    """At 2,000/s, 400 datagrams come in 200 ms; the usual default of 212,992 bytes holds 256."""
    with our_server("udp") as server:
        run, _ = stalled_run(server, "open:2000:constant")
    assert run.window["due"] == run.window["answered"] == 1200
    assert (run.window["lost"], run.window["errors"]) == (0, {})
