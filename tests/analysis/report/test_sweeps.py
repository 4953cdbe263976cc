"""Load sweeps: grouped by step over rounds, drawn against the rate, and mixed up with nothing else."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import frames, report, views
from analysis.figures import of_models as figures
from analysis.figures import style
from analysis.frames import Run
from analysis.ranking import THROUGHPUT
from analysis.report import markdown, sentences
from analysis.report.document import Picture
from harness.schema import LimitedBy, sweep_fraction
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel

LOADS = ("closed", "open:2000", "sweep:3")
STEADY = CannedModel("asyncio", 40_000)
LATE = CannedModel("fork", 20_000, keeps_up_to=0.6)
LOSSY = CannedModel("thread", 30_000, unanswered_share=0.02)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three models, three rounds: one keeps up, one misses its last step, one leaves 2 % unanswered."""
    folder = tmp_path_factory.mktemp("runs") / "swept"
    return frames.read(make_run(folder, (STEADY, LATE, LOSSY), Setting(loads=LOADS)).folder)


def swept(run: Run) -> Figure:
    rows = run.windows[run.windows["sweep_step"].notna()]
    return figures.latency_against_load(rows, ["asyncio", "fork", "thread"], "somewhere")


def points(figure: Figure, panel: int, model: str) -> list[Line2D]:
    """Return the marks of a model in a panel, from the lowest step to the highest."""
    color = style.looks(["asyncio", "fork", "thread"])[model].color
    lines = figure.axes[panel].lines
    return [line for line in lines if line.get_color() == color and line.get_marker() not in ("None", "", None)]


def test_a_window_of_a_sweep_knows_its_step_and_others_have_none(run: Run) -> None:
    cell = run.windows[run.windows["file"] == run.windows["file"].iloc[0]]
    steps = [(row["sweep_step"], row["sweep_of"]) for _, row in cell.iterrows()]
    assert steps[2:] == [(1, 3), (2, 3), (3, 3)]
    assert all(math.isnan(part) for pair in steps[:2] for part in pair)


def test_offered_is_what_was_due_and_closed_load_offers_nothing(run: Run) -> None:
    opened = run.windows[run.windows["kind"] == "open"]
    assert (opened["offered_per_s"] == opened["due"] / opened["window_s"]).all()
    assert run.windows.loc[run.windows["kind"] == "closed", "offered_per_s"].isna().all()


def test_the_rate_differs_between_rounds_and_a_step_is_one_window_all_the_same(run: Run) -> None:
    (view,) = views.conditions(run)
    (steps,) = view.sweeps
    assert [step.step for step in steps] == [1, 2, 3]
    own = steps[1].rows[steps[1].rows["model"] == "asyncio"]
    assert sorted(own["round"]) == [1, 2, 3]
    assert own["load"].nunique() == 3
    capacity = view.closed[0].rows
    for number in (1, 2, 3):
        closed = capacity[(capacity["model"] == "asyncio") & (capacity["round"] == number)]["throughput_per_s"].iloc[0]
        rate = own[own["round"] == number]["rate_per_s"].iloc[0]
        assert rate == pytest.approx(closed * sweep_fraction(2, 3), abs=0.1)


def test_several_sweeps_of_a_cell_are_told_apart(tmp_path: Path) -> None:
    setting = Setting(loads=("closed", "sweep:2", "closed", "sweep:1", "sweep:2"))
    (view,) = views.conditions(frames.read(make_run(tmp_path / "run", [STEADY], setting).folder))
    assert [[step.index for step in steps] for steps in view.sweeps] == [[1, 2], [4], [5, 6]]


def test_plain_open_loads_are_ranked_and_steps_of_sweeps_are_not(run: Run) -> None:
    (view,) = views.conditions(run)
    assert [window.load for window in view.open] == ["open:2000"]
    assert {index for index, _ in view.rankings} == {0, 1}
    with pytest.raises(KeyError):
        view.rank(view.sweeps[0][0], THROUGHPUT)


def test_each_model_is_a_line_of_medians_over_rounds(run: Run) -> None:
    rows = run.windows[(run.windows["model"] == "asyncio") & (run.windows["sweep_step"] == 3)]
    last = points(swept(run), 0, "asyncio")[-1]
    assert last.get_xdata()[0] == statistics.median(rows["offered_per_s"])
    assert last.get_ydata()[0] == statistics.median(rows["response_time_p99_ns"]) / 1e6


