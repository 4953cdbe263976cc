"""The share unanswered against the load: the right points in the right order, and room for nothing at all."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from analysis import frames
from analysis.figures import drawing, style, unanswered
from analysis.frames import Run
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.figures.test_figures import HOSTILE
from tests.analysis.readable import assert_readable, words

LABEL = "UDP, 64 B, 64 connections, server on CPU 0, " + HOSTILE
LOADS = ("closed", "sweep:4", "open:2000")
MODELS = (
    *QUICK[:2],
    CannedModel("asyncio", 20_000, unanswered_share=0.3, keeps_up_to=0.6),
    CannedModel(HOSTILE, 25_000, unanswered_share=0.002),
    CannedModel("never", failed_rounds=(1, 2, 3)),
)
NAMES = [model.name for model in MODELS]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    setting = Setting(loads=LOADS, conditions=({"transport": "udp"},))
    return frames.read(make_run(tmp_path_factory.mktemp("runs") / "run", MODELS, setting).folder)


def line(drawn: Figure, model: str) -> tuple[list[float], list[float]]:
    """Return the line of a model: rates, shares in percent."""
    color = style.looks(NAMES)[model].color
    lines = [each for each in drawn.axes[0].lines if each.get_color() == color and len(each.get_xdata()) > 2]
    return [*map(float, lines[0].get_xdata())], [*map(float, lines[0].get_ydata())]


def test_it_can_be_read_with_difficult_models(run: Run) -> None:
    drawn = unanswered.figure(run.windows, NAMES, LABEL)
    assert_readable(drawn)
    said = words(drawn)
    assert "no figure: never" in said
    assert "the schedule was missed" in said
    assert "every request was answered" not in said


def test_a_line_goes_through_all_open_windows_in_the_order_of_their_rates(run: Run) -> None:
    rates, shares = line(unanswered.figure(run.windows, NAMES, LABEL), "asyncio")
    assert len(rates) == 5
    assert rates == sorted(rates)
    assert shares == pytest.approx([30.0] * 5, rel=0.01)


def test_who_loses_nothing_is_on_the_lowest_line(run: Run) -> None:
    drawn = unanswered.figure(run.windows, NAMES, LABEL)
    assert set(line(drawn, "fork")[1]) == {0.0}
    assert drawn.axes[0].get_ylim()[0] < 0


def test_where_nobody_loses_anything_that_is_said(run: Run) -> None:
    drawn = unanswered.figure(run.windows[run.windows["unanswered"] == 0], ["fork", "thread"], LABEL)
    assert_readable(drawn)
    assert "every request was answered" in words(drawn)


def test_closed_load_has_no_part_in_it(run: Run) -> None:
    drawn = unanswered.figure(run.windows[run.windows["kind"] == "closed"], NAMES, LABEL)
    assert "nothing was measured under open load" in words(drawn)
    assert drawing.as_png(drawn).startswith(b"\x89PNG")


def test_too_few_rounds_say_so(run: Run) -> None:
    assert "1 round: too few to compare" in words(
        unanswered.figure(run.windows[run.windows["round"] == 1], NAMES, LABEL)
    )
