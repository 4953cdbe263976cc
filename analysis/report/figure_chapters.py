"""The report's chapters that are pictures above all: heat map, trade-off, cells over time. Views in, sections out.

A full run has sixty conditions and more, and a picture takes some hundred kilobytes, so each chapter draws what a
reader decides from, not all that could be drawn: heat maps of thirty lines at most where transports divide the run,
one trade-off a transport, and of the cells over time only those that have a serious warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from analysis import wording
from analysis.conditions import TRANSPORT_NAMES
from analysis.figures import heatmap, timeline, tradeoff
from analysis.figures.tradeoff import COST, TIME
from analysis.frames import Run
from analysis.report.document import Block, Paragraph, Section
from analysis.report.sections import Draw
from analysis.views import ConditionView, WindowView
from harness.schema import WarningKind

LINES_MOST = 30  # of one heat map, where transports divide the run
CELLS_MOST = 3

HEAT_NOTE = (
    "Throughput under closed load, each figure in percent of the best in its line that is no bound. Compare along a "
    "line: what another line's best is, this picture does not say. The words on the right say who leads, and how many "
    "times the next one's throughput it has; where the rounds do not tell the best apart it is a tie."
)
TRADE_OFF_NOTE = (
    "What a request costs the server against how long the slowest of a hundred waits, everybody under the same open "
    "load. Whoever lies to the lower left of another one is better in both."
)
OVER_TIME_NOTE = (
    "The cells with the most serious warnings, one for each kind: what went on in them second by second. CPU time, "
    "memory and threads are sampled up to ten times a second; shaded are the windows, all figures come from there."
)

# Worst first: doubts about the server's answers, then about who was served, then about the machine.
WORST: Mapping[str, Callable[[pd.DataFrame], pd.Series[float]]] = {
    WarningKind.SERVER_DIED: lambda rows: rows["unanswered"] / rows["due"],
    WarningKind.COUNT_MISMATCH: lambda rows: rows["unanswered"] / rows["due"],
    WarningKind.ERRORS: lambda rows: rows["errors"] / rows["due"],
    WarningKind.UNANSWERED: lambda rows: rows["unanswered"] / rows["due"],
    WarningKind.STALLED_CONNECTIONS: lambda rows: rows["stalled_connections"] / rows["connections"],
    WarningKind.UNFAIR: lambda rows: -rows["jain"],
    WarningKind.STEAL: lambda rows: rows["steal_s"] / rows["window_s"],
    WarningKind.PAUSES: lambda rows: rows["pauses_total_ns"] / rows["window_s"],
    WarningKind.SCHEDULE_MISSED: lambda rows: -rows["achieved"],
}


def heat_map(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield who leads in which condition, in a run that has several of them under closed load."""
    ranked = [view for view in views if view.closed]
    if len(ranked) < 2:
        return
    groups = list(_by_transport(ranked).values()) if len(ranked) > LINES_MOST else [ranked]
    blocks: list[Block] = [Paragraph(HEAT_NOTE)]
    for place, group in enumerate(groups):
        where = f", {_transport(group[0])}" if len(groups) > 1 else ""
        words = f"Throughput of each contender in each condition, relative to the best of the condition{where}"
        blocks.append(draw(f"heat-map-{place}", words, heatmap.figure(group)))
    yield Section("Who leads where", tuple(blocks))


def trade_off(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield the waits against the costs, for each transport in the condition that tells them of the most contenders."""
    blocks: list[Block] = []
    for place, (transport, group) in enumerate(_by_transport(views).items()):
        told = [(view, window) for view in group for window in view.open[:1] if _both(window) > 1]
        if not told:
            continue
        view, window = max(told, key=lambda found: _both(found[1]))
        words = f"p99 of response time against CPU time per request of each model, {view.label}, {window.words}"
        picture = tradeoff.figure(window.rows, view.models, view.label)
        blocks.append(draw(f"trade-off-{place}", words, picture))
        if len(told) > 1:
            blocks.append(
                Paragraph(f"One of the {len(told)} conditions over {transport} that tell both: {view.label}.")
            )
    if blocks:
        yield Section("Response time against CPU time", (Paragraph(TRADE_OFF_NOTE), *blocks))


def _by_transport(views: Sequence[ConditionView]) -> dict[str, list[ConditionView]]:
    found: dict[str, list[ConditionView]] = {}
    for view in views:
        found.setdefault(_transport(view), []).append(view)
    return found


def _transport(view: ConditionView) -> str:
    name = str(view.cells["transport"].iloc[0])
    return TRANSPORT_NAMES.get(name, name)


def _both(window: WindowView) -> int:
    """Return how many contenders a window tells both figures of."""
    rows = window.rows
    return int(rows.loc[rows[TIME].notna() & (rows[COST] > 0), "model"].nunique())


def over_time(run: Run, draw: Draw) -> Iterator[Section]:
    """Yield the cells with the worst warnings over time; nothing where no cell has one, or none stored its series."""
    found = worst(run)
    if not found:
        return
    yield Section("Cells that deserve a look", (Paragraph(OVER_TIME_NOTE),))
    for place, (kind, file) in enumerate(found.items()):
        windows = run.windows[run.windows["file"] == file]
        first = windows.iloc[0]
        told = [
            f"Window {window['window'] + 1}: {window['warnings_text']}."
            for _, window in windows.iterrows()
            if kind in window["warnings"]
        ]
        who = f"{first['model']}, round {first['round']}, {first['label']}"
        picture = draw(f"over-time-{place}", f"One cell over time: {who}", timeline.figure(run, file))
        title = f"{wording.warning_word(kind).capitalize()}: {who}"
        yield Section(title, (Paragraph(" ".join(told)), picture), level=3)


def worst(run: Run) -> dict[str, str]:
    """Return the cells that deserve a look: the worst kinds of warnings, and of each the cell that has most of it."""
    stored = {*run.per_second["file"], *run.resources["file"]}
    windows = run.windows[(run.windows["outcome"] == "measured") & run.windows["file"].isin(stored)]
    found: dict[str, str] = {}
    for kind, size in WORST.items():
        warned = pd.Series([kind in kinds for kinds in windows["warnings"]], index=windows.index, dtype=bool)
        rows = windows[warned & ~windows["file"].isin(found.values())]
        if len(rows) and len(found) < CELLS_MOST:
            file = rows.assign(size=size(rows).fillna(0.0)).sort_values("size", kind="stable")["file"].iloc[-1]
            found[str(kind)] = str(file)
    return found
