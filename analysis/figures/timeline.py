"""One cell over time: what the client saw above, what it cost below, on one axis of time with the windows shaded.

It is for a cell with a doubt about it: whether a bad p99 is one second of ten, whether the machine stood still in it,
whether memory grew meanwhile. Each second of a window is a stroke as long as the second; resources are lines through
their samples. Pauses of the machine are stored a window, not a moment, so they are bars as wide as their windows.
What a cell has not stored has no panel.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis import wording
from analysis.figures import drawing, style
from analysis.figures.style import Look
from analysis.frames import Run

PANEL_IN = 1.0
SAID_MOST = 3  # windows that have room for words of their own
OTHER_LINE = (0, (3.0, 1.5))


@dataclass(frozen=True)
class _Story:
    """The rows of one cell, and how its model is drawn."""

    windows: pd.DataFrame
    seconds: pd.DataFrame
    samples: pd.DataFrame
    look: Look


Panel = Callable[[Axes, _Story], None]


def figure(run: Run, cell_file: str) -> Figure:
    """Draw one cell, `cell_file` as the frames name it; raises KeyError where the run holds no such cell."""
    cells = run.cells[run.cells["file"] == cell_file]
    if cells.empty:
        raise KeyError(f"{run.path.name} holds no cell {cell_file}")
    cell = cells.iloc[0]
    story = _Story(
        windows=run.windows[run.windows["file"] == cell_file],
        seconds=run.per_second[run.per_second["file"] == cell_file],
        samples=run.resources[run.resources["file"] == cell_file],
        look=style.looks([*dict.fromkeys(run.cells["model"])])[cell["model"]],
    )
    with style.applied():
        panels = dict(_panels(story))
        drawn = Figure(figsize=(style.WIDTH_IN, 1.6 + (PANEL_IN + 0.25) * max(1, len(panels))))
        title = f"One cell over time: {drawing.short(cell['model'])}, round {cell['round']}"
        drawing.head(drawn, title, f"{cell['label']}; {cell_file}")
        columns = drawn.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (words, draw) in zip(columns, panels.items(), strict=False):
            axes.set_title(words, fontsize=style.SMALL_PT, fontweight="normal", pad=3)
            _shade(axes, story.windows)
            draw(axes, story)
        columns[-1].set_xlabel("s after the opening of the first window")
        _span(columns[-1], story)
        if panels:
            _number(columns[0], story.windows)
        drawing.foot(drawn, _note(story) if panels else "nothing was stored over time")
        return drawn


def _panels(story: _Story) -> Iterator[tuple[str, Panel]]:
    """Yield the panels that there is anything for, with their titles."""
    samples = story.samples
    if len(story.seconds):
        yield "Throughput of each second, replies/s", _throughput
        if (story.seconds["response_time_p50_ns"] > 0).any():
            yield "Response time of each second, ms (logarithmic): p99; thin: p50", _times
    if samples["server_cores"].notna().any():
        yield "CPUs used: server; dashed: load generator", _cpu
    if samples["server_rss_bytes"].notna().any():
        yield "Memory (RSS), MB: server; dashed: load generator", _memory
    if samples["threads"].notna().any():
        yield "Threads of the server; dashed: its processes", _threads
    if len(story.windows):
        yield "Pauses of the machine, % of the window", _pauses


def _shade(axes: Axes, windows: pd.DataFrame) -> None:
    for _, window in windows.iterrows():
        opens_s = window["opens_s"]
        axes.axvspan(
            opens_s, opens_s + window["window_s"], facecolor=style.GRID, edgecolor="none", alpha=0.55, zorder=0
        )


def _number(axes: Axes, windows: pd.DataFrame) -> None:
    """Write the number of each window into its upper left corner."""
    for _, window in windows.iterrows():
        at = axes.get_xaxis_transform()
        axes.text(
            window["opens_s"], 0.97, f" {window['window'] + 1}", transform=at, va="top", fontsize=8.5, fontweight="bold"
        )


def _span(axes: Axes, story: _Story) -> None:
    """Let the axis of time hold every sample and every window."""
    starts = [*story.samples["at_s"], *story.windows["opens_s"]]
    ends = [*story.samples["at_s"], *(story.windows["opens_s"] + story.windows["window_s"])]
    if ends:
        low, high = min(starts), max(ends)
        axes.set_xlim(low - 0.01 * (high - low), high + 0.01 * (high - low) or 1.0)


def _throughput(axes: Axes, story: _Story) -> None:
    _strokes(axes, story.seconds, story.seconds["throughput_per_s"], story.look.color)
    _from_zero(axes, story.seconds["throughput_per_s"].max())
    wrong = story.seconds[story.seconds["errors"] > 0]
    middles = wrong["at_s"] + wrong["second_s"] / 2
    axes.plot(middles, [0.06] * len(wrong), "x", color=style.INK, transform=axes.get_xaxis_transform(), markersize=6)


def _times(axes: Axes, story: _Story) -> None:
    axes.set_yscale("log")
    _strokes(axes, story.seconds, story.seconds["response_time_p50_ns"] / 1e6, style.FAINT, 1.2)
    _strokes(axes, story.seconds, story.seconds["response_time_p99_ns"] / 1e6, story.look.color)
    found = story.seconds[["response_time_p50_ns", "response_time_p99_ns"]].to_numpy(dtype=float)
    low, high = (float(value) / 1e6 for value in (found[found > 0].min(), found[found > 0].max()))
    axes.set_ylim(low / 1.6, high * 2)
    # The panel is too low for more than a few figures.
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if high < 30 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(drawing.plain))
    axes.yaxis.set_minor_locator(NullLocator())


def _strokes(axes: Axes, seconds: pd.DataFrame, values: pd.Series[float], color: str, width: float = 2.2) -> None:
    axes.hlines(values, seconds["at_s"], seconds["at_s"] + seconds["second_s"], colors=color, linewidth=width)


def _cpu(axes: Axes, story: _Story) -> None:
    _both(axes, story, ("server_cores", "loadgen_cores"), 1.0)


def _memory(axes: Axes, story: _Story) -> None:
    _both(axes, story, ("server_rss_bytes", "loadgen_rss_bytes"), 1e6)


def _threads(axes: Axes, story: _Story) -> None:
    _both(axes, story, ("threads", "processes"), 1.0, drawstyle="steps-post")
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _both(axes: Axes, story: _Story, columns: tuple[str, str], unit: float, drawstyle: str = "default") -> None:
    """Draw two columns of the samples: the second one dashed and faint."""
    at_s = story.samples["at_s"]
    first, second = (story.samples[column] / unit for column in columns)
    axes.plot(at_s, second, color=style.FAINT, linestyle=OTHER_LINE, linewidth=1.2, drawstyle=drawstyle)
    axes.plot(at_s, first, color=story.look.color, linewidth=1.6, drawstyle=drawstyle)
    _from_zero(axes, max(first.max(), second.max()))


def _pauses(axes: Axes, story: _Story) -> None:
    windows = story.windows
    shares = windows["pauses_total_ns"] / windows["window_s"] / 1e7
    axes.bar(windows["opens_s"], shares, windows["window_s"], align="edge", color=style.FAINT, alpha=0.8)
    _from_zero(axes, max(1.0, float(shares.max())))
    if len(windows) > SAID_MOST:
        return
    for (_, window), share in zip(windows.iterrows(), shares, strict=True):
        words = f"longest {wording.milliseconds(window['pauses_max_ns'])} ms" if window["pauses"] else "none"
        middle = window["opens_s"] + window["window_s"] / 2
        axes.annotate(words, (middle, share), (0, 2), textcoords="offset points", ha="center", fontsize=8.5)


def _from_zero(axes: Axes, most: float) -> None:
    axes.set_ylim(0, (most if math.isfinite(most) and most > 0 else 1.0) * 1.3)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(drawing.plain))


def _note(story: _Story) -> str:
    """Return which window is which, and what stands against them."""
    parts = []
    for load, group in itertools.groupby(story.windows.to_dict("records"), key=_load):
        found = [window["window"] + 1 for window in group]
        parts.append(f"{wording.span(str(found[0]), str(found[-1]))} {load}")
    note = f"shaded: the windows ({'; '.join(parts)})" if parts else "no window was measured"
    if (story.seconds["errors"] > 0).any():
        note += "; cross: errors in that second"
    kinds = dict.fromkeys(kind for kinds in story.windows["warnings"] for kind in kinds)
    return note + (f"; warnings: {', '.join(map(wording.warning_word, kinds))}" if kinds else "")


def _load(window: Mapping[Hashable, Any]) -> str:
    """Return the load of a window in words, the same for all steps of a sweep."""
    step = window["sweep_step"]
    return "load sweep" if isinstance(step, float) and not math.isnan(step) else wording.load(str(window["load"]))
