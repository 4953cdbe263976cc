"""The report's chapters across conditions: one for each dimension that a run varies, none where it varies nothing.

Each has its figures, the sentences that the rounds carry, and a table of what the figures show. `contrasts` says what
is put in a row; where two dimensions vary, a chapter has a section for each value of the other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from analysis import contrasts, wording
from analysis.contrasts import BYTES, CPU, EACH, P99, PSS, THROUGHPUT, Measure, Point, Series
from analysis.figures import contrast_figures, style
from analysis.figures.contrast_figures import Bar, Group
from analysis.frames import Run
from analysis.report import contrast_sentences, contrast_tables, sentences
from analysis.report.document import Block, Bullets, Paragraph, Section
from analysis.report.sections import Draw
from analysis.views import ConditionView

# Beyond so many times the best figure, a line for the most possible would leave the bars no room.
IDEAL_IN_SIGHT = 1.5
BESIDE = {"pin": "CPUs of the server", "python": "interpreter"}
ACTIVE = "Active ones send requests, the others were held open after one request each."

WORK_NOTE = (
    "The same contenders under the same closed load, and only what a request costs the server differs: a bare echo, "
    "CPU time that it uses, time that it waits without a CPU, as for a database. Places are those inside one work."
)
GROWTH_NOTE = (
    "What grows, and what falls, with the number of connections. Throughput and CPU time are under closed load, "
    f"response times under open load at the same rate throughout. {ACTIVE}"
)
PAYLOAD_NOTE = (
    "The same contenders with payloads of different sizes, under closed load: small ones show what a request costs, "
    "large ones what a byte costs. MB/s counts the bytes of whole replies, headers included."
)
PIN_NOTE = (
    "The same contenders, each beside itself: which CPUs the server may use differs, and nothing else. Ratios are of "
    "paired rounds. Where the server is not pinned, the load generator may take its CPUs from it."
)
PYTHON_NOTE = (
    "The same contenders under different interpreters; the load generator's own stays the same. Ratios are of paired "
    "rounds, to the first interpreter."
)


def chapters(run: Run, views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield the chapters of all dimensions that vary."""
    found = {key: contrasts.find(views, key) for key in contrasts.KEYS}
    growth = (*found["connections"], *found["idle"])
    parts: tuple[tuple[str, str, Sequence[Series], Iterable[Section]], ...] = (
        ("How work turns the ranking", WORK_NOTE, found["work"], _work(found["work"], draw)),
        ("Growth with connections", GROWTH_NOTE, growth, _numbers(growth, draw)),
        ("Payload", PAYLOAD_NOTE, found["payload"], _numbers(found["payload"], draw)),
        ("CPUs of the server", PIN_NOTE, found["pin"], _beside(found["pin"], draw)),
        ("Interpreters", PYTHON_NOTE, found["python"], _beside(found["python"], draw)),
    )
    where = f"On this machine ({sentences.machine(run.document)}), {wording.rounds(run.cells['round'].nunique())}."
    for title, note, series, sections in parts:
        if series:
            yield Section(title, (Paragraph(note), Paragraph(where)))
            yield from sections


def _work(found: Sequence[Series], draw: Draw) -> Iterator[Section]:
    for place, series in enumerate(found):
        words = f"Throughput by the work of a request, best first, {series.label}"
        figure = contrast_figures.groups(
            [_ranked_group(series, point) for point in series.points],
            ("Throughput by the work of a request", series.label),
            "throughput / the largest figure of the same work",
            _bars_note(series, THROUGHPUT) + "; dotted: the most that is possible",
            parts=True,
        )
        said = [text for point in series.points for text in _said_of_work(point)]
        said = [*contrast_sentences.turns(series), *said]
        blocks = (draw(f"work-{place}", words, figure), *_told_of(series, said), contrast_tables.work(series))
        yield Section(series.label, blocks, level=3)


def _said_of_work(point: Point) -> Iterator[str]:
    where = contrast_sentences.work(point)
    yield from contrast_sentences.leads(point, where)
    yield from contrast_sentences.reached(point, where)


def _ranked_group(series: Series, point: Point) -> Group:
    """Return the bars of a point, best first as it ranks them, in parts of the largest figure."""
    looks = style.looks(series.models)
    readings = {model: contrasts.read(point, THROUGHPUT, model) for model in point.view.models}
    best = max((each.estimate.value for each in readings.values() if each.estimate), default=0.0) or 1.0
    bars = []
    for model, reading in readings.items():
        standing, estimate = point.standing(model), reading.estimate
        values = tuple(value / best for value in reading.values.values())
        words = "no figure" if estimate is None else reading.sign + wording.number(estimate.value)
        bars.append(Bar(model, looks[model], values, words, contrast_tables.place(standing), bool(reading.sign)))
    most = contrasts.ideal(point)
    title = point.words if most is None else f"{point.words}   at most {wording.number(most.per_s)}: {most.why}"
    in_sight = most is not None and most.per_s <= IDEAL_IN_SIGHT * best
    return Group(title, tuple(bars), most.per_s / best if most is not None and in_sight else None)


