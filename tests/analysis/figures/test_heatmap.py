"""The heat map: readable with many conditions and hostile names, in grey, and with everything that can be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis import frames, overview, views
from analysis.figures import drawing, heatmap, style
from analysis.overview import Mark, Tile
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.figures.test_figures import HOSTILE
from tests.analysis.readable import assert_readable, words

LONG = "a-foreign-server-with-a-name-as-long-as-can-be"
WORK = "cpu:100us+wait:5ms"


def adjusted(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel | None:
    """Return what makes a line difficult: bounds, failures, ties, what was left out."""
    if model.name == "fork" and scenario["connections"] == 10_000:
        return replace(model, failed_rounds=(1, 2, 3))
    if model.name == "thread" and scenario["connections"] == 5_000:
        return None
    return replace(model, noise=0.3) if scenario["connections"] == 50 else model


def drawn_of(
    folder: Path, conditions: tuple[Mapping[str, Any], ...], models: tuple[CannedModel, ...], times: int = 1
) -> Figure:
    """Return the heat map of these conditions, each of them so many times."""
    setting = Setting(loads=("closed",), conditions=conditions, adjust=adjusted)
    return heatmap.figure(views.conditions(frames.read(make_run(folder, models, setting).folder)) * times)


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Figure:
    """Five models in thirty lines, of five conditions."""
    conditions = (
        {"connections": 50},
        {"connections": 1_000, "transport": "udp"},
        {"connections": 5_000},
        {"connections": 10_000, "pin": "none"},
        {"connections": 1_000, "transport": "ws", "work": WORK, "pin": "none"},
    )
    return drawn_of(tmp_path_factory.mktemp("runs") / "thirty", conditions, QUICK, times=6)


def test_thirty_conditions_of_five_models_can_be_read(thirty: Figure) -> None:
    assert_readable(thirty)
    assert len(thirty.axes[0].get_children()) >= 150
    assert thirty.get_figwidth() <= style.WIDTH_IN + 0.05


def test_the_words_and_marks_that_occur_are_explained(thirty: Figure) -> None:
    said = words(thirty)
    for meaning in (
        "hatched: a lower bound",
        "solid frame",
        "dashed frames: a tie",
        "failed: in every round",
        "-: not",
    ):
        assert meaning in said
    assert "not known: hybrid" in said
    assert "tie" in said


def test_long_and_hostile_names_stay_in_their_place(tmp_path: Path) -> None:
    models = (*QUICK, CannedModel(HOSTILE, 30_000), CannedModel(LONG, 55_000), CannedModel("selectors --selector poll"))
    conditions = ({"work": "echo"}, {"work": HOSTILE + " and a work that goes on and on"}, {"work": "x" * 60})
    assert_readable(drawn_of(tmp_path / "run", conditions, models))


def test_one_contender_in_two_conditions_can_be_read(tmp_path: Path) -> None:
    assert_readable(drawn_of(tmp_path / "run", ({"connections": 1}, {"connections": 50}), QUICK[:1]))


def test_no_condition_at_all_can_be_drawn() -> None:
    drawn = heatmap.figure(())
    assert "nothing was measured" in words(drawn)
    assert drawing.as_png(drawn).startswith(b"\x89PNG")


def test_a_tile_is_the_darker_the_nearer_to_the_best_also_in_grey() -> None:
    parts = [place / 20 for place in range(21)]
    greys = [luminance(heatmap._colors(Tile("", part, Mark.BEHIND))[0]) for part in parts]
    assert greys == sorted(greys, reverse=True)
    assert greys[0] - greys[-1] > 0.4


def test_the_text_in_a_tile_stands_out() -> None:
    for place in range(101):
        face, ink = heatmap._colors(Tile("", place / 100, Mark.BEHIND))
        light, dark = sorted((luminance(face), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(color: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.1 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_bound_is_hatched_and_has_no_colour(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", QUICK, Setting(loads=("closed",), conditions=({}, {"pin": "none"}))).folder
    found = views.conditions(frames.read(folder))
    bounds = sum(tile.mark is Mark.BOUND for view in found for tile in overview.line(view, view.models).tiles)
    patches = [patch for patch in heatmap.figure(found).axes[0].patches if isinstance(patch, Rectangle)]
    assert sum(patch.get_hatch() is not None for patch in patches) == bounds == 2
