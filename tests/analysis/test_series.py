"""What a cell tells over time: its seconds and samples on one clock, and what becomes of damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import frames
from analysis.columns import PER_SECOND, RESOURCES
from analysis.frames import Run
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import WINDOW_S, CannedModel
from tests.analysis.canned_time import LOADGEN_CORES, RSS_BYTES, SERVER_CORES, add_time


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models in two rounds, each cell with a series."""
    found = make_run(tmp_path_factory.mktemp("runs") / "told", QUICK[:2], Setting(rounds=2)).folder
    add_time(found)
    return found


@pytest.fixture(scope="module")
def told(folder: Path) -> Run:
    return frames.read(folder)


def changed(folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Run:
    """Return the run after a change of its first cell."""
    (tmp_path / "run" / "cells").mkdir(parents=True)
    for place, path in enumerate(sorted((folder / "cells").iterdir())):
        cell = json.loads(path.read_text(encoding="utf-8"))
        if place == 0:
            change(cell)
        (tmp_path / "run" / "cells" / path.name).write_text(json.dumps(cell), encoding="utf-8")
    (tmp_path / "run" / "run.json").write_bytes((folder / "run.json").read_bytes())
    return frames.read(tmp_path / "run")


def test_both_frames_have_exactly_the_documented_columns(told: Run) -> None:
    for table, columns in ((told.per_second, PER_SECOND), (told.resources, RESOURCES)):
        assert len(table)
        assert list(table.columns) == [column.name for column in columns]
        assert [str(kind) for kind in table.dtypes] == [column.type for column in columns]
        assert all(column.meaning for column in columns)
    assert told.problems == ()


def test_without_cells_both_frames_are_whole_but_empty(tmp_path: Path) -> None:
    run = frames.read(make_run(tmp_path / "run", []).folder)
    assert list(run.per_second.columns) == [column.name for column in PER_SECOND]
    assert [str(kind) for kind in run.resources.dtypes] == [column.type for column in RESOURCES]


def test_the_last_second_is_as_long_as_what_is_left_of_its_window(told: Run) -> None:
    first = told.per_second[(told.per_second["file"] == told.cells["file"].iloc[0]) & (told.per_second["window"] == 0)]
    assert list(first["second_s"]) == [1.0, WINDOW_S - 1]
    window = told.windows.iloc[0]
    assert list(first["throughput_per_s"]) == pytest.approx([window["throughput_per_s"]] * 2, rel=1e-3)
    assert np.isfinite(first["response_time_p99_ns"].iloc[0])
    assert np.isnan(first["response_time_p99_ns"].iloc[1])


def test_seconds_and_windows_begin_at_the_opening_of_the_first_window(told: Run) -> None:
    windows = told.windows[told.windows["file"] == told.cells["file"].iloc[0]]
    assert list(windows["opens_s"]) == [0.0, WINDOW_S + 0.5]
    seconds = told.per_second[told.per_second["file"] == told.cells["file"].iloc[0]]
    assert list(seconds["at_s"]) == [0.0, 1.0, 2.0, 3.0]


def test_what_is_used_between_samples_is_the_rise_of_the_clock_over_the_time_between_them(told: Run) -> None:
    samples = told.resources[told.resources["file"] == told.cells["file"].iloc[0]]
    assert samples["at_s"].iloc[0] == -0.5
    assert np.isnan(samples["server_cores"].iloc[0])
    assert np.isnan(samples["since_s"].iloc[0])
    inside = samples[(samples["at_s"] > 0.05) & (samples["at_s"] < WINDOW_S)]
    assert list(inside["server_cores"]) == pytest.approx([SERVER_CORES] * len(inside), abs=1e-3)
    assert list(inside["loadgen_cores"]) == pytest.approx([LOADGEN_CORES] * len(inside), abs=1e-3)
    between = samples[(samples["at_s"] > WINDOW_S + 0.15) & (samples["at_s"] < WINDOW_S + 0.45)]
    assert len(between)
    assert list(between["server_cores"]) == pytest.approx([0.0] * len(between), abs=1e-9)


def test_a_sample_knows_in_which_window_it_lies(told: Run) -> None:
    samples = told.resources[told.resources["file"] == told.cells["file"].iloc[0]]
    for index, opens_s in enumerate((0.0, WINDOW_S + 0.5)):
        inside = (samples["at_s"] >= opens_s) & (samples["at_s"] < opens_s + WINDOW_S)
        assert (samples["window"] == index).equals(inside)
    assert samples["window"].isna().any()


def test_memory_that_could_not_be_read_is_nan(told: Run) -> None:
    assert np.isnan(told.resources["server_rss_bytes"].iloc[0])
    assert told.resources["server_rss_bytes"].iloc[1] == RSS_BYTES


def test_records_of_before_memory_was_sampled_have_none(folder: Path, tmp_path: Path) -> None:
    run = changed(
        folder, tmp_path, lambda cell: [cell["series"].pop(f"{who}_rss_bytes") for who in ("server", "loadgen")]
    )
    assert run.problems == ()
    first = run.resources[run.resources["file"] == run.cells["file"].iloc[0]]
    assert first["server_rss_bytes"].isna().all()
    assert first["server_cores"].notna().any()


def test_a_cell_without_a_series_has_none_and_that_is_no_problem(tmp_path: Path) -> None:
    run = frames.read(make_run(tmp_path / "run", QUICK[:1]).folder)
    assert (len(run.per_second), len(run.resources), run.problems) == (0, 0, ())


def test_the_series_of_a_cell_that_failed_begins_with_its_first_sample(folder: Path, tmp_path: Path) -> None:
    run = changed(folder, tmp_path, lambda cell: cell.update(load=None, windows=[], outcome="failed", failure="broken"))
    samples = run.resources[run.resources["outcome"] == "failed"]
    assert samples["at_s"].iloc[0] == 0
    assert samples["window"].isna().all()


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: cell["series"]["server_cpu_s"].pop(),
        lambda cell: cell["series"].pop("threads"),
        lambda cell: cell["series"]["monotonic_ns"].reverse(),
        lambda cell: cell["series"]["monotonic_ns"].__setitem__(1, "later"),
        lambda cell: cell["series"]["monotonic_ns"].__setitem__(1, 10**30),
        lambda cell: cell["series"].update(processes={}),
        lambda cell: cell.update(series=[1, 2]),
    ],
)
def test_a_damaged_series_takes_only_its_cell_out_of_the_resources_and_is_told(
    folder: Path, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    run = changed(folder, tmp_path, change)
    assert (len(run.cells), len(run.windows)) == (4, 8)
    assert run.cells["file"].iloc[0] not in set(run.resources["file"])
    assert run.resources["file"].nunique() == 3
    (problem,) = run.problems
    assert run.cells["file"].iloc[0] in problem
    assert "time series is damaged" in problem


@pytest.mark.parametrize(
    "change",
    [
        lambda seconds: seconds[0].update(responses="many"),
        lambda seconds: seconds[0].pop("p99_ns"),
        lambda seconds: seconds[0].update(index=7),
        lambda seconds: seconds[0].update(index=-1),
        lambda seconds: seconds.append(3),
    ],
)
def test_damaged_seconds_take_only_their_window_out_and_are_told(
    folder: Path, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    run = changed(folder, tmp_path, lambda cell: change(cell["load"]["windows"][1]["per_second"]))
    assert len(run.windows) == 8
    assert len(run.per_second) == 4 * 4 - 2
    (problem,) = run.problems
    assert f"{run.cells['file'].iloc[0]}, window 1: its seconds are damaged" in problem


def test_a_cell_that_is_there_twice_tells_its_time_once(folder: Path, tmp_path: Path) -> None:
    once = frames.read(folder)
    run = changed(folder, tmp_path, lambda _: None)
    path = sorted((run.path / "cells").iterdir())[0]
    (run.path / "cells" / "999-copy.json").write_bytes(path.read_bytes())
    twice = frames.read(run.path)
    assert (len(twice.per_second), len(twice.resources)) == (len(once.per_second), len(once.resources))


def test_windows_of_failed_rounds_have_no_seconds(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [CannedModel("fork", failed_rounds=(2,))]).folder
    add_time(folder)
    run = frames.read(folder)
    assert set(run.per_second["round"]) == {1, 3}
