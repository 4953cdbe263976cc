"""Lost datagrams: counted one by one, and in every percentile that they reach."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scipy.stats import binom

from harness.schema import ErrorKind
from tests.loadgen.ours import ROOT, OurServer, our_server
from tests.loadgen.relay import relaying
from tests.loadgen.runs import Run, carry

LOADS = {"closed": "closed", "open": "open:3000"}
CERTAINTY = 0.9999


@pytest.fixture(scope="module")
def server() -> Iterator[OurServer]:
    """Return one of our servers over UDP."""
    with our_server("udp") as running:
        yield running


def run_through(server: OurServer, lost_share: float, load: str) -> tuple[Run, int, int]:
    """Run a load through a relay; returns what was found, and the requests and losses that the relay tells of."""
    with relaying(server.port, lost_share) as relay:
        run = carry(relay.url, 32, load=[LOADS[load]], timeout=0.2, window=0.8)
    return run, relay.requests, relay.dropped


@pytest.mark.parametrize("load", LOADS)
def test_one_per_cent_lost_is_counted_as_one_per_cent_and_to_the_last_datagram(server: OurServer, load: str) -> None:
    run, requests, dropped = run_through(server, 0.01, load)
    window = run.window
    assert run.record["requests_total"] == requests
    # What the machine held up for longer than the time-out was not lost by the relay; it came late.
    assert run.life.failures == {ErrorKind.TIMEOUT: dropped + window["late"]}
    least, most = binom.interval(CERTAINTY, window["due"], 0.01)
    assert 0 < least <= window["lost"] - window["late"] <= most
    assert window["unanswered"] == window["lost"]
    assert window["errors"] == {}


@pytest.mark.parametrize("load", LOADS)
def test_two_per_cent_lost_reach_the_99th_percentile_and_not_the_median(server: OurServer, load: str) -> None:
    window = run_through(server, 0.02, load)[0].window
    for times in (window["response_time_ns"], window["service_time_ns"]):
        assert times["p99"] == "> 0.2 s"
        assert isinstance(times["p50"], int)
        assert isinstance(times["p90"], int)
        assert times["max"] is not None
        assert times["max"] <= 200_000_000  # of what was answered
    assert window["achieved"] is not None
    assert window["achieved"] < 0.99


def test_without_a_loss_every_percentile_has_a_value(server: OurServer) -> None:
    run, requests, dropped = run_through(server, 0.0, "open")
    assert dropped == 0
    assert run.record["requests_total"] == requests
    assert isinstance(run.window["response_time_ns"]["p99"], int)
    assert (run.window["lost"], run.window["errors"]) == (0, {})


def test_with_the_default_time_out_two_per_cent_lost_read_over_a_second(server: OurServer, tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    with relaying(server.port, 0.02) as relay:
        arguments = (relay.url, "--connections", "16", "--load", "open:2500", "--warmup", "0", "--window", "0.8")
        command = [sys.executable, "-m", "loadgen", *arguments, "--json", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(path.read_text())
    window = record["windows"][0]
    assert record["requests_total"] == relay.requests
    assert window["response_time_ns"]["p99"] == "> 1 s"
    assert [warning["kind"] for warning in window["warnings"]][:2] == ["schedule_missed", "unanswered"]
    least, most = binom.interval(CERTAINTY, window["due"], 0.02)
    assert least <= window["lost"] <= most