def test_a_step_whose_schedule_was_missed_is_hollow_and_the_figure_says_what_that_is(run: Run) -> None:
    figure = swept(run)
    color = style.looks(["fork"])["fork"].color
    assert [mark.get_markerfacecolor() for mark in points(figure, 1, "fork")] == [color, color, style.PAPER]
    assert style.PAPER not in [mark.get_markerfacecolor() for mark in points(figure, 1, "asyncio")]
    assert "hollow: the schedule was missed in some round" in notes(figure)


def test_a_step_at_which_the_load_generator_was_the_limit_is_hollow_too(run: Run) -> None:
    rows = run.windows[(run.windows["model"] == "asyncio") & run.windows["sweep_step"].notna()].copy()
    rows.loc[rows["sweep_step"] == 3, "limited_by"] = LimitedBy.GENERATOR
    figure = figures.latency_against_load(rows, ["asyncio"], "somewhere")
    faces = [mark.get_markerfacecolor() == style.PAPER for mark in points(figure, 0, "asyncio")]
    assert faces == [False, False, True]
    assert "hollow: the load generator was the limit in some round" in notes(figure)


def test_a_percentile_that_was_never_answered_is_a_triangle_at_the_upper_edge(run: Run) -> None:
    figure = swept(run)
    edge = figure.axes[0].get_ylim()[1]
    marks = points(figure, 0, "thread")
    assert [(mark.get_marker(), mark.get_ydata()[0]) for mark in marks] == [("^", edge)] * 3
    assert all(mark.get_ydata()[0] < edge for mark in points(figure, 1, "thread"))
    assert "triangle, upper edge: never answered" in notes(figure)


def test_a_percentile_that_the_samples_could_not_carry_is_left_out_and_that_is_said(run: Run) -> None:
    rows = run.windows[(run.windows["model"] == "asyncio") & run.windows["sweep_step"].notna()].copy()
    rows.loc[rows["sweep_step"] == 1, "response_time_p99_ns"] = math.nan
    figure = figures.latency_against_load(rows, ["asyncio"], "somewhere")
    assert [len(points(figure, panel, "asyncio")) for panel in (0, 1)] == [2, 3]
    assert "steps with too few requests for a percentile are left out" in notes(figure)


def notes(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def written(run: Run) -> str:
    return markdown.render(report.compose(run, lambda stem, words, figure: Picture(stem, words, "")))


def chapter(text: str, title: str) -> str:
    return text.partition(f"## {title}")[2].partition("\n## ")[0]


def test_the_report_shows_a_sweep_in_a_chapter_of_its_own_and_only_where_there_is_one(run: Run, tmp_path: Path) -> None:
    found = chapter(written(run), "Response time against load")
    assert found.count("figures/sweep-0-2") >= 1
    assert found.count("| asyncio |") == 3
    assert "schedule missed" in found
    plain = frames.read(make_run(tmp_path / "plain", QUICK[:2], Setting(rounds=1)).folder)
    assert "against load" not in written(plain)


def test_the_ranking_and_the_open_load_take_no_step_of_a_sweep(run: Run) -> None:
    text = written(run)
    rows = [line for line in chapter(text, "Ranking").splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert "schedule missed" not in "".join(rows)
    assert chapter(text, "Response time under open load").count("### ") == 1
    assert "(sweep 2 of 3)" in chapter(text, "Every cell")


def test_a_run_of_sweeps_alone_says_where_the_response_times_are(tmp_path: Path) -> None:
    run = frames.read(make_run(tmp_path / "run", [STEADY], Setting(loads=("closed", "sweep:2"))).folder)
    text = written(run)
    assert "No open window was measured beside the sweeps below." in text
    assert "open load at one rate for all models, of which there was none" in text


def test_the_summary_says_how_far_the_times_go_and_calls_a_bound_a_bound(run: Run, tmp_path: Path) -> None:
    (view,) = views.conditions(run)
    said = "\n".join(sentences.summary(view))
    assert "Between 16.7 % and 83.3 % of its own capacity" in said
    assert "from > 1 s to > 1 s (thread)" in said
    assert "Doubt: thread, load sweep, 50 % of its own capacity: " in said
    limited = replace(STEADY, open_verdict=LimitedBy.GENERATOR)
    (bound,) = views.conditions(frames.read(make_run(tmp_path / "run", [limited], Setting(loads=LOADS)).folder))
    assert "from at most " in "\n".join(sentences.summary(bound))


def test_a_step_that_makes_no_sense_takes_its_cell_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [STEADY], Setting(rounds=1, loads=LOADS)).folder
    (path,) = (folder / "cells").iterdir()
    path.write_text(path.read_text().replace('"step": 2', '"stop": 2'))
    found = frames.read(folder)
    assert len(found.cells) == 0
    assert "is not shaped as a cell" in found.problems[0]
