"""The figures across conditions: a series in, a Figure out.

* `lines`: a measure against a number (connections, bytes), both axes logarithmic, a line a contender. A mark is the
  median over rounds, the upright line through it the interval that the tables give; a hollow mark is a bound. Where a
  point could not be measured the line is broken, and the note under the figure names it.
* `groups`: bars in groups, one below the other, each bar with its figure in words and every round as a dot. Bars of one
  figure share an axis that begins at zero; a thin line across a group is what nobody could exceed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import blended_transform_factory

from analysis import contrasts, wording
from analysis.contrasts import Measure, Reading, Series
from analysis.figures import drawing, style
from analysis.figures.style import Look

TICK_ROOM = 0.13  # of the axis, for the longest words at it
LEAST_SPAN = 8.0  # of a vertical axis: less would make mountains of noise
ROW_IN = 0.27
IDEAL_LINE = (0, (1.5, 1.5))
# Text that lines may cross stands on paper.
GROUND = {"facecolor": style.PAPER, "edgecolor": "none", "pad": 0.6}


@dataclass(frozen=True)
class Bar:
    """One bar: whose, its rounds (in the unit of the axis), what it says, and whether it is a bound."""

    name: str
    look: Look
    values: tuple[float, ...]
    words: str
    remark: str = ""
    bound: bool = False


@dataclass(frozen=True)
class Group:
    """Bars that belong together, under a title; `limit` is what none of them could exceed, None where not known."""

    title: str
    bars: tuple[Bar, ...]
    limit: float | None = None


def lines(series: Series, measure: Measure, axis: str) -> Figure:
    """Draw a measure of all contenders against the value of a series' points; `axis` says what that value is."""
    with style.applied():
        looks = style.looks(series.models)
        readings = {name: [contrasts.read(point, measure, name) for point in series.points] for name in looks}
        ideals = _ideals(series) if measure is contrasts.THROUGHPUT else []
        more = [Line2D([], [], color=style.FAINT, linewidth=1, linestyle=IDEAL_LINE, label="most possible")] * bool(
            ideals
        )
        figure = Figure(figsize=(style.WIDTH_IN, 3.7 + drawing.legend_height([*looks, *("-" for _ in more)])))
        drawing.head(figure, f"{measure.title} against {axis.partition(',')[0]}", series.label)
        axes = figure.subplots()
        _scales(axes, series, [each for found in readings.values() for each in found])
        axes.set(xlabel=f"{axis} (logarithmic)", ylabel=f"{measure.unit} (logarithmic)")
        for name, look in looks.items():
            _line(axes, series, readings[name], look)
        if ideals:
            axes.plot(*zip(*ideals, strict=True), color=style.FAINT, linewidth=1, linestyle=IDEAL_LINE, scaley=False)
        drawing.foot(figure, _note(series, measure, readings))
        drawing.legend(axes, looks, more=more)
        return figure


def _ideals(series: Series) -> list[tuple[float, float]]:
    found = [(point.value, contrasts.ideal(point)) for point in series.points]
    return [(value, ideal.per_s) for value, ideal in found if ideal is not None]


def _scales(axes: Axes, series: Series, readings: Sequence[Reading]) -> None:
    places = [point.value for point in series.points]
    axes.set(xscale="log", yscale="log", xlim=(places[0] / 1.25, places[-1] * 1.25))
    axes.xaxis.set_major_locator(FixedLocator(_ticks(places)))
    axes.xaxis.set_major_formatter(FuncFormatter(_binary if series.key == "payload" else drawing.plain))
    axes.xaxis.set_minor_locator(NullLocator())
    found = [value for reading in readings for value in reading.values.values() if math.isfinite(value) and value > 0]
    low, high = (min(found) / 1.4, max(found) * 1.4) if found else (1.0, 10.0)
    wider = max(1.0, math.sqrt(LEAST_SPAN * low / high))
    axes.set_ylim(low / wider, high * wider)
    drawing.log_ticks(axes, high / low * wider**2)


def _ticks(places: Sequence[float]) -> list[float]:
    """Return the places that have room for their words, from the right: the last one always has."""
    span = math.log(places[-1] / places[0])
    kept = [places[-1]]
    for place in reversed(places[:-1]):
        if math.log(kept[-1] / place) >= TICK_ROOM * span:
            kept.append(place)
    return kept


def _binary(value: float, place: int | None) -> str:
    """Format a number of bytes for an axis: what is a multiple of 1,024 with its unit."""
    for size, unit in ((2**20, "MiB"), (2**10, "KiB")):
        if value >= size and value % size == 0:
            return f"{value / size:,.0f} {unit}"
    return drawing.plain(value, place)


