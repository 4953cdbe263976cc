"""What a run works with: the programs it starts, how long it waits for what, and whom it tells."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.ceiling import Ceilings
from harness.environment import ROOT
from harness.interpreters import Interpreter
from harness.matrix import ForeignServer
from harness.pinning import Pinning
from harness.scenario import Scenario
from harness.schema import Cell
from harness.supervise import Watch


@dataclass(frozen=True)
class Tools:
    """The programs that speak the contracts of `python -m servers` and `python -m loadgen`, started in `folder`.

    Servers are started in `servers_folder` where that is named: another version of their package.
    """

    servers: tuple[str, ...] = (sys.executable, "-m", "servers")
    loadgen: tuple[str, ...] = (sys.executable, "-m", "loadgen")
    folder: Path = ROOT
    servers_folder: Path | None = None


@dataclass(frozen=True)
class Task:
    """What one cell is to measure; `seed` fixes the load's schedule, the same for all models of a round.

    `spin` has the load generator poll without sleeping, which takes a whole CPU. The server runs under `interpreter`,
    or the harness's own. `impossible` says why it can't be measured here, None where nothing is known against it.
    """

    scenario: Scenario
    round: int
    seed: int
    pinning: Pinning
    foreign: ForeignServer | None = None
    spin: bool = False
    interpreter: Interpreter | None = None
    impossible: str | None = None


@dataclass(frozen=True)
class Deadlines:
    """How long the harness waits before it calls something a failure, in seconds."""

    ready_s: float = 15.0
    stop_s: float = 10.0  # a server drains for 5 s at most
    cleanup_s: float = 6.0  # what is not needed any more may still drain
    load_overhead_s: float = 40.0  # interpreter and Locust start, connections come up, the record is written


@dataclass(frozen=True)
class RunStarted:
    """A run begins or goes on: `done` of `total` cells are there already."""

    plan: str
    folder: Path
    total: int
    done: int
    notes: tuple[str, ...]
    seconds_left: float


@dataclass(frozen=True)
class CellStarted:
    """The measuring of one cell begins; `number` counts from 1."""

    number: int
    total: int
    scenario: str
    round: int
    seconds_left: float


@dataclass(frozen=True)
class SecondPassed:
    """The load generator told of a second of a window."""

    load: str
    figures: dict[str, Any]


@dataclass(frozen=True)
class CellFinished:
    """A cell is stored."""

    number: int
    total: int
    scenario: str
    cell: Cell
    seconds_left: float


Event = RunStarted | CellStarted | SecondPassed | CellFinished
Observer = Callable[[Event], None]


@dataclass(frozen=True)
class Bench:
    """All that measuring a cell needs beside its scenario."""

    watch: Watch
    allowed_cpus: tuple[int, ...]
    tell: Observer
    scratch: Path
    tools: Tools = field(default_factory=Tools)
    deadlines: Deadlines = field(default_factory=Deadlines)
    ceilings: Ceilings = field(default_factory=Ceilings)
