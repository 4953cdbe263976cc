"""The report's chapters about the measurements: views of a run in, sections of a document out."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence

from matplotlib.figure import Figure

from analysis import prominence, wording
from analysis.columns import CLOCKS
from analysis.figures import of_models as figures
from analysis.frames import Run
from analysis.report import entries, headlines, leaderboard, sentences
from analysis.report.document import (
    Block,
    Bullets,
    Entry,
    Head,
    Paragraph,
    Picture,
    Row,
    Section,
    Statement,
    Statements,
    Table,
)
from analysis.report.leaderboard import Line
from analysis.views import ConditionView, WindowView

# Takes a stem, words and a figure; stores the files of the figure and returns its picture.
Draw = Callable[[str, str, Figure], Picture]

WHO = (Head("Model"), Head("Server CPUs"))
CLOCK_WORDS = {clock: clock.replace("_", " ").capitalize() for clock in CLOCKS}
NAMED = ("p50", "p99")
POOLED = "p99.9"

NO_OPEN_LOAD = "open load, of which there was none"
RANKING_NOTE = (
    "Ranked by throughput under closed load. A place like 1-2 is shared: the rounds do not tell which of these places "
    "it is. A model that the load generator limited has no place: its throughput is a lower bound (>=) and its times "
    "are upper bounds (<=). Response times are those of the open load: under closed load a time is only connections "
    "divided by throughput."
)
RESPONSE_NOTE = (
    "Response time is what a user of the service waits, from the moment when a request was due. Service time begins "
    "when it was really sent: it hides what a stall does to the requests behind it. Unanswered requests rank as "
    "infinite in both."
)

CPU_NOTE = (
    "User and system time of the server's whole process tree over exactly the window, divided by the replies received "
    "in it. It stays right where the load generator was the limit. What the kernel does for the server inside the load "
    "generator's system calls, as on loopback, is not in it."
)
MEMORY_NOTE = (
    "PSS is the memory of the server's whole process tree, each shared page divided by the number of processes that "
    "share it: before there is load, and when all connections are up, never inside a window. Per connection is the "
    "growth of the tree's own pages, divided by the connections; pages of files are left out of it, since the load "
    "generator shares them and they seem to shrink when it starts."
)


def summary(run: Run, views: Sequence[ConditionView]) -> Iterator[Section]:
    """Yield the summary: a statement for each condition, those to see first before the others, which are folded."""
    if not views:
        yield Section("Summary", (Paragraph("This run holds no cell that can be read."),))
        return
    first, said = prominence.main(views), [_statement(view) for view in views]
    rounds = wording.rounds(run.cells["round"].nunique())
    lead = [f"On this machine ({sentences.machine(run.document)}), {rounds}.", sentences.pairing(views[0])]
    lead += sentences.warned([window for view in views for window in view.windows])
    blocks = (Paragraph(" ".join(filter(None, lead))), Statements(tuple(said[: len(first)])))
    yield Section("Summary", blocks)
    if others := said[len(first) :]:
        title = f"The other {wording.plural(len(others), 'condition')}"
        yield Section(title, (Statements(tuple(others)),), level=3, anchor="others", folded=True)


def _statement(view: ConditionView) -> Statement:
    return Statement(view.label, headlines.headline(view), f"#{anchor(view)}")


def ranks(views: Sequence[ConditionView]) -> Iterator[Section]:
    """Yield the ranking: a table a condition, and what can be said of it."""
    yield Section("Ranking", (Paragraph(RANKING_NOTE),))
    for view in views:
        blocks: list[Block] = [_ranking(view), Bullets(sentences.summary(view))]
        if not view.closed:
            blocks.insert(0, Paragraph("No window under closed load was measured, so nothing is ranked."))
        if note := sentences.pairing(view):
            blocks.append(Paragraph(note))
        yield Section(view.label, tuple(blocks), level=3, anchor=anchor(view))


def _ranking(view: ConditionView) -> Table:
    none = "open load at one rate for all models, of which there was none" if view.sweeps else NO_OPEN_LOAD
    times = wording.load(view.open[0].load) if view.open else none
    heads = (
        Head("Place"),
        Head("Model"),
        Head("Transport"),
        Head("Server CPUs"),
        Head("Throughput, replies/s", number=True),
        Head("Throughput / leader's", number=True),
        Head("Response time p50, ms", number=True),
        Head("Response time p99, ms", number=True),
        Head("CPU time per request, µs", number=True),
        Head("Memory (PSS), MB", number=True),
        Head("Limited by"),
        Head("Warnings"),
    )
    caption = f"Medians over rounds; below them {leaderboard.kinds(view)}. Response times are under {times}."
    return Table(caption, heads, tuple(_line(view, line) for line in leaderboard.lines(view)))


def _line(view: ConditionView, line: Line) -> Row:
    name = Entry(line.model, href=f"#{anchor(view, line.model)}", doubt=line.warnings.doubt)
    where = (Entry(line.transport), Entry(line.server_cpus))
    times = (line.throughput, line.relative, line.p50, line.p99, line.cpu, line.pss)
    return Row((line.place, name, *where, *times, line.limited_by, line.warnings))


def anchor(view: ConditionView, model: str | None = None) -> str:
    """Return the anchor of a condition's ranking, or of a model's first row among the condition's cells.

    The same condition has the same anchor in every report: it is a checksum of what the scenario says.
    """
    condition = f"c{zlib.crc32(str(view.cells['condition'].iloc[0]).encode()):08x}"
    return condition if model is None else f"{condition}-{sorted(view.models).index(model)}"


def throughput(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield the pictures of the closed windows: those of the first conditions beside each other."""
    pictures: list[Picture] = []
    for place, view in enumerate(views):
        for window in view.closed:
            words = f"Throughput of each model under closed load, {view.label}"
            figure = figures.throughput(window.rows, view.models, view.label)
            pictures.append(draw(f"throughput-{place}-{window.index}", words, figure))
    first = tuple(pictures[: prominence.MOST_SHOWN])
    yield Section("Throughput under closed load", first or (Paragraph("No closed window was measured."),))
    if others := tuple(pictures[prominence.MOST_SHOWN :]):
        yield Section(f"The other {wording.plural(len(others), 'window')}", others, level=3, folded=True)


