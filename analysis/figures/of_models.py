"""The figures: one function each, frames of one condition in, a Figure out. No global state of matplotlib is touched.

Bars and dots are medians over rounds; the line through them is the interval that the tables give, and every round is
drawn as a dot, so that three rounds do not look like certainty. What the load generator limited is hatched and says
`>=`: it would have been more. A model without a figure keeps its row, and the row says so.

A percentile curve is of all rounds added up, on the axis of HdrHistogram plots: 1/(1-q) on a logarithmic scale, which
gives each further nine the same room. It ends where fewer than ten requests lie beyond. Where requests were never
answered it rises to the edge at the rank at which they begin: they rank as infinite.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis import stats, wording
from analysis.columns import CLOCK_MEANINGS
from analysis.figures import drawing, style
from analysis.figures.style import Look
from harness.schema import LimitedBy, WarningKind

TAIL_TICKS: Mapping[float, str] = {
    1: "0 %",
    2: "50 %",
    10: "90 %",
    100: "99 %",
    1_000: "99.9 %",
    10_000: "99.99 %",
    100_000: "99.999 %",
}


def throughput(windows: pd.DataFrame, models: Sequence[str], label: str) -> Figure:
    """Draw the throughput of one closed window: windows of one condition, models from top to bottom."""
    with style.applied():
        figure, axes = drawing.rows(models, "Throughput under closed load", label)
        shown = False
        for place, (model, look) in enumerate(style.looks(models).items()):
            values = _values(windows, model, "throughput_per_s")
            if not values:
                drawing.absent(axes, place, "no figure")
                continue
            rows = windows[windows["model"] == model]
            bound = bool((rows["limited_by"] == LimitedBy.GENERATOR).any())
            shown |= bound
            middle = stats.median(values).value
            drawing.bar(axes, place, (0, middle), look.color, "hatched" if bound else "solid")
            drawing.rounds(axes, place, values)
            limits = Counter(wording.verdict(kind) for kind in rows["limited_by"])
            remark = "limit: " + wording.tally(limits, len(rows))
            drawing.say(axes, place, max(values), (">= " if bound else "") + wording.number(middle), remark)
        drawing.from_zero(axes, "replies/s")
        note = "; hatched: a lower bound, the load generator was the limit" if shown else ""
        drawing.foot(figure, _caption(windows, models, "throughput_per_s", "bar") + note)
        return figure


def cpu_per_request(windows: pd.DataFrame, models: Sequence[str], label: str) -> Figure:
    """Draw user and system CPU time a request, stacked, of one window of one condition."""
    with style.applied():
        load = wording.load(windows["load"].iloc[0]) if len(windows) else "unknown load"
        figure, axes = drawing.rows(models, f"Server CPU time per request, {load}", label)
        for place, (model, look) in enumerate(style.looks(models).items()):
            values = _values(windows, model, "cpu_us_per_request")
            if not values:
                drawing.absent(axes, place, "no figure")
                continue
            middle = stats.median(values).value
            share = _user_share(windows[windows["model"] == model])
            user = middle * (0.0 if math.isnan(share) else share)
            drawing.bar(axes, place, (0, user), look.color)
            drawing.bar(axes, place, (user, middle), look.color, "pale")
            drawing.rounds(axes, place, values)
            parts = "" if math.isnan(share) else f"{wording.percent(share, 2)} user"
            drawing.say(axes, place, max(values), wording.number(middle), parts)
        drawing.from_zero(axes, "µs of CPU time per request")
        drawing.foot(
            figure, _caption(windows, models, "cpu_us_per_request", "bar") + "; solid part: user, pale part: system"
        )
        return figure


def memory_per_connection(cells: pd.DataFrame, models: Sequence[str], label: str) -> Figure:
    """Draw the memory of a connection: cells of one condition. Logarithmic, hence dots: a bar would begin nowhere."""
    with style.applied():
        figure, axes = drawing.rows(models, "Server memory per connection", label)
        axes.set_xscale("log")
        shown: list[float] = []
        for place, (model, look) in enumerate(style.looks(models).items()):
            values = [value / 1e3 for value in _values(cells, model, "bytes_per_connection")]
            if not values or min(values) <= 0:
                drawing.absent(axes, place, "no growth measured" if values else "no figure")
                continue
            middle = stats.median(values).value
            drawing.rounds(axes, place, values)
            axes.plot(middle, place, look.marker, color=look.color, markersize=9, markeredgecolor=style.INK, zorder=4)
            drawing.say(axes, place, max(values), f"{wording.number(middle)} kB", "")
            shown.extend(values)
        drawing.decades(axes, "kB per connection (logarithmic)", shown)
        drawing.foot(figure, _caption(cells, models, "bytes_per_connection", "large mark"))
        return figure


def percentile_curves(percentiles: pd.DataFrame, clock: str, models: Sequence[str], label: str) -> Figure:
    """Draw one clock's percentiles in one open window of one condition, a curve a model.

    `percentiles` holds both clocks (`response_time`, `service_time`): their figures get the same scales, so that they
    can be laid side by side.
    """
    with style.applied():
        load = wording.load(percentiles["load"].iloc[0]) if len(percentiles) else "unknown load"
        own = percentiles[percentiles["clock"] == clock]
        looks = {model: look for model, look in style.looks(models).items() if (own["model"] == model).any()}
        figure = Figure(figsize=(style.WIDTH_IN, 4.0 + drawing.legend_height(looks)))
        drawing.head(figure, f"{clock.replace('_', ' ').capitalize()}: {CLOCK_MEANINGS[clock]}", f"{label}, {load}")
        axes = figure.subplots()
        _time_axes(axes, percentiles)
        for model, look in looks.items():
            _curve(axes, own[own["model"] == model], look)
        rounds = int(own["rounds"].max()) if len(own) else 0
        missing = [model for model in models if model not in looks]
        note = f"all requests of {wording.rounds(rounds)} together" if rounds else "nothing was measured"
        if np.isposinf(own["value_ns"]).any():
            note += "; above the time-out: never answered"
        drawing.foot(figure, note + (f"; no figure: {', '.join(missing)}" if missing else ""))
        if looks:
            drawing.legend(axes, looks, set(own.loc[own["bound"], "model"]))
        return figure


def latency_against_load(windows: pd.DataFrame, models: Sequence[str], label: str) -> Figure:
    """Draw p50 and p99 of response time against the offered rate, a line a model: the steps of one sweep.

    Points are medians over rounds, of the rate as well: it is a part of each round's own capacity. The upright line is
    the range over rounds. A point is hollow where in some round the schedule was missed, or the load generator was the
    limit; a triangle at the upper edge stands where the percentile was never answered.
    """
    with style.applied():
        looks = {model: look for model, look in style.looks(models).items() if (windows["model"] == model).any()}
        figure = Figure(figsize=(style.WIDTH_IN, 5.9 + drawing.legend_height(looks)))
        drawing.head(figure, "Response time against load", f"{label}, steps of each model's own capacity")
        panels = figure.subplots(2, 1, sharex=True, sharey=True)
        columns = {name: f"response_time_{name}_ns" for name in ("p99", "p50")}
        _sweep_axes(panels, windows, [*columns.values()])
        for axes, (name, column) in zip(panels, columns.items(), strict=True):
            axes.set_ylabel(f"{name}, ms (logarithmic)")
            for model, look in looks.items():
                _sweep_line(axes, windows[windows["model"] == model], column, look)
        missing = [model for model in models if model not in looks]
        drawing.foot(figure, _sweep_note(windows, list(columns.values()), missing))
        if looks:
            drawing.legend(panels[0], looks)
        return figure


def _sweep_axes(panels: Sequence[Axes], windows: pd.DataFrame, columns: Sequence[str]) -> None:
    """Set the scales before anything is drawn: both panels have the same, so that they can be compared."""
    times = windows[columns].to_numpy(dtype=float) / 1e6
    finite = times[np.isfinite(times)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.1, 10.0)
    right = float(windows["offered_per_s"].max()) if len(windows) else 1.0
    for axes in panels:
        axes.set(yscale="log", xlim=(0, right * 1.04), ylim=(low / 1.4, high * 1.4))
        drawing.log_ticks(axes, high / low)
    panels[-1].xaxis.set_major_locator(MaxNLocator(6))
    panels[-1].xaxis.set_major_formatter(FuncFormatter(drawing.plain))
    panels[-1].set_xlabel("offered load, requests/s")


def _sweep_line(axes: Axes, rows: pd.DataFrame, column: str, look: Look) -> None:
    """Draw one model's line through its steps; a step whose samples could not carry the percentile is left out."""
    edge = axes.get_ylim()[1]
    x, y, doubtful = [], [], []
    for _, step in rows[rows[column].notna()].groupby("sweep_step"):
        times = [float(value) / 1e6 for value in step[column]]
        x.append(stats.median([float(rate) for rate in step["offered_per_s"]]).value)
        y.append(min(stats.median(times).value, edge))
        doubtful.append(bool(doubts(step)))
        axes.plot([x[-1], x[-1]], [min(times), min(max(times), edge)], color=look.color, linewidth=1.1, alpha=0.75)
    axes.plot(x, y, color=look.color, linestyle=look.line, linewidth=1.5)
    for rate, time, hollow in zip(x, y, doubtful, strict=True):
        never = time >= edge
        face = style.PAPER if hollow else look.color
        mark, size = ("^", 9) if never else (look.marker, 5.5)
        axes.plot(
            rate, time, mark, color=look.color, markerfacecolor=face, markersize=size, clip_on=not never, zorder=5
        )


