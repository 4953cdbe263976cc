"""Rounds of a gate with figures as wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from analysis.gate import decide, wants_more
from analysis.gate.decision import Row, Rules, Verdict
from harness.schema.gate import Arm, GateRecord, GateRound, Metric, Slot

USUAL = {Metric.CPU: 20.0, Metric.THROUGHPUT: 40_000.0, Metric.P50: 800_000.0, Metric.P99: 3_000_000.0}
SCENARIO = "asyncio-tcp"
STEAL = "steal of 12 % on the server's CPUs"
DIED = "the server died with signal 11"

# Scattered evenly on both sides: no effect at any even number of rounds, and a spread of about 1.
STEPS = (1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 0.25, -0.25, 0.75, -0.75, 1.25, -1.25)


def slot(factor: float = 1.0, **changes: Any) -> Slot:
    """Return a slot that costs `factor` of the usual in every metric."""
    figures = {
        metric: value / factor if metric is Metric.THROUGHPUT else value * factor for metric, value in USUAL.items()
    }
    return Slot(figures | changes.pop("figures", {}), **changes)


def failing(sentence: str = DIED, fault_of: Any = "server") -> Slot:
    """Return a slot without figures."""
    return Slot({}, failure=sentence, fault_of=fault_of)


def one(number: int = 1, base: Slot | None = None, head: Slot | None = None, redo: str | None = None) -> GateRound:
    """Return a round, in ABBA order by its number."""
    first = Arm.BASE if number % 4 in {1, 0} else Arm.HEAD
    return GateRound(number, first, base or slot(), head or slot(), redo)


def from_ratios(ratios: Sequence[float]) -> list[GateRound]:
    """Return rounds whose head costs exp(ratio) times what base does."""
    return [one(number, head=slot(math.exp(ratio))) for number, ratio in enumerate(ratios, start=1)]


def rounds(count: int, cost: float = 1.0, noise: float = 0.01) -> list[GateRound]:
    """Return rounds whose head costs about `cost` times what base does."""
    return from_ratios([math.log(cost) + noise * STEPS[index % len(STEPS)] for index in range(count)])


def spoilt(some: Sequence[GateRound], *places: int, **changes: Any) -> list[GateRound]:
    """Return the rounds with those at some places (from 0) changed."""
    return [replace(each, **changes) if index in places else each for index, each in enumerate(some)]


def rows_of(some: Sequence[GateRound], rules: Rules | None = None) -> dict[Metric, Row]:
    """Return the rows of a single scenario."""
    return {row.metric: row for row in decide({SCENARIO: some}, rules or Rules()).rows}


def verdict_of(some: Sequence[GateRound], rules: Rules | None = None) -> Verdict:
    """Return the verdict on a single scenario."""
    return decide({SCENARIO: some}, rules or Rules()).verdict


def steps(some: Sequence[GateRound], rules: Rules | None = None) -> int:
    """Return after how many rounds the gate stops, given as many as it wants."""
    return next((n for n in range(len(some) + 1) if not wants_more(some[:n], rules or Rules()).more), -1)


def record(scenarios: Mapping[str, Sequence[GateRound]], settings: Mapping[str, Any]) -> GateRecord:
    """Return the record of a gate."""
    return GateRecord(
        settings=settings,
        environment={"cpu": {"model": "a machine"}},
        arms={Arm.BASE: {"name": "main", "code": "aa"}, Arm.HEAD: {"name": "working tree", "code": "bb"}},
        rounds={name: tuple(some) for name, some in scenarios.items()},
        started="2026-01-02T03:04:05Z",
    )