def _numbers(found: Sequence[Series], draw: Draw) -> Iterator[Section]:
    """Yield the sections of a dimension that is a number: lines on logarithmic axes."""
    for series in found:
        measures = _told(
            series, (BYTES, THROUGHPUT, CPU) if series.key == "payload" else (THROUGHPUT, P99, CPU, PSS, EACH)
        )
        axis = _axis(series)
        blocks: list[Block] = []
        for measure in measures:
            words = f"{measure.title} of each contender against {axis}, {series.label}"
            figure = contrast_figures.lines(series, measure, axis)
            blocks.append(draw(f"{_stem(series, found)}-{measure.column.replace('_', '-')}", words, figure))
        blocks += [*_told_of(series, _said_of_numbers(series, measures)), contrast_tables.long(series, measures)]
        yield Section(series.label, tuple(blocks), level=3)


def _stem(series: Series, found: Sequence[Series]) -> str:
    return f"{series.key}-{[other for other in found if other.key == series.key].index(series)}"


def _axis(series: Series) -> str:
    if series.key == "payload":
        return "payload"
    idle = series.points[0].scenario.get("idle") or 0
    if series.key == "idle":
        active = int(series.points[0].scenario["connections"])
        return f"connections held, {active:,} of them active"
    return f"connections held, {idle:,} of them idle" if idle else "connections, all of them active"


def _said_of_numbers(series: Series, measures: Sequence[Measure]) -> Iterator[str]:
    for point in contrast_sentences.telling(series):
        where = f"with a payload of {point.words}" if series.key == "payload" else f"with {point.words} held"
        yield from contrast_sentences.leads(point, where)
        yield from contrast_sentences.costs(point, where)
    for measure in measures:
        if measure in ((BYTES, CPU) if series.key == "payload" else (THROUGHPUT, CPU)):
            yield from contrast_sentences.changes(series, measure, series.points[0], series.points[-1])


def _beside(found: Sequence[Series], draw: Draw) -> Iterator[Section]:
    """Yield the sections in which a contender stands beside itself: bars, and ratios to the first point."""
    for series in found:
        measures = _told(series, (THROUGHPUT, CPU))
        blocks: list[Block] = []
        for measure in measures:
            words = f"{measure.title} of each contender by {BESIDE[series.key]}, {series.label}"
            figure = contrast_figures.groups(
                [_own_group(series, measure, model) for model in series.models],
                (f"{measure.title} by {BESIDE[series.key]}", series.label),
                measure.unit,
                _bars_note(series, measure) + f"; x: times that of {series.points[0].words}, of paired rounds",
            )
            blocks.append(draw(f"{_stem(series, found)}-{measure.column.replace('_', '-')}", words, figure))
        said = [
            text
            for measure in measures
            for point in series.points[1:]
            for text in contrast_sentences.changes(series, measure, series.points[0], point)
        ]
        blocks += [*_told_of(series, said), contrast_tables.long(series, measures, ratios=True)]
        yield Section(series.label, tuple(blocks), level=3)


def _own_group(series: Series, measure: Measure, model: str) -> Group:
    look = style.looks(series.models)[model]
    bars = []
    readings = [contrasts.read(point, measure, model) for point in series.points]
    for point, reading in zip(series.points, readings, strict=True):
        words = "no figure" if reading.estimate is None else reading.sign + wording.number(reading.estimate.value)
        change = contrasts.change(readings[0], reading) if point is not series.points[0] else None
        remark = "" if change is None else f"x {_times(change)}"
        bars.append(Bar(point.words, look, tuple(reading.values.values()), words, remark, bool(reading.sign)))
    return Group(model, tuple(bars))


def _times(change: contrasts.Change) -> str:
    ends = wording.span(wording.ratio(change.ratio.interval.low), wording.ratio(change.ratio.interval.high))
    return f"{change.sign}{wording.ratio(change.ratio.value)}" + ("" if change.sign else f" ({ends})")


def _told(series: Series, measures: Iterable[Measure]) -> tuple[Measure, ...]:
    """Return the measures of which there is any figure."""
    return tuple(
        measure
        for measure in measures
        if any(contrasts.read(point, measure, model).values for point in series.points for model in series.models)
    )


def _bars_note(series: Series, measure: Measure) -> str:
    readings = [contrasts.read(point, measure, model) for point in series.points for model in series.models]
    if not any(reading.values for reading in readings):
        return "nothing was measured"
    note = f"bars: medians; lines: {contrast_tables.intervals(series)}; dots: the rounds"
    hatched = any(reading.sign for reading in readings)
    return note + ("; hatched: a lower bound, the load generator was the limit" if hatched else "")


def _told_of(series: Series, said: Iterable[str]) -> Iterator[Block]:
    """Yield the sentences, those of what could not be measured, and what their intervals are worth."""
    found, note = tuple(said), contrast_sentences.note(series)
    items = (*found, *contrast_sentences.gaps(series))
    if items:
        yield Bullets(items)
    if not note:
        yield Paragraph("The rounds are too few to say who is ahead, or what has changed.")
    elif found:
        yield Paragraph(note)
