"""How much is lost as the load grows: the share of requests that were never answered, a line a contender.

Over UDP nobody says that a datagram was dropped, so a server that can't keep up looks fast to whoever counts replies
alone. The share is of the requests that were due, at each rate that was offered: the steps of a load sweep, or open
loads of different rates. Below 0.1 % the axis is linear, so that nothing at all has a place on it, above logarithmic.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis import stats, wording
from analysis.figures import drawing, style
from analysis.figures import of_models as figures
from analysis.figures.style import Look
from analysis.ranking import ROUNDS_TO_RANK

LINEAR_TO = 0.1  # %
TICKS = (0.0, 0.1, 1.0, 10.0, 100.0)


def figure(windows: pd.DataFrame, models: Sequence[str], label: str) -> Figure:
    """Draw the share unanswered against the offered rate in the open windows of one condition."""
    with style.applied():
        rows = _open(windows)
        looks = {model: look for model, look in style.looks(models).items() if (rows["model"] == model).any()}
        drawn = Figure(figsize=(style.WIDTH_IN, 3.6 + drawing.legend_height(looks)))
        drawing.head(drawn, "Unanswered requests against load", label)
        axes = drawn.subplots()
        _scales(axes, rows)
        for model, look in looks.items():
            _line(axes, rows[rows["model"] == model], look)
        drawing.foot(drawn, _note(rows, [model for model in models if model not in looks]))
        if looks:
            drawing.legend(axes, looks)
        return drawn


def _open(windows: pd.DataFrame) -> pd.DataFrame:
    """Return the open windows in which anything was due, with the share unanswered in percent."""
    rows = windows[(windows["kind"] == "open") & (windows["due"] > 0)]
    return rows.assign(unanswered_percent=100 * rows["unanswered"] / rows["due"])


def _scales(axes: Axes, rows: pd.DataFrame) -> None:
    most = float(rows["unanswered_percent"].max()) if len(rows) else 0.0
    right = float(rows["offered_per_s"].max()) if len(rows) else 1.0
    axes.set_yscale("symlog", linthresh=LINEAR_TO, linscale=0.5)
    axes.set(xlim=(0, right * 1.04), ylim=(-0.02, max(1.0, most) * 1.5))
    axes.set(xlabel="offered load, requests/s", ylabel="never answered, % of the requests")
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= max(1.0, most) * 1.5]))
    axes.yaxis.set_major_formatter(FuncFormatter(drawing.plain))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(drawing.plain))


def _line(axes: Axes, rows: pd.DataFrame, look: Look) -> None:
    """Draw one contender's line through its windows, in the order of their rates."""
    points = []
    for _, window in rows.groupby("window"):
        rate = stats.median([float(value) for value in window["offered_per_s"]]).value
        points.append((rate, stats.median([float(value) for value in window["unanswered_percent"]]), window))
    points.sort(key=lambda point: point[0])
    axes.plot(
        [rate for rate, *_ in points],
        [share.value for _, share, _ in points],
        color=look.color,
        linestyle=look.line,
        linewidth=1.5,
    )
    for rate, share, window in points:
        axes.plot([rate, rate], [share.interval.low, share.interval.high], color=look.color, linewidth=1.1, alpha=0.75)
        face = style.PAPER if figures.doubts(window) else look.color
        axes.plot(rate, share.value, look.marker, color=look.color, markerfacecolor=face, markersize=5.5, zorder=5)


def _note(rows: pd.DataFrame, missing: Sequence[str]) -> str:
    absent = f"; no figure: {', '.join(missing)}" if missing else ""
    if rows.empty:
        return "nothing was measured under open load" + absent
    rounds = int(rows["round"].nunique())
    note = f"points: medians over rounds; upright lines: {wording.interval_of(rounds)}"
    if rounds < ROUNDS_TO_RANK:
        note += f"; {wording.rounds(rounds)}: too few to compare"
    if found := figures.doubts(rows):
        note += f"; hollow: {wording.listing(found, 'or')} in some round"
    if not rows["unanswered"].any():
        note += "; every request was answered"
    return note + f"; logarithmic above {LINEAR_TO:g} %" + absent
