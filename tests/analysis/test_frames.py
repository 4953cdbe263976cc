"""A run folder as frames: what is in the files, with units, and what could not be read, in words."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import frames
from analysis.columns import CELLS, PERCENTILES, WINDOWS
from analysis.frames import Run
from harness.schema import LimitedBy, SchemaError
from harness.store import StoreError
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import WINDOW_S, CannedModel


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The canned quick run: five models, three rounds, a closed and an open window."""
    return frames.read(make_run(tmp_path_factory.mktemp("runs") / "quick").folder)


def first_cell(folder: Path) -> Path:
    return sorted((folder / "cells").iterdir())[0]


def damage(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_there_is_a_row_for_each_cell_and_each_window(quick: Run) -> None:
    assert len(quick.cells) == 15
    assert len(quick.windows) == 30
    assert quick.problems == ()
    assert set(quick.windows["kind"]) == {"closed", "open"}


def test_every_frame_has_exactly_the_documented_columns(quick: Run) -> None:
    for table, columns in ((quick.cells, CELLS), (quick.windows, WINDOWS), (quick.percentiles, PERCENTILES)):
        assert list(table.columns) == [column.name for column in columns]
        assert [str(kind) for kind in table.dtypes] == [column.type for column in columns]
        assert all(column.meaning for column in columns)


def test_no_column_is_called_latency() -> None:
    assert not [column.name for column in (*CELLS, *WINDOWS, *PERCENTILES) if "latency" in column.name]


def test_a_window_holds_what_both_sides_measured(quick: Run) -> None:
    row = quick.windows.iloc[0]
    cell = json.loads((quick.path / row["file"]).read_text())
    seen, watched = cell["load"]["windows"][0], cell["windows"][0]
    assert row["model"] == cell["scenario"]["model"]
    assert row["throughput_per_s"] == seen["throughput_per_s"]
    assert row["response_time_p50_ns"] == seen["response_time_ns"]["p50"]
    assert row["cpu_us_per_request"] == watched["server"]["cpu_us_per_request"]
    parts = row["cpu_user_us_per_request"] + row["cpu_system_us_per_request"]
    assert parts == pytest.approx(row["cpu_us_per_request"])
    assert row["limited_by"] == watched["limited_by"]
    assert row["server_cpus"] == "0"


def test_every_row_leads_to_a_file_of_the_run(quick: Run) -> None:
    assert all((quick.path / file).is_file() for file in {*quick.cells["file"], *quick.windows["file"]})


def test_a_percentile_that_the_samples_can_not_carry_is_nan(quick: Run) -> None:
    window = quick.windows[quick.windows["kind"] == "open"].iloc[0]
    assert window["due"] < 10_000
    assert math.isnan(window["response_time_p99.9_ns"])
    assert window["response_time_p99.9_text"] == "-"


def test_a_percentile_among_the_unanswered_is_infinite_and_reads_as_the_time_out(tmp_path: Path) -> None:
    run = frames.read(make_run(tmp_path / "run", [CannedModel("udp", unanswered_share=0.02)]).folder)
    window = run.windows[run.windows["kind"] == "open"].iloc[0]
    assert math.isinf(window["response_time_p99_ns"])
    assert window["response_time_p99_text"] == "> 1 s"
    assert math.isfinite(window["response_time_p90_ns"])
    assert window["warnings"] == ("unanswered",)
    assert f"unanswered {window['unanswered']}" in window["warnings_text"]


def test_curves_are_of_all_rounds_together_within_the_histogram_s_resolution(tmp_path: Path) -> None:
    canned = make_run(tmp_path / "run", [CannedModel("udp", unanswered_share=0.004)])
    run = frames.read(canned.folder)
    rounds = [canned.raw["udp", number][1] for number in (1, 2, 3)]
    answered = np.concatenate([times.response_time for times in rounds])
    unanswered = sum(times.unanswered for times in rounds)
    pooled = np.concatenate([answered, np.full(unanswered, np.inf)])
    curve = run.percentiles[(run.percentiles["window"] == 1) & (run.percentiles["clock"] == "response_time")]
    assert set(curve["samples"]) == {len(pooled)}
    for quantile, value in zip(curve["quantile"], curve["value_ns"], strict=True):
        exact = np.sort(pooled)[max(0, math.ceil(round(quantile * len(pooled), 9)) - 1)]
        assert value == exact or exact <= value <= exact + max(512, exact / 1000)
    assert np.isinf(curve["value_ns"].iloc[-1])


def test_a_curve_ends_where_ten_requests_lie_beyond(quick: Run) -> None:
    curve = quick.percentiles[(quick.percentiles["model"] == "fork") & (quick.percentiles["window"] == 1)]
    samples = int(curve["samples"].iloc[0])
    assert curve["quantile"].max() == pytest.approx(1 - 10 / samples)
    assert {"p50", "p90", "p99"} <= set(curve["name"])
    assert "p99.9" not in set(curve["name"])


def test_a_curve_of_generator_limited_rounds_is_a_bound(quick: Run) -> None:
    closed = quick.percentiles[quick.percentiles["kind"] == "closed"]
    assert set(closed.loc[closed["bound"], "model"]) == {"hybrid"}


def test_an_auto_pin_names_the_cpus_that_the_windows_tell_also_for_failed_cells(tmp_path: Path) -> None:
    models = [CannedModel("fork", failed_rounds=(1, 2)), CannedModel("thread")]
    run = frames.read(make_run(tmp_path / "run", models, Setting(rounds=2, conditions=({"pin": "none"},))).folder)
    assert set(run.cells["server_cpus"]) == {"unpinned (0,1)"}


def test_a_failed_cell_is_there_with_its_sentence_and_without_windows(tmp_path: Path) -> None:
    models = [CannedModel("fork", failed_rounds=(2,), failure="the server died with exit code 1")]
    run = frames.read(make_run(tmp_path / "run", models).folder)
    failed = run.cells[run.cells["outcome"] == "failed"]
    assert list(failed["failure"]) == ["the server died with exit code 1"]
    assert set(run.windows["round"]) == {1, 3}


def test_a_run_without_cells_gives_whole_but_empty_frames(tmp_path: Path) -> None:
    run = frames.read(make_run(tmp_path / "run", []).folder)
    assert (len(run.cells), len(run.windows), len(run.percentiles)) == (0, 0, 0)
    assert list(run.windows.columns) == [column.name for column in WINDOWS]


def test_a_cell_that_is_cut_short_is_left_out_and_told(quick: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(quick.path, tmp_path / "run")
    path = first_cell(folder)
    path.write_text(path.read_text()[:1000])
    run = frames.read(folder)
    assert len(run.cells) == 14
    assert len(run.problems) == 1
    assert path.name in run.problems[0]
    assert "cut short" in run.problems[0]


def test_a_cell_of_another_version_is_left_out_and_told(quick: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(quick.path, tmp_path / "run")
    damage(first_cell(folder), lambda cell: cell.update(schema="echobench.cell/99"))
    run = frames.read(folder)
    assert len(run.cells) == 14
    assert "echobench.cell/99" in run.problems[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: cell["load"]["windows"][0].pop("throughput_per_s"),
        lambda cell: cell["load"]["windows"][0].update(load="sideways"),
        lambda cell: cell["load"]["windows"][1].update(due="many"),
        lambda cell: cell.update(memory=None),
        lambda cell: cell["scenario"].pop("model"),
        lambda cell: cell.update(scenario=[1]),
        lambda cell: cell.update(windows={}),
        lambda cell: cell["windows"][0].update(server=None),
        lambda cell: cell["load"].update(windows=3),
        lambda cell: cell["load"]["windows"][0].pop("histograms"),
        lambda cell: cell["load"].update(timeout_s="soon"),
        lambda cell: cell["load"]["windows"][0].update(achieved="nearly"),
        lambda cell: cell["load"]["windows"][0]["response_time_ns"].update(p99="late"),
        lambda cell: cell.update(outcome=None),
    ],
)
def test_a_cell_of_another_shape_is_left_out_and_told(
    quick: Run, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    folder = shutil.copytree(quick.path, tmp_path / "run")
    damage(first_cell(folder), change)
    run = frames.read(folder)
    assert len(run.cells) == 14
    assert len(run.problems) == 1
    assert first_cell(folder).name in run.problems[0]


def test_a_cell_that_is_there_twice_counts_once_and_is_told(quick: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(quick.path, tmp_path / "run")
    shutil.copy(first_cell(folder), folder / "cells" / "999-copy.json")
    run = frames.read(folder)
    assert (len(run.cells), len(run.windows)) == (15, 30)
    assert run.problems == (
        f"cells/999-copy.json is the same scenario and round as cells/{first_cell(folder).name}; it is left out",
    )


def test_a_damaged_histogram_takes_only_its_window_out_of_the_curves(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", QUICK[:1]).folder
    damage(first_cell(folder), lambda cell: cell["load"]["windows"][1]["histograms"].update(response_time_ns="AAAA"))
    run = frames.read(folder)
    assert len(run.windows) == 6
    assert "cannot be decoded" in run.problems[0]
    rounds = run.percentiles[run.percentiles["window"] == 1].groupby("clock")["rounds"].first()
    assert dict(rounds) == {"response_time": 2, "service_time": 3}


def test_cells_without_their_run_document_are_shown_and_the_lack_is_told(quick: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(quick.path, tmp_path / "run")
    (folder / "run.json").write_text("{")
    run = frames.read(folder)
    assert len(run.cells) == 15
    assert "plan and environment of the run are unknown" in run.problems[0]


def test_a_folder_that_holds_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is no run folder: it has no run\.json"):
        frames.read(tmp_path)


def test_an_empty_run_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", []).folder
    damage(folder / "run.json", lambda run: run.update(schema="echobench.run/99"))
    with pytest.raises(SchemaError, match=r"echobench\.run/99"):
        frames.read(folder)


def test_figures_that_could_not_be_had_are_nan(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", QUICK[:1], Setting(rounds=1)).folder

    def forget(cell: dict[str, Any]) -> None:
        for window in cell["windows"]:
            window["server"] = dict.fromkeys(window["server"]) | {"cpus": [0]}
            window["steal_s"] = None
            window["limited_by"] = LimitedBy.UNDETERMINED

    damage(first_cell(folder), forget)
    run = frames.read(folder)
    assert run.problems == ()
    assert run.windows["cpu_us_per_request"].isna().all()
    assert run.windows["cpu_user_us_per_request"].isna().all()
    assert run.windows["window_s"].eq(WINDOW_S).all()
