"""Figures: what they say, that nothing overlaps or is cut off, and that other people's text does no harm."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import frames
from analysis.figures import drawing, style
from analysis.figures import of_models as figures
from analysis.frames import Run
from harness.schema import LimitedBy
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel
from tests.analysis.readable import texts

HOSTILE = r"$\frac{<b>&amp;"
MODELS = (
    *QUICK,
    CannedModel(HOSTILE, 20_000, closed_verdict=LimitedBy.CONCURRENCY),
    CannedModel("a-foreign-server-with-a-name-as-long-as-can-be", 55_000, unanswered_share=0.02),
    CannedModel("never", failed_rounds=(1, 2, 3, 4, 5, 6)),
    CannedModel("shrinks", 10_000, bytes_per_connection=-100),
)
NAMES = tuple(model.name for model in MODELS)
LABEL = "TCP, 64 B, 64 connections, server on CPU 0, " + HOSTILE


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with everything in it that makes a figure difficult."""
    setting = Setting(rounds=6, loads=("closed", "open:2000", "sweep:3"))
    return frames.read(make_run(tmp_path_factory.mktemp("runs") / "hard", MODELS, setting).folder)


@pytest.fixture(scope="module")
def drawn(run: Run) -> dict[str, Figure]:
    """Every figure, laid out."""
    closed, opened = (run.windows[run.windows["window"] == index] for index in (0, 1))
    curves = run.percentiles[run.percentiles["window"] == 1]
    found = {
        "throughput": figures.throughput(closed, NAMES, LABEL),
        "cpu": figures.cpu_per_request(opened, NAMES, LABEL),
        "memory": figures.memory_per_connection(run.cells, NAMES, LABEL),
        "response": figures.percentile_curves(curves, "response_time", NAMES, LABEL),
        "service": figures.percentile_curves(curves, "service_time", NAMES, LABEL),
        "sweep": figures.latency_against_load(run.windows[run.windows["sweep_of"] == 3], NAMES, LABEL),
    }
    with style.applied(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in found.values():
            FigureCanvasAgg(figure).draw()
    return found


NAMES_OF_FIGURES = ("throughput", "cpu", "memory", "response", "service", "sweep")


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


@pytest.mark.parametrize("name", NAMES_OF_FIGURES)
def test_no_text_overlaps_another_one(drawn: dict[str, Figure], name: str) -> None:
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(drawn[name])]
    clashes = [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.padded(-1).overlaps(two)]
    assert clashes == []


@pytest.mark.parametrize("name", NAMES_OF_FIGURES)
def test_no_text_is_cut_off_at_the_edge(drawn: dict[str, Figure], name: str) -> None:
    edge = drawn[name].bbox.padded(1)
    outside = [
        text.get_text()
        for text in texts(drawn[name])
        if not (edge.contains(*text.get_window_extent().min) and edge.contains(*text.get_window_extent().max))
    ]
    assert outside == []


@pytest.mark.parametrize("name", NAMES_OF_FIGURES)
def test_text_is_large_enough_to_be_read_on_a_telephone(drawn: dict[str, Figure], name: str) -> None:
    assert min(text.get_fontsize() for text in texts(drawn[name])) >= 8.5


@pytest.mark.parametrize("name", NAMES_OF_FIGURES)
def test_a_figure_says_what_was_measured_where_and_in_which_unit(drawn: dict[str, Figure], name: str) -> None:
    said = words(drawn[name])
    assert "server on CPU 0" in said
    units = {"throughput": "replies/s", "cpu": "µs", "memory": "kB", "response": "ms", "service": "ms", "sweep": "ms"}
    assert units[name] in said


def test_a_bound_is_hatched_and_says_so(drawn: dict[str, Figure]) -> None:
    said = words(drawn["throughput"])
    assert said.count(">= ") == 1
    assert "limit: generator" in said
    hatched = {patch.get_hatch() for patch in drawn["throughput"].axes[0].patches}
    assert "////" in hatched


def test_bars_are_medians_with_their_interval_named(drawn: dict[str, Figure]) -> None:
    assert "bar: median; line: 96.9 % interval of 6 rounds" in words(drawn["throughput"])


def test_every_round_is_a_dot(drawn: dict[str, Figure]) -> None:
    dots = [len(collection.get_offsets()) for collection in drawn["throughput"].axes[0].collections]
    assert dots == [6] * (len(NAMES) - 1)


def test_a_model_without_a_figure_keeps_its_row_or_is_named(drawn: dict[str, Figure]) -> None:
    assert "no figure" in words(drawn["throughput"])
    assert "no growth measured" in words(drawn["memory"])
    assert "no figure: never" in words(drawn["response"]).replace("\n", " ")


def test_requests_that_were_never_answered_are_seen(drawn: dict[str, Figure]) -> None:
    assert "time-out 1 s" in words(drawn["response"])


def test_both_clocks_have_the_same_scales(drawn: dict[str, Figure]) -> None:
    response, service = drawn["response"].axes[0], drawn["service"].axes[0]
    assert response.get_xlim() == service.get_xlim()
    assert response.get_ylim() == service.get_ylim()


def test_a_model_has_one_colour_in_every_figure(run: Run) -> None:
    look = style.looks(NAMES)["selectors"]
    closed = run.windows[run.windows["kind"] == "closed"]
    alone = figures.throughput(closed[closed["model"] == "selectors"], ["selectors"], LABEL)
    assert alone.axes[0].patches[0].get_facecolor()[:3] == pytest.approx(
        tuple(int(look.color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )


def test_the_same_data_gives_the_same_file(run: Run) -> None:
    once, again = (figures.memory_per_connection(run.cells, NAMES, LABEL) for _ in range(2))
    assert drawing.as_svg(once) == drawing.as_svg(again)


def test_nothing_at_all_can_be_drawn(run: Run) -> None:
    nothing = run.windows.iloc[:0]
    for figure in (
        figures.throughput(nothing, ["fork"], LABEL),
        figures.cpu_per_request(nothing, [], LABEL),
        figures.memory_per_connection(run.cells.iloc[:0], ["fork"], LABEL),
        figures.percentile_curves(run.percentiles.iloc[:0], "response_time", ["fork"], LABEL),
        figures.latency_against_load(nothing, ["fork"], LABEL),
    ):
        assert "nothing was measured" in words(figure)
        assert drawing.as_png(figure).startswith(b"\x89PNG")


def test_drawing_touches_no_global_figure(drawn: dict[str, Figure], tmp_path: Path) -> None:
    from matplotlib import _pylab_helpers  # noqa: PLC0415 - private: the registry that pyplot fills

    assert drawn
    assert _pylab_helpers.Gcf.get_all_fig_managers() == []
