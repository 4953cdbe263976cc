"""One slot: a fresh server of one arm under one load generator, in the figures that the arms are compared by.

A slot is measured as a cell of a run is (`harness.cell`), with the server started in the arm's folder. From its closed
window come CPU time a request and throughput; from its open window, where there is one, the response times, at a rate
that is the same for both arms.

Whose failure it is, is told from what failed. A server that does not get ready, dies, does not stop, answers nothing
(the load generator's exit code 3), answers with other bytes, or over a stream leaves a request unanswered, has failed
itself. Over UDP the network may lose a request, so there only a wrong answer counts. All else is the harness's.

`disturbance` says what the machine did to a slot, from what can't see the arm: time that the hypervisor took, and
pauses that the load generator noticed. Where both sides share CPUs the server makes the generator pause, so there only
the hypervisor counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.bench import Bench, Task
from harness.cell import measure_cell
from harness.gate.arms import Build
from harness.interpreters import Interpreter
from harness.matrix import ForeignServer
from harness.pinning import Pinning
from harness.scenario import Scenario
from harness.schema import Cell, CellWindow, ErrorKind, LimitedBy, LoadWindow, describe_warning, total_errors
from harness.schema.gate import Fault, Metric, Slot

TAKEN_MOST = 0.05  # of a window, by the hypervisor or by pauses
WRONG = (ErrorKind.CORRUPT, ErrorKind.PROTOCOL)
OF_THE_SERVER = ("the server", "the load generator ended with exit code 3")
NO_PROCESS = "the server can't be started"
REFUSED = 2


@dataclass(frozen=True)
class Point:
    """A scenario to compare: its name, what is measured, on which CPUs, and with a generator that spins or sleeps."""

    name: str
    scenario: Scenario
    pinning: Pinning
    spin: bool = False
    interpreter: Interpreter | None = None

    def with_loads(self, *loads: str) -> Point:
        """Return the same scenario under other loads."""
        return replace(self, scenario=replace(self.scenario, loads=loads))


@dataclass(frozen=True)
class Measured:
    """A slot with what stands beside its figures: the code that ran, and what the machine did to it.

    `refused` tells that the server said it can't be started as asked: it lacks the model, or an option.
    """

    slot: Slot
    code: str | None = None
    disturbance: str | None = None
    refused: bool = False


def measure_slot(point: Point, build: Build, number: int, seed: int, bench: Bench) -> Measured:
    """Measure one slot; a failure is part of what is returned. Raises Interrupted when the user asks to stop."""
    foreign = build.command and ForeignServer(build.command, (point.scenario.transport,))
    task = Task(
        point.scenario,
        max(1, number),
        seed,
        point.pinning,
        foreign or None,
        spin=point.spin,
        interpreter=point.interpreter,
    )
    cell = measure_cell(task, replace(bench, tools=replace(bench.tools, servers_folder=build.folder)))
    return measured(cell, point, build)


def measured(cell: Cell, point: Point, build: Build) -> Measured:
    """Return what a cell says of an arm."""
    windows = list(zip(cell["load"]["windows"], cell["windows"], strict=True)) if cell["load"] else []
    failure = cell["failure"] or _wrong(windows, point.scenario.transport)
    if failure is not None and build.folder is not None:
        failure = failure.replace(f"{build.folder}/", "")
    ready = cell["server"]["ready"]
    slot = Slot(
        figures=_figures(windows) if failure is None else dict.fromkeys(Metric, math.nan),
        generator_limited=bool(windows) and windows[0][1]["limited_by"] == LimitedBy.GENERATOR,
        warnings=tuple(describe_warning(record) for _, window in windows for record in window["warnings"]),
        failure=failure,
        fault_of=None if failure is None else _fault(failure, cell),
        details=_details(cell, windows),
    )
    return Measured(
        slot,
        code=(ready or {}).get("code"),
        disturbance=disturbance(windows, shared=point.pinning.shared),
        refused=ready is None and cell["server"]["exit_code"] == REFUSED,
    )


Windows = Sequence[tuple[LoadWindow, CellWindow]]


def _figures(windows: Windows) -> dict[str, float]:
    figures: dict[str, float] = dict.fromkeys(Metric, math.nan)
    for seen, window in windows:
        if seen["load"] == "closed":
            figures[Metric.THROUGHPUT] = seen["throughput_per_s"]
            figures[Metric.CPU] = _number(window["server"]["cpu_us_per_request"])
        else:
            figures[Metric.P50] = _number(seen["response_time_ns"]["p50"])
            figures[Metric.P99] = _number(seen["response_time_ns"]["p99"])
    return figures


def _number(value: float | str | None) -> float:
    """Return a figure: NaN where there is none, infinite where unanswered requests reach the percentile."""
    if value is None:
        return math.nan
    return math.inf if isinstance(value, str) else float(value)


def _wrong(windows: Windows, transport: str) -> str | None:
    """Return what the replies have against the server, None where they are right and all there."""
    wrong = sum(seen["errors"].get(kind, 0) for seen, _ in windows for kind in WRONG)
    if wrong:
        answers = "a wrong answer" if wrong == 1 else f"{wrong:,} wrong answers"
        return f"the server gave {answers}: other bytes than were sent"
    lost = (
        0 if transport == "udp" else sum(max(seen["unanswered"], total_errors(seen["errors"])) for seen, _ in windows)
    )
    due = sum(seen["due"] for seen, _ in windows)
    return f"the server left {lost:,} of {due:,} requests unanswered" if lost else None


def _fault(failure: str, cell: Cell) -> Fault:
    if failure.startswith(NO_PROCESS) or cell["server"]["exit_code"] == 127:
        return "harness"
    return "server" if failure.startswith(OF_THE_SERVER) else "harness"


def disturbance(windows: Windows, *, shared: bool) -> str | None:
    """Return what the machine did to a slot that makes it unusable, None where it was let alone.

    `shared` tells that server and load generator run on the same CPUs.
    """
    for seen, window in windows:
        paused = seen["pauses"]["total_ns"] / (seen["window_s"] * 1e9)
        if not shared and paused > TAKEN_MOST:
            return f"the machine stopped the load generator for {paused:.0%} of a window"
        for side in (window["server"], window["loadgen"]):
            stolen_s, cpus = side.get("stolen_s"), len(side["cpus"])
            if stolen_s is not None and stolen_s > TAKEN_MOST * seen["window_s"] * cpus:
                return f"the hypervisor took {stolen_s / seen['window_s'] / cpus:.0%} of a window"
    return None


def _details(cell: Cell, windows: Windows) -> dict[str, Any]:
    return {
        "started": cell["started"],
        "command": cell["server"]["command"],
        "limited_by": [window["limited_by"] for _, window in windows],
        "loads": [seen["load"] for seen, _ in windows],
        "responses": [seen["responses"] for seen, _ in windows],
        "paused_ns": [seen["pauses"]["total_ns"] for seen, _ in windows],
        "steal_s": [window["steal_s"] for _, window in windows],
        "busy_fraction": [seen["busy_fraction"] for seen, _ in windows],
    }
