"""The record: its shape to the letter, its warnings, and how it reaches the disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.schema import (
    ErrorKind,
    Fairness,
    Generator,
    Load,
    LoadRecord,
    LoadWindow,
    Pauses,
    Second,
    Summary,
    required_keys,
)
from loadgen.conductor import Measured
from loadgen.engine import Meter
from loadgen.histogram import Distribution
from loadgen.record import load_record, window_record, write_record
from loadgen.tally import NS_PER_S, ConnectTimes, WindowTally
from tests.loadgen.runs import options_for

MS = 1_000_000
OPENS, CLOSES = NS_PER_S, 2 * NS_PER_S


def tally_of(load: str, answered: int = 2000, connections: int = 2) -> WindowTally:
    """Return a window in which requests were answered after 200 us each, sent when they were due."""
    tally = WindowTally(Load.parse(load), OPENS, CLOSES)
    due = np.linspace(OPENS, CLOSES - 100 * MS, answered).astype(np.int64)
    response = Distribution()
    response.add(np.full(answered, 200_000))
    tally.add(due + 200_000, due, due, np.arange(answered) % connections, response)
    tally.add_bytes(due + 200_000, np.full(answered, 80))
    tally.advance(CLOSES)
    return tally


def stored(
    tally: WindowTally, idle_s: float = 0.25, pauses: tuple[int, int] = (0, 0), connections: int = 2
) -> LoadWindow:
    """Return the window as stored."""
    opened = Meter(OPENS, 7, 11, 3, 5)
    closed = Meter(CLOSES, int(7 + idle_s * NS_PER_S), 11 + NS_PER_S // 2, 3 + pauses[0], 5 + sum(pauses))
    return window_record(Measured(tally, opened, closed, pauses[1], frozenset(range(connections))), 1.0)


def kinds(window: LoadWindow) -> list[str]:
    """Return the kinds of a window's warnings."""
    return [warning["kind"] for warning in window["warnings"]]


@pytest.mark.parametrize("load", ["closed", "open:2000"])
def test_the_record_has_the_keys_of_the_schema_to_the_letter(load: str) -> None:
    window = stored(tally_of(load))
    record = load_record(options_for("tcp://127.0.0.1:1", load=[load]), 2, ConnectTimes(), 2000, [window])
    assert record.keys() == LoadRecord.__annotations__.keys()
    assert record["generator"].keys() == required_keys(Generator)
    assert window.keys() == required_keys(LoadWindow) | {"connect_time_ns", "handshake_time_ns"}
    assert window["fairness"].keys() == Fairness.__annotations__.keys()
    assert window["pauses"].keys() == Pauses.__annotations__.keys()
    assert window["per_second"][0].keys() == Second.__annotations__.keys()
    assert window["response_time_ns"].keys() == Summary.__annotations__.keys()
    assert json.loads(json.dumps(record)) == record


def test_figures_follow_from_the_counts() -> None:
    window = stored(tally_of("open:2000"))
    assert (window["due"], window["sent"], window["answered"], window["responses"]) == (2000, 2000, 2000, 2000)
    assert (window["window_s"], window["throughput_per_s"], window["bytes_per_s"]) == (1.0, 2000.0, 160_000.0)
    assert (window["busy_fraction"], window["cpu_s"], window["achieved"]) == (0.75, 0.5, 1.0)
    assert window["histograms"].keys() == {"response_time_ns", "service_time_ns", "send_lateness_ns"}
    assert kinds(window) == []


def test_closed_load_has_no_lateness() -> None:
    window = stored(tally_of("closed"))
    assert window["send_lateness_ns"] is None
    assert window["histograms"].keys() == {"response_time_ns", "service_time_ns"}


def test_failed_requests_are_warned_of_twice() -> None:
    tally = tally_of("closed")
    for _ in range(3):
        tally.fail(ErrorKind.TIMEOUT, OPENS, OPENS, 0)
    window = stored(tally)
    assert kinds(window) == ["errors", "unanswered"]
    assert window["warnings"][0]["figures"] == {"timeout": 3}
    assert window["warnings"][1]["figures"] == {"unanswered": 3, "due": 2003}


def test_a_stalled_connection_and_uneven_service_are_warned_of() -> None:
    assert kinds(stored(tally_of("closed", connections=2), connections=3)) == ["stalled_connections", "unfair"]


def test_pauses_are_the_difference_between_the_meters() -> None:
    window = stored(tally_of("closed"), pauses=(300, 11 * MS))
    assert window["pauses"] == {"count": 300, "total_ns": 300 + 11 * MS, "max_ns": 11 * MS}
    assert kinds(window) == ["pauses"]


def test_a_record_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    path.write_text("old")
    record = load_record(options_for("tcp://127.0.0.1:1"), 2, ConnectTimes(), 0, [])
    write_record(record, path)
    assert json.loads(path.read_text()) == record
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_that_can_not_be_written_leaves_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_record(load_record(options_for("tcp://127.0.0.1:1"), 2, ConnectTimes(), 0, []), path)
    assert list(tmp_path.iterdir()) == [path]
