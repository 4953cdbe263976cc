"""What a gate shows while it runs: a table that is redrawn on a terminal, a line a round elsewhere.

No verdict is shown before the end, and no running average: who watches one rise and fall stops at the wrong moment. A
round's own ratios are shown, because a figure that is far off is worth a look at the machine.
"""

from __future__ import annotations

import math
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.gate.session import Event, GateStarted, LeftOut, RoundMeasured, SlotStarted
from harness.progress import duration
from harness.schema.gate import Arm, GateRound, Metric

SHOWN = {Metric.CPU: "CPU/request", Metric.THROUGHPUT: "throughput", Metric.P50: "p50", Metric.P99: "p99"}


def describe(event: Event) -> list[str]:
    """Return the lines that an event is worth where there is no terminal."""
    match event:
        case GateStarted():
            return started(event)
        case SlotStarted():
            return []
        case LeftOut():
            return [f"{event.scenario}: not compared: {event.reason}"]
        case RoundMeasured():
            head = f"{event.scenario} round {event.round.number}"
            return [f"{head}: {outcome(event.round)}; {event.step.reason} ({left(event.seconds_left)})"]


def started(event: GateStarted) -> list[str]:
    """Return what is compared, and what must be known of it before the first figure."""
    base, head = (event.arms[arm] for arm in (Arm.BASE, Arm.HEAD))
    lines = [f"base: {base.name}", f"head: {head.name}"]
    if head.uncommitted or base.uncommitted:
        files = [*base.uncommitted, *head.uncommitted]
        named = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        lines.append(f"uncommitted changes are measured too: {named}")
    if base.code is not None and base.code == head.code:
        lines.append(f"both arms have the same servers/ (code {base.code}): whatever differs is the machine's")
    count = len(event.scenarios)
    scenarios = "1 scenario" if count == 1 else f"{count} scenarios"
    lines.append(f"{scenarios} ({', '.join(event.scenarios)}), {left(event.seconds_left)} if nothing changed")
    return lines


def left(seconds: float) -> str:
    """Return an estimate of the time left."""
    return f"about {duration(seconds)} left"


def outcome(measured: GateRound) -> str:
    """Return a round in words: head's figures in parts of base's, or why it can't be used."""
    for arm, slot in ((Arm.HEAD, measured.head), (Arm.BASE, measured.base)):
        if slot.failure is not None:
            return f"{arm} FAILED: {slot.failure}"
    ratios = ", ".join(f"{name} {change}" for metric, name in SHOWN.items() if (change := changed(measured, metric)))
    again = f"to be redone: {measured.redo}; " if measured.redo else ""
    return f"{again}{ratios or 'no figure'}"


def changed(measured: GateRound, metric: Metric) -> str:
    """Return by how much head's figure differs from base's, nothing where one is missing."""
    base, head = (slot.figures.get(metric, math.nan) for slot in (measured.base, measured.head))
    ratio = head / base if base else math.nan
    return f"{ratio - 1:+.1%}" if math.isfinite(ratio) else ""


class Picture:
    """A table with a row a scenario, redrawn at events only: between slots, so that it takes nothing from a window."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._rows: dict[str, tuple[str, ...]] = {}
        self._now = ""

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the picture away: the decision comes in its place."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event and draw."""
        match event:
            case GateStarted():
                self._rows = dict.fromkeys(event.scenarios, ("-", "-", "-", "to come"))
                self._print(event)
            case LeftOut():
                self._rows.pop(event.scenario, None)
                self._print(event)
            case SlotStarted():
                what = f"round {event.number}" if event.number else "trial"
                self._now = f"{event.scenario}: {what}, {event.arm}; {left(event.seconds_left)}"
            case RoundMeasured():
                self._take(event)
        self._live.update(Group(rounds_table(self._rows), Text(self._now)), refresh=True)

    def _take(self, event: RoundMeasured) -> None:
        figures = tuple(changed(event.round, metric) or "-" for metric in (Metric.CPU, Metric.THROUGHPUT))
        state = event.step.reason if event.step.more else f"done: {event.step.reason}"
        self._rows[event.scenario] = (f"{event.done}/{event.target}", *figures, state)
        if event.round.redo or event.round.base.failure or event.round.head.failure:
            self._print(event)

    def _print(self, event: Event) -> None:
        for line in describe(event):
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)


def rounds_table(rows: dict[str, tuple[str, ...]]) -> Table:
    """Return the table of the last round of each scenario."""
    table = Table(title="last rounds, head in parts of base", title_justify="left")
    table.add_column("scenario")
    for heading in ("rounds", "CPU/request", "throughput"):
        table.add_column(heading, justify="right")
    table.add_column("state")
    for scenario, cells in rows.items():
        table.add_row(*(Text(cell) for cell in (scenario, *cells)))
    return table