def doubts(rows: pd.DataFrame) -> list[str]:
    """Return what makes some rows' times, or losses, those of something else than the server under this load."""
    missed = any(WarningKind.SCHEDULE_MISSED in kinds for kinds in rows["warnings"])
    limited = bool((rows["limited_by"] == LimitedBy.GENERATOR).any())
    words = {"the schedule was missed": missed, "the load generator was the limit": limited}
    return [reason for reason, holds in words.items() if holds]


def _sweep_note(windows: pd.DataFrame, columns: Sequence[str], missing: Sequence[str]) -> str:
    if windows.empty:
        return "nothing was measured"
    note = f"points: medians over rounds; upright lines: {wording.interval_of(int(windows['round'].nunique()))}"
    if found := doubts(windows):
        note += f"; hollow: {wording.listing(found, 'or')} in some round"
    if np.isposinf(windows[columns].to_numpy(dtype=float)).any():
        note += "; triangle, upper edge: never answered"
    if windows[columns].isna().to_numpy().any():
        note += "; steps with too few requests for a percentile are left out"
    return note + (f"; no figure: {', '.join(missing)}" if missing else "")


def _values(frame: pd.DataFrame, model: str, column: str) -> list[float]:
    rows = frame[(frame["model"] == model) & frame[column].notna()]
    return [float(value) for value in rows.sort_values("round")[column]]


