"""One cell over time: every panel that there is data for, windows where they were, and nothing on top of another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from analysis import frames
from analysis.figures import drawing, timeline
from analysis.frames import Run
from harness.schema import WarningKind, warning
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import WINDOW_S
from tests.analysis.canned_time import add_time
from tests.analysis.figures.test_figures import HOSTILE
from tests.analysis.readable import assert_readable, words

PAUSED = warning(WarningKind.PAUSES, share=0.03, count=4, max_ns=12_000_000)
LONG = replace(QUICK[2], name="a-foreign-server-with-a-name-as-long-as-can-be", warnings=(PAUSED,))


def told(folder: Path, *loads: str) -> Run:
    """Return a run of one round, with a difficult name and label, whose cells tell their time."""
    setting = Setting(rounds=1, loads=loads, conditions=({"work": HOSTILE},))
    made = make_run(folder, [LONG], setting).folder
    add_time(made)
    return frames.read(made)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A closed and an open window."""
    return told(tmp_path_factory.mktemp("runs") / "run", "closed", "open:2000")


@pytest.fixture(scope="module")
def drawn(run: Run) -> Figure:
    return timeline.figure(run, run.cells["file"].iloc[0])


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left").partition(",")[0].partition(";")[0] for axes in figure.axes]


def test_every_panel_can_be_read(drawn: Figure) -> None:
    assert_readable(drawn)
    assert titles(drawn) == [
        "Throughput of each second",
        "Response time of each second",
        "CPUs used: server",
        "Memory (RSS)",
        "Threads of the server",
        "Pauses of the machine",
    ]


def test_all_panels_share_the_axis_of_time_and_hold_all_of_it(run: Run, drawn: Figure) -> None:
    limits = {axes.get_xlim() for axes in drawn.axes}
    ((left, right),) = limits
    assert left <= run.resources["at_s"].min()
    assert right >= run.resources["at_s"].max()


def test_windows_are_shaded_where_they_were_and_named(drawn: Figure) -> None:
    shaded = [(patch.get_x(), patch.get_width()) for patch in drawn.axes[2].patches]
    assert shaded == [(0.0, WINDOW_S), (WINDOW_S + 0.5, WINDOW_S)]
    said = words(drawn)
    assert "1 closed load; 2 open load, 2,000 requests/s" in said
    assert "warnings: pauses" in said


def test_a_sweep_of_many_windows_can_be_read(tmp_path: Path) -> None:
    run = told(tmp_path / "run", "closed", "sweep:10", "open:2000")
    figure = timeline.figure(run, run.cells["file"].iloc[0])
    assert_readable(figure)
    assert "2 to 11 load sweep" in words(figure)


def test_a_cell_that_stored_no_memory_has_no_panel_of_it(run: Run) -> None:
    forgot = replace(run, resources=run.resources.assign(server_rss_bytes=float("nan")))
    assert "Memory (RSS)" not in titles(timeline.figure(forgot, run.cells["file"].iloc[0]))


def test_a_cell_that_tells_only_its_windows_is_drawn_with_them(run: Run) -> None:
    bare = replace(run, resources=run.resources.iloc[:0], per_second=run.per_second.iloc[:0])
    figure = timeline.figure(bare, run.cells["file"].iloc[0])
    assert_readable(figure)
    assert titles(figure) == ["Pauses of the machine"]


def test_a_cell_that_tells_nothing_says_so(run: Run) -> None:
    nothing = {name: getattr(run, name).iloc[:0] for name in ("windows", "per_second", "resources")}
    figure = timeline.figure(replace(run, **nothing), run.cells["file"].iloc[0])
    assert "nothing was stored over time" in words(figure)
    assert drawing.as_png(figure).startswith(b"\x89PNG")


def test_seconds_with_errors_are_marked(run: Run, tmp_path: Path) -> None:
    assert "cross" not in words(timeline.figure(run, run.cells["file"].iloc[0]))
    folder = told(tmp_path / "run", "closed").path
    (path,) = (folder / "cells").iterdir()
    cell = json.loads(path.read_text(encoding="utf-8"))
    cell["load"]["windows"][0]["per_second"][1]["errors"] = 3
    path.write_text(json.dumps(cell), encoding="utf-8")
    figure = timeline.figure(frames.read(folder), f"cells/{path.name}")
    assert "cross: errors in that second" in words(figure)
    (crosses,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert list(crosses.get_xdata()) == [1.25]


def test_a_cell_that_the_run_does_not_hold_is_refused(run: Run) -> None:
    with pytest.raises(KeyError, match=r"holds no cell cells/nobody\.json"):
        timeline.figure(run, "cells/nobody.json")