def response(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield curves and table of each open window."""
    none = "No open window was measured" + (" beside the sweeps below." if any(view.sweeps for view in views) else ".")
    some = any(view.open for view in views)
    yield Section("Response time under open load", (Paragraph(RESPONSE_NOTE if some else none),))
    for place, view in enumerate(views):
        for window in view.open:
            title = f"{view.label}, {wording.load(window.load)}"
            pictures = [
                draw(
                    f"{clock.replace('_', '-')}-{place}-{window.index}",
                    f"Percentiles of {clock.replace('_', ' ')} of each model, {title}",
                    figures.percentile_curves(window.percentiles, clock, view.models, view.label),
                )
                for clock in CLOCKS
            ]
            yield Section(title, (*pictures, _response_table(view, window)), level=3)


def _response_table(view: ConditionView, window: WindowView) -> Table:
    heads = [*WHO]
    heads += [Head(f"{clock} {name}, ms", number=True) for clock in CLOCK_WORDS.values() for name in NAMED]
    heads += [Head(f"{clock} {POOLED} of all rounds, ms", number=True) for clock in CLOCK_WORDS.values()]
    heads += [Head("Achieved, %", number=True), Head("Unanswered", number=True), Head("Limited by"), Head("Warnings")]
    rows = []
    for model in view.models:
        own = window.rows[window.rows["model"] == model]
        cells = [*who(view, model)]
        cells += [entries.time(window, model, f"{clock}_{name}_ns") for clock in CLOCKS for name in NAMED]
        cells += [entries.pooled(window, model, clock, POOLED) for clock in CLOCKS]
        cells.append(entries.percent(own["achieved"]))
        cells.append(entries.count(own["unanswered"]))
        rows.append(Row((*cells, entries.limits([window], model), entries.warnings(view, model, [window]))))
    caption = (
        f"{wording.load(window.load).capitalize()}. Medians over rounds of each round's percentile; below them "
        f"{leaderboard.kinds(view)}. {POOLED}: of the requests of all rounds together."
    )
    return Table(caption, tuple(heads), tuple(rows))


def cpu(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield pictures and tables of the CPU time a request costs the server."""
    yield Section("CPU time per request", (Paragraph(CPU_NOTE),))
    for place, view in enumerate(views):
        blocks: list[Block] = []
        if view.cpu_window:
            words = f"CPU time per request of each model, {wording.load(view.cpu_window.load)}, {view.label}"
            figure = figures.cpu_per_request(view.cpu_window.rows, view.models, view.label)
            blocks.append(draw(f"cpu-{place}", words, figure))
        blocks += [_cpu_table(view, window) for window in view.alone]
        yield Section(view.label, tuple(blocks) or (Paragraph("No window was measured."),), level=3)


def _cpu_table(view: ConditionView, window: WindowView) -> Table:
    columns = {
        "CPU time per request, µs": "cpu_us_per_request",
        "User part, µs": "cpu_user_us_per_request",
        "System part, µs": "cpu_system_us_per_request",
        "CPUs used": "cores_used",
    }
    heads = (*WHO, *(Head(title, number=True) for title in columns), Head("Limited by"), Head("Warnings"))
    rows = []
    for model in view.models:
        own = window.rows[window.rows["model"] == model]
        cells = (entries.of_estimate(entries.over_rounds(own[column]), wording.number) for column in columns.values())
        doubts = (entries.limits([window], model), entries.warnings(view, model, [window]))
        rows.append(Row((*who(view, model), *cells, *doubts)))
    caption = f"{wording.load(window.load).capitalize()}. Medians over rounds; below them {leaderboard.kinds(view)}."
    return Table(caption, heads, tuple(rows))


def memory(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield pictures and tables of the server's memory."""
    yield Section("Memory", (Paragraph(MEMORY_NOTE),))
    for place, view in enumerate(views):
        figure = figures.memory_per_connection(view.measured, view.models, view.label)
        picture = draw(f"memory-{place}", f"Memory per connection of each model, {view.label}", figure)
        yield Section(view.label, (picture, _memory_table(view)), level=3)


def _memory_table(view: ConditionView) -> Table:
    heads = (
        *WHO,
        Head("PSS without load, MB", number=True),
        Head("PSS with all connections, MB", number=True),
        Head("Memory per connection, kB", number=True),
        Head("Warnings"),
    )
    rows = []
    for model in view.models:
        cells = view.measured[view.measured["model"] == model]
        sizes = [entries.of_bytes(cells[column], 1e6) for column in ("baseline_pss_bytes", "connected_pss_bytes")]
        each = entries.of_bytes(cells["bytes_per_connection"], 1e3)
        rows.append(Row((*who(view, model), *sizes, each, entries.warnings(view, model, view.alone))))
    caption = f"Medians over rounds; below them {leaderboard.kinds(view)}."
    return Table(caption, heads, tuple(rows))


def who(view: ConditionView, model: str) -> tuple[Entry, ...]:
    """Return the first entries of a row: the model, which leads to its cells, and the server CPUs."""
    return Entry(model, href=f"#{anchor(view, model)}"), Entry(str(view.cells["server_cpus"].iloc[0]))
