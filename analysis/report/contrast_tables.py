"""The tables of the chapters across conditions: contenders beside works, and long ones with a row for each point."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import contrasts, wording
from analysis.contrasts import THROUGHPUT, Measure, Point, Reading, Series
from analysis.ranking import Standing, Status
from analysis.report import entries
from analysis.report.document import Entry, Head, Row, Table
from analysis.report.entries import NONE
from analysis.report.sections import WHO, anchor, who

HEADS = {
    "connections": ("Connections held", "Active"),
    "idle": ("Connections held", "Active"),
    "payload": ("Payload, B",),
    "python": ("Interpreter",),
}
NUMBERS = frozenset({"connections", "idle", "payload"})


def work(series: Series) -> Table:
    """Return throughput and place of each contender, a column a work."""
    heads, ideals = [*WHO], [contrasts.ideal(point) for point in series.points]
    for point, most in zip(series.points, ideals, strict=True):
        heads.append(Head(f"{point.words}, replies/s", number=True))
        heads += [Head(f"{point.words}, % of the most possible", number=True)] if most else []
    rows = []
    for model in series.models:
        cells = [Entry(model), Entry(series.points[0].server_cpus)]
        for point, most in zip(series.points, ideals, strict=True):
            reading = contrasts.read(point, THROUGHPUT, model)
            figure = entries.of_estimate(reading.estimate, wording.number, reading.sign)
            notes = [figure.note, place(point.standing(model))]
            shown = Entry(figure.text, "; ".join(filter(None, notes)), _cells(point, model), figure.sort)
            cells.append(_absent(point, model) or shown)
            cells += [_percent(reading, most.per_s, _cells(point, model))] if most else []
        rows.append(Row(tuple(cells)))
    caption = f"Closed load. Medians over rounds; below them the place at this work, and {intervals(series)}."
    return Table(caption, tuple(heads), tuple(rows))


def place(standing: Standing | None) -> str:
    """Return the place of a contender in words; empty where it has no figure."""
    if standing is None or standing.figure is None:
        return ""
    if standing.status is not Status.RANKED:
        return "no place"
    shared = standing.first != standing.last
    return f"place {standing.first}-{standing.last}" if shared else f"place {standing.first}"


def _cells(point: Point, model: str) -> str:
    """Return where the cells of a contender at a point stand in the report."""
    return f"#{anchor(point.view, model)}" if model in point.view.models else ""


def _percent(reading: Reading, most: float, href: str) -> Entry:
    if reading.estimate is None:
        return NONE
    part = reading.estimate.value / most
    return Entry(reading.sign + wording.number(100 * part), href=href, sort=part)


def _absent(point: Point, model: str) -> Entry | None:
    """Return why a contender has no figure at a point, None where it may have one."""
    cells = point.view.cells[point.view.cells["model"] == model]
    if cells.empty:
        return NONE
    if (cells["outcome"] == "measured").any():
        return None
    return entries.IMPOSSIBLE if cells["failure"].str.startswith(wording.IMPOSSIBLE).all() else entries.FAILED


def long(series: Series, measures: Sequence[Measure], ratios: bool = False) -> Table:
    """Return a row for each contender and point; with `ratios` each figure beside that of the first point."""
    numbers = series.key in NUMBERS
    heads = [*WHO, *(Head(title, number=numbers) for title in HEADS.get(series.key, ()))]
    for measure in measures:
        heads.append(Head(measure.head, number=True))
        if ratios:
            heads.append(Head(f"{measure.title} / that of {series.points[0].words}", number=True))
    heads += [Head("Limited by"), Head("Warnings")]
    rows = []
    for model in series.models:
        for point in series.points:
            if model in point.view.models:
                figures = [each for measure in measures for each in _figures(series, point, measure, model, ratios)]
                cells = (*who(point.view, model), *_where(series, point), *figures)
                rows.append(Row((*cells, *_doubts(point, model))))
    caption = f"Medians over rounds; below them {intervals(series)}."
    return Table(caption, tuple(heads), tuple(rows), wide=True)


def _where(series: Series, point: Point) -> tuple[Entry, ...]:
    if series.key == "python":
        return (Entry(point.words),)
    if series.key == "payload":
        return (Entry(f"{point.value:,.0f}", sort=point.value),)
    if series.key in NUMBERS:
        active = int(point.scenario["connections"])
        return Entry(f"{point.held:,}", sort=point.value), Entry(f"{active:,}", sort=float(active))
    return ()


def _figures(series: Series, point: Point, measure: Measure, model: str, ratios: bool) -> list[Entry]:
    reading = contrasts.read(point, measure, model)
    taken = contrasts.window(point, measure)
    if measure.source == "open" and taken is not None:
        figure = entries.time(taken, model, measure.column)
    else:
        figure = entries.of_estimate(reading.estimate, wording.number, reading.sign)
    if not ratios:
        return [figure]
    if point is series.points[0]:
        return [figure, Entry("1", sort=1.0) if reading.values else NONE]
    change = contrasts.change(contrasts.read(series.points[0], measure, model), reading)
    return [figure, NONE if change is None else entries.of_estimate(change.ratio, wording.ratio, change.sign)]


def _doubts(point: Point, model: str) -> tuple[Entry, Entry]:
    windows = point.view.alone
    return entries.limits(windows, model), entries.warnings(point.view, model, windows)


def intervals(series: Series) -> str:
    """Return what the intervals of a series' figures are: `the range of 3 rounds`."""
    counts = {int(count) for point in series.points for count in point.view.measured.groupby("model").size()}
    names = [wording.interval_of(count) for count in sorted(counts, reverse=True)]
    return wording.listing(names, "or") or "nothing, for nothing was measured"
