"""A run: every scenario of a plan in every round, measured cell by cell into one folder.

The rounds follow one another; inside a round the scenarios stand in a shuffled order of their own, fixed by the plan's
seed. A machine that gets slower in the afternoon, or after every third minute, so hits all models alike, and two
models can be compared inside a round.

Each cell is on the disk before the next one starts. So a run can be stopped at any moment, by Ctrl-C, a crash or the
loss of power, and resumed: what is measured stays as it is, byte for byte; what failed, was cut short or is missing is
measured. A run is only resumed with the same plan, on the same machine, by the same code: its cells are to be compared.

What the machine's limits don't allow, or the servers can't have here, is known before the run, said at its start, and
stored as a cell that failed, with its reason; nothing is started for it. Limits may be raised and the run resumed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.bench import Bench, CellFinished, CellStarted, RunStarted, Task
from harness.ceiling import mark_near_ceiling
from harness.cell import measure_cell
from harness.environment import what_must_not_change
from harness.generator import expected_s
from harness.interrupts import Interrupted
from harness.limits import NO_LIMITS, Limits, describe, why_not
from harness.pinning import cpu_list, resolve_pin
from harness.plan import Plan
from harness.plan_errors import PlanError
from harness.schema import RUN_SCHEMA, Cell
from harness.store import StoreError, cell_path, make_run_folder, read_cell, sole_writer, write_json, write_run

STARTING_S = 1.5  # interpreters, Locust, the ends: what a cell takes beside its windows, until measured cells tell


class ResumeError(Exception):
    """A run can't be gone on with, as one sentence."""


@dataclass(frozen=True)
class Entry:
    """A cell to come: its place in the order, its name, its file, and what to measure."""

    index: int
    scenario: str
    path: Path
    task: Task

    def as_dict(self) -> dict[str, Any]:
        """Return how the order of a run names it; the file stands in the run folder."""
        file = f"{self.path.parent.name}/{self.path.name}"
        return {"index": self.index, "scenario": self.scenario, "round": self.task.round, "file": file}


@dataclass(frozen=True)
class Run:
    """A run on disk: its folder, its own document, its cells in the order of measuring; and the machine's limits."""

    folder: Path
    document: dict[str, Any]
    entries: tuple[Entry, ...]
    limits: Limits = NO_LIMITS


@dataclass
class Outcome:
    """How a run ended: how many cells are measured in all, and which failed why."""

    measured: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    def take(self, entry: Entry, cell: Cell) -> None:
        """Count a cell."""
        if cell["failure"] is None:
            self.measured += 1
        else:
            self.failures[f"{entry.scenario} round {entry.task.round}"] = cell["failure"]


def measure_run(run: Run, bench: Bench) -> Outcome:
    """Measure every cell of a run that is not there yet.

    Raises StoreError when something can't be stored; the cells stored before are whole.
    """
    with sole_writer(run.folder):
        pending = [entry for entry in run.entries if not is_measured(entry)]
        outcome = Outcome(measured=len(run.entries) - len(pending))
        clock = Clock(pending)
        bench.tell(_run_started(run, outcome, clock, bench.ceilings.notes))
        _write_state(run, "running")
        try:
            for entry in pending:
                outcome.take(entry, _measure_entry(entry, len(run.entries), clock, bench))
        except Interrupted:
            outcome.interrupted = True
        _write_state(run, "interrupted" if outcome.interrupted else "done")
    return outcome


def _measure_entry(entry: Entry, total: int, clock: Clock, bench: Bench) -> Cell:
    """Measure one cell and store it."""
    number = entry.index + 1
    bench.tell(CellStarted(number, total, entry.scenario, entry.task.round, clock.left_s))
    cell = mark_near_ceiling(measure_cell(entry.task, bench), bench.ceilings)
    write_json(entry.path, cell)
    clock.tick(entry)
    bench.tell(CellFinished(number, total, entry.scenario, cell, clock.left_s))
    return cell


def new_run(
    plan: Plan,
    results: Path,
    environment: Mapping[str, Any],
    allowed_cpus: tuple[int, ...],
    *,
    limits: Limits = NO_LIMITS,
) -> Run:
    """Make the folder of a new run; raises PlanError (a CPU that there is not) or StoreError."""
    tasks = _tasks(plan, allowed_cpus, limits)
    stamp = environment["started"].replace("-", "").replace(":", "")
    folder = make_run_folder(results, f"{stamp}-{plan.name}")
    entries = _entries(tasks, folder)
    document = {
        "schema": RUN_SCHEMA,
        "name": plan.name,
        "plan": plan.document,
        "environment": dict(environment),
        "seed": plan.seed,
        "order": [entry.as_dict() for entry in entries],
        "left_out": list(plan.left_out),
        **_known_before(tasks, limits),
        "state": "running",
    }
    run = Run(folder, document, entries, limits)
    write_run(folder, document)
    return run


