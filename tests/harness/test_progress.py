"""What a run shows: lines, and the live display."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.bench import CellFinished, CellStarted, RunStarted, SecondPassed
from harness.progress import LineDisplay, LiveDisplay, cell_rows, describe, duration, second_figures
from harness.schema import WarningKind, describe_warning, warning
from tests.harness.fake_loadgen import window_record

STARTED = RunStarted("quick", Path("results/runs/x"), 15, 3, ("a note",), 125.0)


def watched(limited_by: str, **changes: Any) -> dict[str, Any]:
    """Return what the harness measured over a window."""
    return {"server": {"cpu_us_per_request": 21.25}, "limited_by": limited_by, "warnings": [], **changes}


def finished(**changes: Any) -> CellFinished:
    """Return a finished cell of a closed and an open window."""
    seen = [window_record("closed", 0, 1, 1.5), window_record("open:2000", 0, 1, 1.5)]
    windows = [watched("generator"), watched("offered_load")]
    cell: Any = {"round": 2, "failure": None, "load": {"windows": seen}, "windows": windows, **changes}
    return CellFinished(4, 15, "asyncio-tcp", cell, 61.0)


def failed() -> CellFinished:
    """Return a failed cell."""
    return finished(failure="the server died", load=None, windows=[])


def test_the_start_names_plan_cells_time_and_folder() -> None:
    assert describe(STARTED) == [
        "plan quick: 15 cells, 3 of them measured before, about 2 min 05 s",
        "a note",
        "results go to results/runs/x",
    ]


def test_a_cell_is_one_line_with_its_figures_and_verdicts() -> None:
    assert describe(finished()) == [
        "[ 4/15] asyncio-tcp round 2: "
        "closed >= 3,333/s, 21.2 us CPU/request, limited by generator; "
        "open:2000 3,333/s, p99 0.40 ms, 21.2 us CPU/request, limited by offered load (1 min 01 s left)"
    ]


def test_a_step_of_a_sweep_goes_by_its_number_and_says_its_rate() -> None:
    sweep = {"step": 2, "of": 5, "fraction": 0.3}
    seen = [window_record("closed", 0, 1, 1.5), {**window_record("open:1234.5", 0, 1, 1.5), "sweep": sweep}]
    event = finished(load={"windows": seen})
    assert "; sweep 2 of 5 (open:1234.5) 3,333/s, p99" in describe(event)[0]
    assert [row[0] for row in cell_rows(event.cell)] == ["closed", "sweep 2 of 5"]


def test_a_rate_in_a_warning_has_its_unit() -> None:
    near = warning(WarningKind.NEAR_CEILING, throughput_per_s=55_123.4, ceiling_per_s=60_000.0)
    assert describe_warning(near) == "near ceiling (throughput 55,123/s, ceiling 60,000/s)"


def test_a_failed_cell_says_why() -> None:
    assert describe(failed()) == ["[ 4/15] asyncio-tcp round 2: FAILED: the server died (1 min 01 s left)"]


def test_warnings_stand_beside_the_figures() -> None:
    doubt = warning(WarningKind.STEAL, fraction=0.07)
    (line,) = describe(finished(windows=[watched("server", warnings=[doubt]), watched("offered_load")]))
    assert "limited by server, steal (fraction 0.07); open" in line


def test_a_time_that_is_unknown_or_never_came_is_said() -> None:
    short, never = window_record("open:9", 0, 1, 1.5), window_record("open:9", 0, 1, 1.5)
    short["response_time_ns"]["p99"] = None
    never["response_time_ns"]["p99"] = "> 1 s"
    windows = [watched("offered_load", server={"cpu_us_per_request": None}), watched("offered_load")]
    (line,) = describe(finished(load={"windows": [short, never]}, windows=windows))
    assert "p99 too few samples, CPU unknown" in line
    assert "p99 > 1 s, 21.2 us" in line


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s"), (3_720, "1 h 02 min")]
)
def test_a_duration_is_said_as_a_person_says_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_without_a_terminal_there_is_one_line_a_cell_and_nothing_else() -> None:
    out = io.StringIO()
    with LineDisplay(Console(file=out, width=40), describe) as display:
        for event in (STARTED, CellStarted(4, 15, "asyncio-tcp", 2, 70.0), SecondPassed("closed", {}), finished()):
            display(event)
    assert out.getvalue().splitlines() == [*describe(STARTED), *describe(finished())]


def test_a_second_of_closed_load_has_no_time_for_it_is_only_connections_over_throughput() -> None:
    second = SecondPassed("closed", {"responses": 43_210, "p99_ns": 2_500_000, "errors": 0})
    assert second_figures(second) == "closed: 43,210 replies in the last second"


def test_the_live_display_shows_the_cell_the_time_left_and_the_last_figures() -> None:
    out = io.StringIO()
    with LiveDisplay(Console(file=out, force_terminal=True, width=160, color_system=None)) as display:
        display(STARTED)
        display(CellStarted(4, 15, "asyncio-tcp", 2, 70.0))
        display(SecondPassed("open:2000", {"responses": 43_210, "p99_ns": 2_500_000, "errors": 2}))
        display(finished())
        display(failed())
    text = out.getvalue()
    for words in (
        "3/15 cells  cell 4 of 15: asyncio-tcp, round 2  1 min 10 s left",
        "open:2000: 43,210 replies in the last second, p99 2.50 ms, 2 errors",
        "4/15 cells",
        ">= 3,333",
        "offered load",
        "the server died",
    ):
        assert words in text
