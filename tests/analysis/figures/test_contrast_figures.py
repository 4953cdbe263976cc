"""Figures across conditions: their marks, gaps and bounds, and that nothing overlaps or is cut off."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import frames, views
from analysis.figures import drawing, style
from analysis.report import contrast_chapters
from analysis.report.document import Picture
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.figures.test_figures import HOSTILE, texts, words

OPTIONS = ([], ["--inner", "thread", "--accept", "shared"], ["--selector", "select"], ["--max-peers", "5"])
MODELS = (*QUICK, CannedModel(HOSTILE), CannedModel("a-foreign-server-with-a-name-as-long-as-can-be", 55_000))


def shown(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel | None:
    """Return what makes a figure difficult: bounds, gaps, losses, long names, and figures decades apart."""
    count = scenario["connections"]
    if model.name == "fork" and count == 100:
        return replace(model, failed_rounds=(1, 2, 3))
    if model.name == "thread" and count == 10_000:
        return None
    if scenario["options"]:
        return model if model.name == "selectors" else None
    slow = 300 if scenario["work"] != "echo" and model.name == "asyncio" else 1
    lossy = 0.02 if model.name == "asyncio" and count == 10_000 else 0.0
    return replace(model, throughput_per_s=model.throughput_per_s / slow, unanswered_share=lossy)


def drawn_of(
    folder: Path,
    *conditions: Mapping[str, Any],
    loads: tuple[str, ...] = ("closed",),
    models: Sequence[CannedModel] = QUICK,
) -> dict[str, Figure]:
    """Return the figures across conditions of a report, laid out."""
    setting = Setting(rounds=2, loads=loads, conditions=conditions, adjust=shown)
    figures: dict[str, Figure] = {}

    def draw(stem: str, text: str, figure: Figure) -> Picture:
        assert stem not in figures
        figures[stem] = figure
        return Picture(stem, text, "")

    run = frames.read(make_run(folder, models, setting).folder)
    list(contrast_chapters.chapters(run, views.conditions(run), draw))
    with style.applied(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in figures.values():
            FigureCanvasAgg(figure).draw()
    return figures


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    """Every kind of figure, made hard to read."""
    folder = tmp_path_factory.mktemp("runs")
    works = ({"work": work, "pin": "none"} for work in ("echo", "cpu:100us", "wait:5ms", "cpu:100us+wait:5ms"))
    growth = ({"connections": n, "options": each} for n in (1, 100, 2_000, 10_000) for each in OPTIONS)
    payloads = ({"payload": str(64 * 4**power)} for power in range(8))
    sides = ({"pin": pin, "python": python} for pin in ("0:1", "none") for python in (None, "3.13"))
    return {
        **drawn_of(folder / "work", *works, models=MODELS),
        **drawn_of(folder / "growth", *growth, loads=("closed", "open:2000"), models=MODELS),
        **drawn_of(folder / "payload", *payloads),
        **drawn_of(folder / "sides", *sides),
    }


NAMES = (
    "work-0",
    "connections-0-throughput-per-s",
    "connections-0-response-time-p99-ns",
    "connections-0-cpu-us-per-request",
    "connections-0-connected-pss-bytes",
    "connections-0-bytes-per-connection",
    "payload-0-bytes-per-s",
    "payload-0-throughput-per-s",
    "payload-0-cpu-us-per-request",
    *(
        f"{key}-{place}-{column}"
        for key in ("pin", "python")
        for place in (0, 1)
        for column in ("throughput-per-s", "cpu-us-per-request")
    ),
)


def test_these_are_all_figures(drawn: dict[str, Figure]) -> None:
    assert set(drawn) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_overlaps_another_one_or_is_cut_off(drawn: dict[str, Figure], name: str) -> None:
    figure = drawn[name]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    clashes = [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.padded(-1).overlaps(two)]
    assert clashes == []
    edge = figure.bbox.padded(1)
    assert [text for text, box in boxes if not (edge.contains(*box.min) and edge.contains(*box.max))] == []


@pytest.mark.parametrize("name", NAMES)
def test_text_is_large_enough_to_be_read_on_a_telephone(drawn: dict[str, Figure], name: str) -> None:
    assert min(text.get_fontsize() for text in texts(drawn[name])) >= 8.5


def own(figure: Figure, model: str) -> list[Line2D]:
    color = style.looks([model])[model].color
    return [line for line in figure.axes[0].lines if line.get_color() == color]


def marks(figure: Figure, model: str) -> list[Line2D]:
    return [line for line in own(figure, model) if line.get_marker() not in ("None", "", None)]


def test_what_was_not_measured_breaks_the_line_and_is_named(drawn: dict[str, Figure]) -> None:
    figure = drawn["connections-0-throughput-per-s"]
    (line,) = [line for line in own(figure, "fork") if len(line.get_xdata()) == 4]
    assert [math.isnan(y) for y in np.asarray(line.get_ydata())] == [False, True, False, False]
    assert len(marks(figure, "fork")) == 3
    note = words(figure).replace("\n", " ")
    assert "fork at 100;" in note
    assert "thread at 10,000" in note


def test_a_bound_is_a_hollow_mark_and_the_note_says_so(drawn: dict[str, Figure]) -> None:
    figure = drawn["connections-0-throughput-per-s"]
    assert {mark.get_markerfacecolor() for mark in marks(figure, "hybrid")} == {style.PAPER}
    assert style.PAPER not in {mark.get_markerfacecolor() for mark in marks(figure, "fork")}
    assert "hollow: >=, the load generator was the limit" in words(figure).replace("\n", " ")


def test_what_was_never_answered_is_a_triangle_at_the_upper_edge(drawn: dict[str, Figure]) -> None:
    figure = drawn["connections-0-response-time-p99-ns"]
    last = marks(figure, "asyncio")[-1]
    assert (last.get_marker(), list(last.get_ydata())) == ("^", [figure.axes[0].get_ylim()[1]])


def test_payloads_are_ticks_with_their_units(drawn: dict[str, Figure]) -> None:
    said = words(drawn["payload-0-bytes-per-s"])
    assert "64 KiB" in said
    assert "1 MiB" in said
    assert "MB/s (logarithmic)" in said


def test_the_best_of_each_work_is_the_longest_bar_and_the_limit_is_named(drawn: dict[str, Figure]) -> None:
    figure = drawn["work-0"]
    said = words(figure)
    assert "cpu:100us   at most 20,000: 2 CPUs / 100 µs" in said
    assert "wait:5ms   at most 12,800: 64 connections / 5 ms" in said
    assert "no place" in said
    solid = [patch.get_x() + patch.get_width() for patch in figure.axes[0].patches]
    assert max(solid) == pytest.approx(1.0)


def test_the_limit_is_drawn_where_it_is_in_sight(tmp_path: Path) -> None:
    def near(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
        return replace(model, throughput_per_s=36_000 if scenario["work"] == "wait:5ms" else 1_000, noise=0.0)

    conditions = [{"work": work, "connections": 200} for work in ("wait:5ms", "cpu:100us")]
    setting = Setting(rounds=1, loads=("closed",), conditions=conditions, adjust=near)
    figures: list[Figure] = []

    def draw(stem: str, text: str, figure: Figure) -> Picture:
        figures.extend([figure] * stem.startswith("work"))
        return Picture(stem, text, "")

    run = frames.read(make_run(tmp_path / "run", QUICK[3:4], setting).folder)
    list(contrast_chapters.chapters(run, views.conditions(run), draw))
    value = run.windows.loc[run.windows["work"] == "wait:5ms", "throughput_per_s"].iloc[0]
    limits = [
        line for line in figures[0].axes[0].lines if line.get_color() == style.INK and line.get_linestyle() != "-"
    ]
    assert [list(line.get_xdata()) for line in limits] == [[pytest.approx(40_000 / value)] * 2]


def test_the_same_data_gives_the_same_file(tmp_path: Path) -> None:
    conditions = ({"connections": 1}, {"connections": 10})
    once = drawn_of(tmp_path / "a", *conditions, models=QUICK[:2])
    again = drawn_of(tmp_path / "b", *conditions, models=QUICK[:2])
    assert [drawing.as_svg(figure) for figure in once.values()] == [drawing.as_svg(figure) for figure in again.values()]
