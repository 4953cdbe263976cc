"""`echobench calibrate`: measure the load generator instead of the servers, pinned as a run would be.

Four questions, each answered with cells as a run measures them (a fresh server, a fresh load generator, 64 connections,
64 bytes), sleeping and spinning:

1. ceiling: how much does it reach against a server that costs almost nothing, over each transport?
2. timing: how late does it send what is due by a known schedule, `open:2000:constant`?
3. noise: how much do identical windows differ, by their length?
4. neighbour: what does a generator that spins cost the server beside it? Asked of one of our own servers, whose limit
   it is then, not the generator's.

A machine drifts while it is measured. So everything but the noise goes round by round, in an order shuffled in every
round, and a sleeping and a spinning generator are always measured one right after the other, the first of them in turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.bench import Bench, Task
from harness.calibration import MODES, Part, Slot, name_of, slots_of, stored
from harness.catalogue import Catalogue, CatalogueError
from harness.cell import measure_cell
from harness.environment import anonymous, read_environment
from harness.generator import expected_s
from harness.pinning import Pinning, allowed_cpus, resolve_pin
from harness.plan_errors import PlanError, checked, require_available
from harness.progress import duration
from harness.reference_server import Opponent, find_compiler, our_models, reference_servers
from harness.scenario import KEYS, Scenario
from harness.schema import CALIBRATION_SCHEMA
from harness.store import write_json

TIMING_LOAD = "open:2000:constant"
USUAL = "asyncio"  # for noise and neighbour: well below the generator's ceiling, and nothing unusual about it
STARTING_S = 1.5  # what a cell takes beside its windows


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds of windows of `window_s`, and `slots` identical windows of each of the lengths."""

    rounds: int
    window_s: float
    slots: int
    lengths_s: tuple[float, ...] = (0.5, 1.0, 2.0)
    warmup_s: float = 0.3
    between_s: float = 0.1
    connections: int = 64


FULL = Effort(rounds=5, window_s=1.0, slots=8)
QUICK = Effort(rounds=2, window_s=0.6, slots=3)


@dataclass(frozen=True)
class Wanted:
    """What to calibrate: how thoroughly, on which CPUs, over which transports."""

    effort: Effort
    pinning: Pinning
    transports: tuple[str, ...]


def read_wanted(effort: Effort, pin: str, transports: Sequence[str] | None, catalogue: Catalogue) -> Wanted:
    """Check what is asked for; without transports it is all that are available. Raises PlanError with a sentence."""
    checked("--pin", pin, KEYS["pin"].rule, "the command line")
    try:
        pinning = resolve_pin(pin, allowed_cpus())
    except ValueError as error:
        raise PlanError(str(error)) from error
    for transport in transports or ():
        require_available(transport, catalogue.transports, "transport", "--transports")
    there = [choice.name for choice in catalogue.transports if choice.available]
    if not there:
        raise CatalogueError("no transport is available here: there is nothing to measure over")
    return Wanted(effort, pinning, tuple(dict.fromkeys(transports or there)))


@dataclass(frozen=True)
class Servers:
    """Against what is measured: the fastest server of each transport, and one of our own models."""

    fastest: Mapping[str, Opponent]
    ours: Opponent

    @property
    def transport(self) -> str:
        """The first transport, over which everything but the ceilings is measured."""
        return next(iter(self.fastest))


@dataclass(frozen=True)
class Step:
    """One cell of a calibration."""

    part: Part
    opponent: Opponent
    transport: str
    round: int
    loads: tuple[str, ...]
    window_s: float
    warmup_s: float
    spin: bool = False

    @property
    def words(self) -> str:
        """What is measured, in words."""
        length = f" {self.window_s:g} s" if self.part == "noise" else ""
        return f"{self.part} {self.transport}{length}, {MODES[self.spin]}, against {self.opponent.name}"


@dataclass
class Findings:
    """What a calibration has measured, and what could not be measured, in sentences."""

    slots: list[Slot] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


Tell = Callable[[str], None]


def choose_servers(catalogue: Catalogue, transports: Sequence[str], scratch: Path) -> tuple[Servers, list[str]]:
    """Return against what to measure, and notes where that is not what it should be; raises CatalogueError."""
    ours = our_models(catalogue)
    if not ours:
        raise CatalogueError("no model is available here: there is nothing to measure against")
    built, notes = reference_servers(transports, find_compiler(), scratch)
    usual = next((model for model in ours if model.name == USUAL), ours[0])
    return Servers({transport: built.get(transport, ours[0]) for transport in transports}, usual), notes


