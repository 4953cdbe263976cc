"""Response time against CPU time: marks where the medians are, bounds and losses told, nothing on top of another."""

from __future__ import annotations

import math

import pytest
from matplotlib.axes import Axes

from analysis import frames
from analysis.figures import drawing, style, tradeoff
from analysis.frames import Run
from harness.schema import LimitedBy
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.figures.test_figures import HOSTILE
from tests.analysis.readable import assert_readable, words

LABEL = "TCP, 64 B, 64 connections, server on CPU 0, " + HOSTILE
MODELS = (
    *QUICK,
    CannedModel(HOSTILE, cpu_us=40, open_verdict=LimitedBy.GENERATOR),
    CannedModel("a-foreign-server-with-a-name-as-long-as-can-be", unanswered_share=0.02),
    CannedModel("never", failed_rounds=(1, 2, 3)),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return frames.read(make_run(tmp_path_factory.mktemp("runs") / "run", MODELS, Setting(loads=("open:2000",))).folder)


def marks(axes: Axes, model: str) -> list[tuple[float, float]]:
    """Return where the mark of a model is."""
    color = style.looks([each.name for each in MODELS])[model].color
    found = [line for line in axes.lines if line.get_color() == color and line.get_marker() not in ("None", "")]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in found]


def test_it_can_be_read_with_difficult_models(run: Run) -> None:
    drawn = tradeoff.figure(run.windows, [model.name for model in MODELS], LABEL)
    assert_readable(drawn)
    said = words(drawn)
    assert "no figure: never" in said
    assert "better in both" in said
    assert "triangle, upper edge: never answered" in said
    assert "the range of 3 rounds" in said
    assert "CPU time per request, µs" in said
    assert "open load, 2,000 requests/s" in said


def test_a_mark_is_at_the_medians_over_rounds(run: Run) -> None:
    axes = tradeoff.figure(run.windows, [model.name for model in MODELS], LABEL).axes[0]
    own = run.windows[run.windows["model"] == "thread"]
    ((x, y),) = marks(axes, "thread")
    assert x == pytest.approx(own["cpu_us_per_request"].median())
    assert y == pytest.approx(own["response_time_p99_ns"].median() / 1e6)


def test_a_p99_that_was_never_answered_is_at_the_upper_edge(run: Run) -> None:
    name = MODELS[-2].name
    axes = tradeoff.figure(run.windows, [model.name for model in MODELS], LABEL).axes[0]
    ((_, y),) = marks(axes, name)
    assert y == axes.get_ylim()[1]


def test_a_bound_is_hollow_and_says_so(run: Run) -> None:
    drawn = tradeoff.figure(run.windows, [model.name for model in MODELS], LABEL)
    color = style.looks([each.name for each in MODELS])[HOSTILE].color
    faces = [line.get_markerfacecolor() for line in drawn.axes[0].lines if line.get_color() == color]
    assert style.PAPER in faces
    assert words(drawn).count("<= ") == 1


def test_too_few_rounds_say_so(run: Run) -> None:
    some = run.windows[run.windows["round"] < 3]
    assert "2 rounds: too few to say who is better" in words(tradeoff.figure(some, ["fork", "thread"], LABEL))


def test_contenders_that_are_alike_do_not_make_a_mountain(run: Run) -> None:
    axes = tradeoff.figure(run.windows[run.windows["model"] == "fork"], ["fork"], LABEL).axes[0]
    for low, high in (axes.get_xlim(), axes.get_ylim()):
        assert high / low >= tradeoff.LEAST_SPAN
        assert math.isfinite(high)


def test_nothing_at_all_can_be_drawn(run: Run) -> None:
    drawn = tradeoff.figure(run.windows.iloc[:0], ["fork"], LABEL)
    assert "nothing was measured" in words(drawn)
    assert drawing.as_png(drawn).startswith(b"\x89PNG")
