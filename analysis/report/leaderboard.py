"""The ranking as lines of a table, the same for the report and for the console."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from analysis import ranking, wording
from analysis.ranking import Standing, Status
from analysis.report import entries
from analysis.report.document import Entry
from analysis.views import ConditionView


@dataclass(frozen=True)
class Line:
    """One model of one condition: place, throughput of the closed window, times of the first open one, costs."""

    place: Entry
    model: str
    transport: str
    server_cpus: str
    throughput: Entry
    relative: Entry
    p50: Entry
    p99: Entry
    cpu: Entry
    pss: Entry
    limited_by: Entry
    warnings: Entry


def lines(view: ConditionView) -> tuple[Line, ...]:
    """Return a condition's lines, best first."""
    return tuple(_line(view, model) for model in view.models)


def _line(view: ConditionView, model: str) -> Line:
    cells = view.cells[view.cells["model"] == model]
    measured = cells[cells["outcome"] == "measured"]
    closed, opened = (*view.closed[:1], None)[0], (*view.open[:1], None)[0]
    ranks = view.rank(closed, ranking.THROUGHPUT) if closed else None
    standing = ranks.of(model) if ranks else None
    cost = view.rank(view.cpu_window, ranking.CPU).of(model).figure if view.cpu_window else None
    return Line(
        place=_place(standing, cells),
        model=model,
        transport=str(cells["transport"].iloc[0]),
        server_cpus=str(cells["server_cpus"].iloc[0]),
        throughput=entries.throughput(standing),
        relative=entries.ratio(standing, leads=ranks is not None and ranks.leader == model),
        p50=entries.time(opened, model, ranking.RESPONSE_P50.column) if opened else entries.NONE,
        p99=entries.time(opened, model, ranking.RESPONSE_P99.column) if opened else entries.NONE,
        cpu=entries.of_estimate(cost, wording.number),
        pss=entries.of_bytes(measured["connected_pss_bytes"], 1e6),
        limited_by=entries.limits([window for window in (closed, opened) if window], model),
        warnings=entries.warnings(view, model, view.alone),
    )


def _place(standing: Standing | None, cells: pd.DataFrame) -> Entry:
    """Return a model's place: `1`, `1-2`, or why it has none."""
    if (cells["outcome"] != "measured").all():
        impossible = cells["failure"].str.startswith(wording.IMPOSSIBLE).all()
        return entries.IMPOSSIBLE if impossible else entries.FAILED
    if standing is None or standing.status is Status.NO_FIGURE:
        return entries.NONE
    if standing.first is None or standing.last is None:
        return Entry("not ranked", sort=math.nan)
    shared = standing.first != standing.last
    return Entry(f"{standing.first}-{standing.last}" if shared else str(standing.first), sort=float(standing.first))


def kinds(view: ConditionView) -> str:
    """Return what the intervals of a condition's figures are: `the range of 3 rounds`."""
    counts = view.cells[view.cells["outcome"] == "measured"].groupby("model").size()
    names = [wording.interval_of(int(count)) for count in sorted(set(counts), reverse=True)]
    return wording.listing(names, "or") or "nothing, for nothing was measured"
