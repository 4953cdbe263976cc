"""The ranking on a console: all columns where there is room, the most telling ones where there is not.

Warnings, and verdicts of other windows than the first, stand in words under the table, where they do not squeeze the
figures; a model that has any is marked with an asterisk. The server's CPUs stand in the title, too. Everything is ASCII
but the rules of the table, which rich replaces where the output can't show them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from analysis import wording
from analysis.report import leaderboard
from analysis.report.document import Entry
from analysis.report.leaderboard import Line
from analysis.views import ConditionView

WIDE = 115
USUAL = 78
NAME_WIDTH = 11


@dataclass(frozen=True)
class Column:
    """A column of the console table, shown from a width of the console on; `least` to `most` characters wide."""

    title: str
    entry: Callable[[Line], Entry]
    number: bool = True
    shown_from: int = 0
    least: int | None = None
    most: int = 18


COLUMNS = (
    Column("rank", lambda line: line.place, number=False, least=6, most=6),
    Column("model", lambda line: Entry(line.model + (" *" if _marked(line) else "")), number=False, least=NAME_WIDTH),
    Column("trans-\nport", lambda line: Entry(line.transport), number=False, shown_from=WIDE, least=6),
    Column("server\nCPUs", lambda line: Entry(line.server_cpus), number=False, shown_from=WIDE, least=6),
    Column("req/s", lambda line: line.throughput),
    Column("relative\nto leader", lambda line: line.relative, shown_from=USUAL),
    Column("p50\nms", lambda line: _alone(line.p50), shown_from=WIDE),
    Column("p99\nms", lambda line: _alone(line.p99)),
    Column("CPU\nus/req", lambda line: _alone(line.cpu), shown_from=USUAL),
    Column("PSS\nMB", lambda line: _alone(line.pss), shown_from=WIDE),
    Column("limited\nby", lambda line: Entry(_verdicts(line)[0]), number=False, least=12),
)


def print_condition(view: ConditionView, console: Console) -> None:
    """Print the ranking of one condition and, under it, what has to be known to read it."""
    lines = leaderboard.lines(view)
    columns = [column for column in COLUMNS if console.width >= column.shown_from]
    room = 1 if console.width >= WIDE else 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, room, 0, 0))
    for column in columns:
        side: JustifyMethod = "right" if column.number else "left"
        table.add_column(
            column.title,
            justify=side,
            no_wrap=column.number,
            overflow="fold",
            min_width=column.least,
            max_width=column.most,
        )
    for line in lines:
        table.add_row(*(_cell(column.entry(line), column.number) for column in columns))
    console.print(Text(wording.printable(view.label), style="bold"))
    console.print(table)
    for note in _notes(view, lines):
        console.print(Text(wording.printable(note)))
    console.print()


def _cell(entry: Entry, number: bool) -> Text:
    text = Text(wording.printable(entry.text), style="bold red" if entry.doubt else "bold" if number else "")
    return text.append(f"\n{entry.note}", style="not bold dim") if entry.note else text


def _alone(entry: Entry) -> Entry:
    """Return an entry without its interval, which the report gives."""
    return Entry(entry.text, doubt=entry.doubt)


def _verdicts(line: Line) -> tuple[str, str]:
    """Return the verdict of the first window, and what there is to say of the others."""
    first, _, others = line.limited_by.text.partition("; ")
    return first, others


def _remarks(line: Line) -> str:
    """Return what stands against a line's figures, in words."""
    others = _verdicts(line)[1]
    limits = [f"limited by: {others}"] if others else []
    return "; ".join([line.warnings.text] * (line.warnings.text != "none") + limits)


def _marked(line: Line) -> bool:
    return bool(_remarks(line))


def _notes(view: ConditionView, lines: tuple[Line, ...]) -> list[str]:
    times = f"p50 and p99 of response time are under {wording.load(view.open[0].load)}" if view.open else ""
    notes = [f"Medians over rounds; in the second line {leaderboard.kinds(view)}. {times}"]
    if not view.closed:
        notes.append("No closed load was measured: nothing is ranked.")
    if not view.open:
        swept = "; those at steps of each model's capacity stand in the report" if view.sweeps else ""
        notes.append(f"No open load {'of one rate ' if swept else ''}was measured: there are no response times{swept}.")
    if any(line.throughput.text.startswith(">=") for line in lines):
        notes.append(">= the load generator was the limit: a lower bound, not ranked.")
    notes += [f"* {line.model}: {_remarks(line)}" for line in lines if _marked(line)]
    return notes
