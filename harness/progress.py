"""What a run shows while it runs: a live display on a terminal, one line a cell elsewhere.

Observers: events in, display out. What is said is made by pure functions from the events, so that a test can read it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.bench import CellFinished, CellStarted, Event, RunStarted, SecondPassed
from harness.schema import Cell, CellWindow, LimitedBy, LoadWindow, Summary, describe_warning, window_name


def describe(event: Event) -> list[str]:
    """Return the lines that an event is worth where there is no terminal."""
    match event:
        case RunStarted():
            there = f", {event.done} of them measured before" if event.done else ""
            count = "1 cell" if event.total == 1 else f"{event.total} cells"
            plan = f"plan {event.plan}: {count}{there}, about {duration(event.seconds_left)}"
            return [plan, *event.notes, f"results go to {event.folder}"]
        case CellFinished():
            place = f"[{event.number:>{len(str(event.total))}}/{event.total}]"
            head = f"{place} {event.scenario} round {event.cell['round']}"
            return [f"{head}: {outcome(event.cell)} ({duration(event.seconds_left)} left)"]
        case CellStarted() | SecondPassed():
            return []


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def outcome(cell: Cell) -> str:
    """Return the figures of a cell, window by window, or why it failed."""
    if cell["failure"] is not None:
        return f"FAILED: {cell['failure']}"
    load = cell["load"]
    assert load is not None  # a measured cell has a record
    return "; ".join(
        f"{_named(seen)} {', '.join(window_figures(seen, window))}"
        for seen, window in zip(load["windows"], cell["windows"], strict=True)
    )


def _named(seen: LoadWindow) -> str:
    """Return a window's name, with the rate that a step of a sweep came to."""
    name = window_name(seen)
    return name if name == seen["load"] else f"{name} ({seen['load']})"


def window_figures(seen: LoadWindow, window: CellWindow) -> list[str]:
    """Return throughput, p99 response time, CPU a request, the verdict, and the warnings of a window.

    A closed load has no p99 here: its times are only connections divided by throughput.
    """
    bound = window["limited_by"] == LimitedBy.GENERATOR
    figures = [f"{'>= ' if bound else ''}{seen['throughput_per_s']:,.0f}/s"]
    if seen["load"] != "closed":
        figures.append(f"p99 {percentile(seen['response_time_ns'])}")
    cpu = window["server"]["cpu_us_per_request"]
    figures.append("CPU unknown" if cpu is None else f"{cpu:.1f} us CPU/request")
    figures.append(f"limited by {window['limited_by'].replace('_', ' ')}")
    return figures + [describe_warning(record) for record in window["warnings"]]


def percentile(summary: Summary) -> str:
    """Return the p99 in milliseconds, as text where it is none."""
    value = summary["p99"]
    if value is None:
        return "too few samples"
    return value if isinstance(value, str) else f"{value / 1e6:.2f} ms"


class Unheard(Console):
    """A console whose other end may be closed: then it falls silent. Who only watches must not end a run."""

    def on_broken_pipe(self) -> None:
        """Print nothing any more."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


Told_contra = TypeVar("Told_contra", contravariant=True)


class LineDisplay(Generic[Told_contra]):
    """What `describe` makes of each event, line by line: for logs and pipes."""

    def __init__(self, console: Console, describe: Callable[[Told_contra], Iterable[str]]) -> None:
        self._console, self._describe = console, describe

    def __enter__(self) -> Self:
        """Return itself: there is nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: all is printed."""

    def __call__(self, event: Told_contra) -> None:
        """Print what an event is worth."""
        for line in self._describe(event):
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A table of the last figures of each scenario, the cell that runs, and the time left, redrawn at events.

    Its CPU time is taken from the load generator, in the middle of a window: so it has no clock of its own, and the
    table, 5 ms of work, is made between cells and only painted again meanwhile: less than 1 ms, about once a second.
    """

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._rows: dict[tuple[str, str], list[str]] = {}
        self._table = Text()
        self._done = 0
        self._total = 1
        self._now = ""
        self._second = ""

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture on the terminal."""
        self._now = self._second = ""
        self._draw()
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event and draw."""
        match event:
            case RunStarted():
                self._total, self._done = event.total, event.done
                for line in describe(event):
                    self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
            case CellStarted():
                self._now = f"cell {event.number} of {event.total}: {event.scenario}, round {event.round}"
                self._second = f"{duration(event.seconds_left)} left"
            case SecondPassed():
                self._second = second_figures(event)
            case CellFinished():
                self._done += 1
                self._take(event)
        self._draw()

    def _take(self, event: CellFinished) -> None:
        for load, *figures in cell_rows(event.cell):
            self._rows[event.scenario, load] = figures
        self._table = painted(figures_table(self._rows), self._live.console.width)

    def _draw(self) -> None:
        bar = ProgressBar(total=self._total, completed=self._done, width=40)
        state = Text(f"{self._done}/{self._total} cells  {self._now}  {self._second}".rstrip())
        self._live.update(Group(self._table, bar, state), refresh=True)


def painted(table: Table, width: int) -> Text:
    """Return a table as the text it is on a terminal of this width."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(table)
    return Text.from_ansi(capture.get().rstrip())


def second_figures(event: SecondPassed) -> str:
    """Return what the load generator told of the last second."""
    figures: dict[str, Any] = event.figures
    p99 = None if event.load == "closed" else figures.get("p99_ns")
    time = f", p99 {p99 / 1e6:.2f} ms" if isinstance(p99, int | float) else ""
    errors = f", {figures['errors']} errors" if figures.get("errors") else ""
    return f"{event.load}: {figures.get('responses', 0):,} replies in the last second{time}{errors}"


def cell_rows(cell: Cell) -> list[list[str]]:
    """Return the rows of the table for a cell: load, throughput, p99, CPU, verdict, warnings."""
    load = cell["load"]
    if cell["failure"] is not None or load is None:
        return [["-", "-", "-", "-", "failed", cell["failure"] or ""]]
    return [
        [
            window_name(seen),
            f"{'>= ' if window['limited_by'] == LimitedBy.GENERATOR else ''}{seen['throughput_per_s']:,.0f}",
            "-" if seen["load"] == "closed" else percentile(seen["response_time_ns"]),
            "-" if (cpu := window["server"]["cpu_us_per_request"]) is None else f"{cpu:.1f}",
            window["limited_by"].replace("_", " "),
            ", ".join(record["kind"].replace("_", " ") for record in window["warnings"]),
        ]
        for seen, window in zip(load["windows"], cell["windows"], strict=True)
    ]


def figures_table(rows: dict[tuple[str, str], list[str]]) -> Table:
    """Return the table of the last figures."""
    table = Table(title="last figures", title_justify="left")
    for heading in ("scenario", "load"):
        table.add_column(heading)
    for heading in ("requests/s", "p99 response", "us CPU/request"):
        table.add_column(heading, justify="right")
    for heading in ("limited by", "warnings"):
        table.add_column(heading)
    for (scenario, load), figures in sorted(rows.items()):
        table.add_row(*(Text(cell) for cell in (scenario, load, *figures)))
    return table
