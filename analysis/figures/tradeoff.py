"""What a short wait costs: response time against CPU time a request, a mark a contender.

Both are figures of one open window, so everybody carries the same load. Towards the lower left is better in both; of
two marks that lie the other way round, one buys its shorter waits with CPU time. The lines through a mark are the
intervals over rounds: where those of two marks overlap the rounds do not tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis import ranking, stats, wording
from analysis.figures import drawing, style
from analysis.figures import of_models as figures
from analysis.figures.style import Look
from analysis.ranking import ROUNDS_TO_RANK
from analysis.stats import Estimate
from harness.schema import LimitedBy

COST, TIME = ranking.CPU.column, ranking.RESPONSE_P99.column
LEAST_SPAN = 4.0  # of an axis: less would make mountains of noise
ROOM = 1.5  # beyond the outermost marks; below them stands which corner is the good one


@dataclass(frozen=True)
class _Mark:
    """A contender: CPU time a request (µs), p99 (ms, infinite where never answered), over how many rounds."""

    cost_us: Estimate
    time_ms: Estimate
    doubtful: bool
    bound: bool


def figure(windows: pd.DataFrame, models: Sequence[str], label: str) -> Figure:
    """Draw p99 of response time against CPU time a request in one open window of one condition."""
    with style.applied():
        load = wording.load(windows["load"].iloc[0]) if len(windows) else "unknown load"
        marks = {model: mark for model in models if (mark := _mark(windows, model)) is not None}
        looks = {model: look for model, look in style.looks(models).items() if model in marks}
        drawn = Figure(figsize=(style.WIDTH_IN, 3.8 + drawing.legend_height(looks)))
        drawing.head(drawn, "Response time against CPU time", f"{label}, {load}")
        axes = drawn.subplots()
        _scales(axes, tuple(marks.values()))
        axes.set(xlabel="CPU time per request, µs (logarithmic)", ylabel="p99 of response time, ms (logarithmic)")
        for model, look in looks.items():
            _draw(axes, marks[model], look)
        _name_corner(axes)
        drawing.foot(drawn, _note(windows, marks, [model for model in models if model not in marks]))
        if looks:
            drawing.legend(axes, looks, {model for model, mark in marks.items() if mark.bound}, lines=False)
        return drawn


def _mark(windows: pd.DataFrame, model: str) -> _Mark | None:
    rows = windows[(windows["model"] == model) & windows[TIME].notna() & (windows[COST] > 0)]
    if rows.empty:
        return None
    return _Mark(
        stats.median([float(value) for value in rows[COST]]),
        stats.median([float(value) / 1e6 for value in rows[TIME]]),
        doubtful=bool(figures.doubts(rows)),
        bound=bool((rows["limited_by"] == LimitedBy.GENERATOR).any()),
    )


def _scales(axes: Axes, marks: Sequence[_Mark]) -> None:
    """Set both scales before anything is drawn, wide enough for the lines through the marks."""
    costs = [end for mark in marks for end in (mark.cost_us.interval.low, mark.cost_us.interval.high)]
    times = [end for mark in marks for end in (mark.time_ms.interval.low, mark.time_ms.interval.high)]
    axes.set(xscale="log", yscale="log")
    (left, right), (bottom, top) = _ends(costs), _ends(times)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    drawing.log_ticks(axes, top / bottom)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if right / left < 300 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(drawing.plain))
    axes.xaxis.set_minor_locator(NullLocator())


def _ends(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite) / ROOM, max(finite) * ROOM) if finite else (1.0, 10.0)
    wider = max(1.0, math.sqrt(LEAST_SPAN * ROOM**2 * low / high))
    return low / wider, high * wider


def _draw(axes: Axes, mark: _Mark, look: Look) -> None:
    """Draw the mark with its intervals; a triangle at the upper edge stands for a p99 that was never answered."""
    edge = axes.get_ylim()[1]
    cost, time = mark.cost_us, mark.time_ms
    at, never = min(time.value, edge), math.isinf(time.value)
    axes.plot([cost.interval.low, cost.interval.high], [at, at], color=look.color, linewidth=1.3, alpha=0.75)
    ends = [min(time.interval.low, edge), min(time.interval.high, edge)]
    axes.plot([cost.value] * 2, ends, color=look.color, linewidth=1.3, alpha=0.75)
    axes.plot(
        cost.value,
        at,
        "^" if never else look.marker,
        color=look.color,
        markerfacecolor=style.PAPER if mark.doubtful else look.color,
        markersize=10.0 if never else 8.5,
        clip_on=not never,
        zorder=5,
    )


def _name_corner(axes: Axes) -> None:
    axes.annotate(
        "better in both",
        (0.005, 0.01),
        (0.055, 0.055),
        xycoords="axes fraction",
        textcoords="axes fraction",
        fontsize=style.SMALL_PT,
        fontstyle="italic",
        color=style.FAINT,
        arrowprops={"arrowstyle": "->", "color": style.FAINT},
    )


def _note(windows: pd.DataFrame, marks: dict[str, _Mark], missing: Sequence[str]) -> str:
    absent = f"; no figure: {', '.join(missing)}" if missing else ""
    if not marks:
        return "nothing was measured" + absent
    rounds = max(mark.time_ms.samples for mark in marks.values())
    note = f"marks: medians over rounds; lines: {wording.interval_of(rounds)}"
    if rounds < ROUNDS_TO_RANK:
        note += f"; {wording.rounds(rounds)}: too few to say who is better"
    if found := figures.doubts(windows[windows["model"].isin(list(marks))]):
        note += f"; hollow: {wording.listing(found, 'or')} in some round"
    if any(math.isinf(mark.time_ms.value) for mark in marks.values()):
        note += "; triangle, upper edge: never answered"
    return note + absent