def _user_share(rows: pd.DataFrame) -> float:
    """Return the user part of a model's CPU time over all rounds, 0 to 1; NaN when it is not known."""
    user, system = float(rows["cpu_user_s"].sum()), float(rows["cpu_system_s"].sum())
    return user / (user + system) if user + system > 0 else math.nan


def _caption(frame: pd.DataFrame, models: Sequence[str], column: str, mark: str) -> str:
    """Return what mark, line and dots are, with the kind of interval that most rounds allow."""
    found = [values for model in models if (values := _values(frame, model, column))]
    if not found:
        return "nothing was measured"
    most = stats.median(max(found, key=len))
    return f"{mark}: median; line: {wording.interval_name(most)}; dots: the rounds"


def _curve(axes: Axes, curve: pd.DataFrame, look: Look) -> None:
    """Draw one model's curve; markers stand at the named percentiles, a triangle where it leaves the plot."""
    finite = curve[np.isfinite(curve["value_ns"])]
    never = curve[np.isposinf(curve["value_ns"])]
    x, y = list(finite["inverse_tail"]), list(finite["value_ns"] / 1e6)
    if len(never):
        edge, begins = axes.get_ylim()[1], float(never["inverse_tail"].iloc[0])
        x, y = [*x, begins, begins], [*y, y[-1] if y else edge, edge]
        axes.plot(begins, edge, "^", color=look.color, markersize=9, clip_on=False, zorder=5)
    axes.plot(x, y, color=look.color, linestyle=look.line)
    named = finite[finite["name"] != ""]
    axes.plot(named["inverse_tail"], named["value_ns"] / 1e6, look.marker, color=look.color, markersize=5.5)


def _time_axes(axes: Axes, percentiles: pd.DataFrame) -> None:
    """Set both scales before anything is drawn; the time-out is drawn where a curve reaches it."""
    finite = percentiles.loc[np.isfinite(percentiles["value_ns"]), "value_ns"] / 1e6
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.1, 10.0)
    never = bool(np.isposinf(percentiles["value_ns"]).any())
    timeout = float(percentiles["timeout_s"].max()) * 1e3 if never else 0.0
    high = max(high, timeout * 1.6)
    right = max(20.0, float(percentiles["inverse_tail"].max()) * 1.25 if len(percentiles) else 0.0)
    axes.set(xscale="log", yscale="log", xlim=(1, right), ylim=(low / 1.3, high * 1.3))
    axes.set(xlabel="percentile, on the scale 1/(1-q)", ylabel="ms (logarithmic)")
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TAIL_TICKS if tick <= right]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: TAIL_TICKS.get(round(value), "")))
    axes.xaxis.set_minor_locator(NullLocator())
    drawing.log_ticks(axes, high / low)
    if never:
        axes.axhline(timeout, color=style.FAINT, linewidth=1, linestyle=(0, (4, 2)))
        words = f"time-out {timeout / 1e3:g} s"
        ground = {"facecolor": style.PAPER, "edgecolor": "none", "pad": 0.8}
        axes.text(1.1, timeout * 0.8, words, va="top", fontsize=8.5, color=style.FAINT, bbox=ground)