def _line(axes: Axes, series: Series, readings: Sequence[Reading], look: Look) -> None:
    """Draw a contender's line; it is broken where there is no figure, and a triangle stands for what is infinite."""
    bottom, edge = axes.get_ylim()
    x = [point.value for point in series.points]
    estimates = [reading.estimate for reading in readings]
    y = [each.value if each is not None and each.value > 0 else math.nan for each in estimates]
    axes.plot(x, np.minimum(y, edge), color=look.color, linestyle=look.line, linewidth=1.5)
    for place, value, estimate, reading in zip(x, y, estimates, readings, strict=True):
        if estimate is None or math.isnan(value):
            continue
        low, high = max(bottom, estimate.interval.low), min(edge, estimate.interval.high)
        axes.plot([place, place], [low, high], color=look.color, linewidth=1.1, alpha=0.75)
        beyond = math.isinf(value)
        mark, size = ("^", 9.0) if beyond else (look.marker, 5.5)
        face = style.PAPER if reading.sign else look.color
        axes.plot(
            place,
            min(value, edge),
            mark,
            color=look.color,
            markerfacecolor=face,
            markersize=size,
            clip_on=not beyond,
            zorder=5,
        )


def _note(series: Series, measure: Measure, readings: dict[str, list[Reading]]) -> str:
    found = [reading for each in readings.values() for reading in each]
    rounds = max((len(reading.values) for reading in found), default=0)
    if not rounds:
        return "nothing was measured"
    note = "marks: a single round" if rounds == 1 else "marks: medians over rounds; upright lines: "
    note += "" if rounds == 1 else wording.interval_of(rounds)
    if any(reading.sign for reading in found):
        note += f"; hollow: {measure.sign.strip()}, the load generator was the limit"
    if any(math.isinf(value) for reading in found for value in reading.values.values()):
        note += "; triangle, upper edge: never answered"
    if any(value <= 0 for reading in found for value in reading.values.values()):
        note += "; what did not grow is left out"
    gaps = [
        f"{drawing.short(name)} at {wording.listing([f'{point.value:,.10g}' for point in missing])}"
        for name, each in readings.items()
        if (missing := [point for point, reading in zip(series.points, each, strict=True) if not reading.values])
    ]
    return note + (f"; no figure: {'; '.join(gaps)}" if gaps else "")


def groups(found: Sequence[Group], titles: tuple[str, str], unit: str, note: str, *, parts: bool = False) -> Figure:
    """Draw groups of bars on one axis; `titles` are the figure's and what all of it has in common.

    With `parts` the axis counts parts of a whole, and has no ticks beyond it.
    """
    with style.applied():
        rows = sum(1.3 + len(group.bars) for group in found)
        figure = Figure(figsize=(style.WIDTH_IN, 1.3 + ROW_IN * rows))
        drawing.head(figure, *titles)
        axes = figure.subplots()
        names: dict[float, str] = {}
        place = 0.0
        for group in found:
            _title(axes, place, group.title)
            for number, bar in enumerate(group.bars, 1):
                names[place + number] = drawing.short(bar.name)
                _bar(axes, place + number, bar)
            if group.limit is not None:
                ends = [place + 0.5, place + len(group.bars) + 0.45]
                axes.plot([group.limit] * 2, ends, color=style.INK, linewidth=1.1, linestyle=IDEAL_LINE, zorder=2.5)
            place += 1.3 + len(group.bars)
        axes.set_yticks(list(names), list(names.values()))
        axes.set_ylim(place - 0.7, -0.6)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        drawing.from_zero(axes, unit)
        if parts:
            axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
        drawing.foot(figure, note)
        return figure


def _title(axes: Axes, place: float, title: str) -> None:
    """Write the title of a group at the left edge of the figure, over the names of its bars."""
    assert isinstance(axes.figure, Figure)  # it is no figure inside another one
    at = blended_transform_factory(axes.figure.transFigure, axes.transData)
    text = axes.text(
        0.012,
        place + 0.1,
        title,
        transform=at,
        va="center",
        fontsize=style.SMALL_PT,
        fontweight="bold",
        bbox=GROUND,
        zorder=4,
    )
    text.set_in_layout(False)


def _bar(axes: Axes, place: float, bar: Bar) -> None:
    if not bar.values:
        drawing.absent(axes, place, bar.words)
        return
    middle = float(np.median(bar.values))
    drawing.bar(axes, place, (0, middle), bar.look.color, "hatched" if bar.bound else "solid")
    drawing.rounds(axes, place, bar.values)
    for text, weight, color, left in ((bar.words, "bold", style.INK, 9.0), (bar.remark, "normal", style.FAINT, 0.0)):
        # A remark stands behind the words, whose width is known only roughly: about 6 points a letter.
        axes.annotate(
            text,
            (max(bar.values), place),
            xytext=(left or 14.0 + 5.9 * len(bar.words), 0),
            textcoords="offset points",
            va="center",
            fontsize=style.SMALL_PT,
            fontweight=weight,
            color=color,
            bbox=GROUND if text else None,
            zorder=4,
        )
