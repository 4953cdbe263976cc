"""A comparison as a picture: ratios B/A on one axis, with their intervals and what they allow to say.

The axis is logarithmic, so that twice and half lie equally far from 1. The band around 1 is what counts as the same:
an interval that lies in it is *same*, one beside 1 *faster* or *slower*, any other one says nothing for certain. A
hollow mark is a bound: the load generator was the limit of one side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis import wording
from analysis.comparison import SAME_WITHIN, Row
from analysis.figures import drawing, style
from analysis.figures.style import Look

ROW_IN = 0.29
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10, 20, 50, 100)
LEAST_SPAN = 1.3  # the axis reaches at least so many times above and below 1
TICK_ROOM = 0.09  # of the axis, for the words at a tick


def ratios(rows: Sequence[Row], label: str) -> Figure:
    """Draw the ratios of one figure in one window of one condition, a row a model; raises ValueError without rows."""
    if not rows:
        raise ValueError("there is no ratio to draw")
    measure = rows[0].measure
    with style.applied():
        figure = Figure(figsize=(style.WIDTH_IN, 1.25 + ROW_IN * len(rows)))
        drawing.head(figure, f"{measure.name[:1].upper()}{measure.name[1:]}, B / A", label)
        axes = figure.subplots()
        _scale(axes, rows)
        axes.axvspan(1 / SAME_WITHIN, SAME_WITHIN, color=style.GRID, alpha=0.7, linewidth=0)
        axes.axvline(1, color=style.FAINT, linewidth=1)
        looks = style.looks(row.match.model for row in rows)
        for place, row in enumerate(rows):
            _row(axes, place, row, looks[row.match.model])
        axes.set_yticks(range(len(rows)), [drawing.short(row.match.model) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        better = "right" if measure.metric.higher_is_better else "left"
        hollow = "; hollow: a bound, the load generator was the limit" if any(row.finding.sign for row in rows) else ""
        band = f"band: within {wording.percent(SAME_WITHIN - 1)} of 1"
        drawing.foot(figure, f"line: interval of the ratio; {band}; B is better to the {better}{hollow}")
        return figure


def _scale(axes: Axes, rows: Sequence[Row]) -> None:
    found = [row.finding.ratio.interval for row in rows if row.finding.ratio is not None]
    ends = [end for interval in found for end in (interval.low, interval.high) if math.isfinite(end) and end > 0]
    low, high = min([1 / LEAST_SPAN, *ends]) / 1.06, max([LEAST_SPAN, *ends]) * 1.06
    axes.set(xscale="log", xlim=(low, high))
    kept: list[float] = [1]
    for tick in sorted(TICKS, key=lambda each: abs(math.log(each))):
        far = all(abs(math.log(tick / other)) > TICK_ROOM * math.log(high / low) for other in kept)
        if far and low <= tick <= high:
            kept.append(tick)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FuncFormatter(drawing.plain))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("times (logarithmic)")


def _row(axes: Axes, place: int, row: Row, look: Look) -> None:
    ratio, sign = row.finding.ratio, row.finding.sign
    words = str(row.finding.verdict)
    if ratio is not None and math.isfinite(ratio.value) and ratio.value > 0:
        low, high = axes.get_xlim()
        ends = max(low, ratio.interval.low), min(high, ratio.interval.high)
        axes.plot(ends, [place, place], color=style.INK, linewidth=1.6, solid_capstyle="butt")
        face = style.PAPER if sign else look.color
        axes.plot(ratio.value, place, look.marker, color=look.color, markerfacecolor=face, markersize=7, zorder=4)
        words = f"{sign}{wording.ratio(ratio.value)} {words}"
    at = axes.get_yaxis_transform()
    axes.text(1.02, place, words, transform=at, va="center", fontsize=style.SMALL_PT, color=style.INK)