def steps(servers: Servers, effort: Effort) -> list[Step]:
    """Return the cells of a calibration in the order of measuring."""
    ordered: list[Step] = []
    for number in range(1, effort.rounds + 1):
        pairs = list(_pairs(servers, effort, number))
        random.Random(f"calibrate/{number}").shuffle(pairs)
        for pair in pairs:
            ordered += pair if number % 2 else reversed(pair)
    for place, length_s in enumerate(effort.lengths_s):
        loads = ("closed",) * effort.slots
        pair = _pair(Step("noise", servers.ours, servers.transport, 1, loads, length_s, effort.between_s))
        ordered += reversed(pair) if place % 2 else pair
    return ordered


def _pairs(servers: Servers, effort: Effort, number: int) -> Iterator[tuple[Step, Step]]:
    """Yield the cells of a round, each sleeping and spinning."""

    def step(part: Part, opponent: Opponent, transport: str, load: str = "closed") -> Step:
        return Step(part, opponent, transport, number, (load,), effort.window_s, effort.warmup_s)

    for transport, opponent in servers.fastest.items():
        yield _pair(step("ceiling", opponent, transport))
    yield _pair(step("timing", servers.fastest[servers.transport], servers.transport, TIMING_LOAD))
    yield _pair(step("neighbour", servers.ours, servers.transport))


def _pair(sleeping: Step) -> tuple[Step, Step]:
    return sleeping, replace(sleeping, spin=True)


def scenario_of(step: Step, wanted: Wanted) -> Scenario:
    """Return what a run would call the cell of a step."""
    values = {name: key.default for name, key in KEYS.items()}
    chosen = {
        "model": step.opponent.name,
        "transport": step.transport,
        "connections": wanted.effort.connections,
        "loads": step.loads,
        "warmup_s": step.warmup_s,
        "window_s": step.window_s,
        "pin": wanted.pinning.text,
    }
    return Scenario(**{**values, **chosen})


def calibrate(wanted: Wanted, catalogue: Catalogue, bench: Bench, tell: Tell) -> dict[str, Any]:
    """Measure a whole calibration and return it in its stored form; raises CatalogueError or Interrupted."""
    environment = read_environment()
    servers, notes = choose_servers(catalogue, wanted.transports, bench.scratch)
    if wanted.pinning.shared:
        notes.append("server and load generator share CPUs: the figures are of both")
    for note in notes:
        tell(note)
    findings = measure(servers, wanted, bench, tell)
    return {
        "schema": CALIBRATION_SCHEMA,
        "started": environment["started"],
        "pin": wanted.pinning.text,
        "server_cpus": list(wanted.pinning.server_cpus),
        "loadgen_cpus": list(wanted.pinning.loadgen_cpus),
        "effort": asdict(wanted.effort) | {"lengths_s": list(wanted.effort.lengths_s)},
        "environment": environment,
        "notes": [anonymous(note) for note in notes],
        "failures": findings.failures,
        "windows": stored(findings.slots),
    }


def measure(servers: Servers, wanted: Wanted, bench: Bench, tell: Tell) -> Findings:
    """Measure the cells of a calibration; one that fails is told and left out. Raises Interrupted."""
    findings = Findings()
    planned = steps(servers, wanted.effort)
    scenarios = [scenario_of(step, wanted) for step in planned]
    tell(f"{len(planned)} cells, about {duration(sum(expected_s(scenario) + STARTING_S for scenario in scenarios))}")
    for number, (step, scenario) in enumerate(zip(planned, scenarios, strict=True), start=1):
        task = Task(scenario, step.round, step.round, wanted.pinning, step.opponent.foreign, spin=step.spin)
        cell = measure_cell(task, bench)
        if cell["failure"] is None:
            slots = slots_of(cell, step.part, step.opponent.name)
            findings.slots += slots
            said = ", ".join(f"{slot.throughput_per_s:,.0f}/s" for slot in slots)
        else:
            findings.failures.append(f"{step.words}, round {step.round}: {cell['failure']}")
            said = f"FAILED: {cell['failure']}"
        tell(f"[{number:>{len(str(len(planned)))}}/{len(planned)}] {step.words}: {said}")
    return findings


def store(document: Mapping[str, Any], folder: Path) -> Path:
    """Write a calibration over the one before of this machine and pinning; return its path. Raises StoreError."""
    path = folder / f"{name_of(document['environment'], document['pin'])}.json"
    write_json(path, document, indent=1)
    return path