def _known_before(tasks: list[tuple[str, Task]], limits: Limits) -> dict[str, Any]:
    """Return what a run stores of the limits, and of the scenarios that can't be measured, each with its reason."""
    impossible = {name: task.impossible for name, task in sorted(tasks, key=lambda each: each[0]) if task.impossible}
    return {"limits": limits.as_dict(), "impossible": impossible}


def resumed_run(
    folder: Path,
    document: dict[str, Any],
    plan: Plan,
    environment: Mapping[str, Any],
    allowed_cpus: tuple[int, ...],
    *,
    limits: Limits = NO_LIMITS,
) -> Run:
    """Return a run as stored in its folder, to be gone on with. The limits are as they are now.

    Raises ResumeError where plan, machine or code are not those that it was started with.
    """
    if document["plan"] != plan.document:
        differing = _differences(document["plan"], plan.document)
        raise ResumeError(f"{folder} was started with another plan (it differs in {differing}): start a new run")
    before, now = what_must_not_change(document["environment"]), what_must_not_change(environment)
    if before != now:
        differing = _differences(before, now)
        raise ResumeError(f"{folder} was started under other conditions (it differs in {differing}): start a new run")
    tasks = _tasks(plan, allowed_cpus, limits)
    return Run(folder, document | _known_before(tasks, limits), _entries(tasks, folder), limits)


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    return ", ".join(key for key in {**one, **other} if one.get(key) != other.get(key))


def is_measured(entry: Entry) -> bool:
    """Tell whether a cell is there, whole, and no failure."""
    try:
        cell = read_cell(entry.path)
    except StoreError:
        return False  # there is none, or it was cut short
    same = cell["scenario"] == entry.task.scenario.as_dict() and cell["round"] == entry.task.round
    return same and cell["outcome"] == "measured"


def _tasks(plan: Plan, allowed_cpus: tuple[int, ...], limits: Limits) -> list[tuple[str, Task]]:
    tasks = []
    for name, round_ in plan.order():
        scenario = plan.scenarios[name]
        try:
            pinning = resolve_pin(scenario.pin, allowed_cpus)
        except ValueError as error:
            raise PlanError(f"plan {plan.name}: {error}") from error
        foreign = plan.servers.get(scenario.model)
        cpus = len(pinning.server_cpus)
        task = Task(
            replace(scenario, pin=pinning.text),
            round_,
            seed=plan.seed + round_ - 1,
            pinning=pinning,
            foreign=foreign,
            interpreter=plan.interpreters.get(scenario.python or ""),
            impossible=plan.impossible.get(name) or why_not(scenario, limits, cpus, ours=foreign is None),
        )
        tasks.append((name, task))
    return tasks


def _entries(tasks: list[tuple[str, Task]], folder: Path) -> tuple[Entry, ...]:
    return tuple(
        Entry(index, name, cell_path(folder, index, name, task.round), task) for index, (name, task) in enumerate(tasks)
    )


def _run_started(run: Run, outcome: Outcome, clock: Clock, remarks: tuple[str, ...]) -> RunStarted:
    notes = [f"left out: {sentence}" for sentence in run.document.get("left_out", [])]
    notes += _impossible_notes(run)
    notes += remarks
    shared = [entry.task.pinning for entry in run.entries if entry.task.pinning.pinned and entry.task.pinning.shared]
    if shared:
        cpus = cpu_list(shared[0].server_cpus)
        notes.append(f"server and load generator share CPU {cpus}: their figures are of both")
    return RunStarted(
        run.document["plan"]["name"], run.folder, len(run.entries), outcome.measured, tuple(notes), clock.left_s
    )


def _impossible_notes(run: Run) -> list[str]:
    """Return what can't be measured, the scenarios of one reason together, and the limits that it was held against."""
    names: dict[str, set[str]] = {}
    for entry in run.entries:
        if entry.task.impossible is not None:
            names.setdefault(entry.task.impossible, set()).add(entry.scenario)
    notes = [f"can't be measured here: {', '.join(sorted(named))}: {reason}" for reason, named in names.items()]
    return [*sorted(notes), describe(run.limits)] if notes else []


def _write_state(run: Run, state: str) -> None:
    run.document["state"] = state
    write_run(run.folder, run.document)


class Clock:
    """Estimates the time left: cells differ by their windows, and what comes on top is learned from those measured."""

    def __init__(self, pending: list[Entry]) -> None:
        self._expected_s = [expected_s(entry.task.scenario) for entry in pending if not entry.task.impossible]
        self._done = 0
        self._started = time.monotonic()

    def tick(self, entry: Entry) -> None:
        """Note that a cell is done; one that nothing was started for took no time."""
        self._done += entry.task.impossible is None

    @property
    def left_s(self) -> float:
        """Return the estimated seconds until the end of the run."""
        left, passed = self._expected_s[self._done :], self._expected_s[: self._done]
        elapsed_s = time.monotonic() - self._started
        overhead_s = (elapsed_s - sum(passed)) / self._done if self._done else STARTING_S
        return sum(left) + len(left) * max(0.0, overhead_s)
