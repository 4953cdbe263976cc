"""What a gate measures and keeps: slots, rounds, and the record of a whole gate, `echobench.gate/1`.

A *slot* is one fresh server process under one load generator. A *round* is a slot of each arm back to back. The record
holds every round, also those that can't be used, and all settings: the decision can be made again from it alone.

    {"schema", "state": "complete" | "interrupted", "started", "settings": {"rules": {...}, ...}, "environment",
     "arms": {"base": {"name", "code", ...}, "head": {...}},
     "rounds": {scenario: [{"number", "first", "base": slot, "head": slot, "redo"}]},
     "not_compared": {scenario: sentence}, "decision": {...} | null}

A number that is none is stored as null, an infinite one (a percentile that was never answered) as `"infinite"`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, Literal

from harness.schema.records import SchemaError, require_schema

GATE_SCHEMA = "echobench.gate/1"
INFINITE = "infinite"

Fault = Literal["server", "harness"]
State = Literal["complete", "interrupted"]


class Arm(StrEnum):
    """One of the two versions that are compared."""

    BASE = "base"
    HEAD = "head"

    @property
    def other(self) -> Arm:
        """Return the opposite arm."""
        return Arm.HEAD if self is Arm.BASE else Arm.BASE


class Metric(StrEnum):
    """A figure of a slot that the arms are compared by, its unit in its name."""

    CPU = "cpu_us_per_request"
    THROUGHPUT = "throughput_per_s"
    P50 = "response_time_p50_ns"
    P99 = "response_time_p99_ns"


@dataclass(frozen=True)
class Slot:
    """One fresh server process and one load generator.

    `figures` holds each metric, NaN where it could not be had, infinite where the percentile was never answered.
    `failure` is one sentence (did not start, died, echoed wrongly, lost requests) and `fault_of` whose failure it is.
    `details` is for readers of the record; no decision looks at it.
    """

    figures: Mapping[str, float]
    generator_limited: bool = False
    warnings: tuple[str, ...] = ()
    failure: str | None = None
    fault_of: Fault | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a failure that is nobody's, and a fault without one."""
        if (self.failure is None) != (self.fault_of is None):
            raise ValueError("a slot has a failure and whose fault it is, or neither")


@dataclass(frozen=True)
class GateRound:
    """A slot of each arm, back to back. `number` counts all rounds of the scenario from 1, those to be redone too.

    `redo` says why the round can't be used: only for what can't see the arm (steal, machine pauses).
    """

    number: int
    first: Arm
    base: Slot
    head: Slot
    redo: str | None = None


@dataclass(frozen=True)
class Step:
    """What a scenario needs next: another round or none, and why, in words."""

    more: bool
    reason: str


@dataclass(frozen=True)
class GateRecord:
    """A whole gate. `settings["rules"]` are those that it decides by; `not_compared` says why a scenario was left out.

    `arms` holds for each arm at least its `name` and the hash `code` of the `servers` package that ran.
    """

    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    arms: Mapping[Arm, Mapping[str, Any]]
    rounds: Mapping[str, tuple[GateRound, ...]]
    started: str
    state: State = "complete"
    not_compared: Mapping[str, str] = field(default_factory=dict)
    decision: Mapping[str, Any] | None = None


def gate_document(record: GateRecord) -> dict[str, Any]:
    """Return a record in its stored form, plain JSON without NaN."""
    return {"schema": GATE_SCHEMA, **stored_form(record)}


def read_gate_record(document: Mapping[str, Any], place: str) -> GateRecord:
    """Return the record of a stored document, `place` naming it in errors.

    Raises SchemaError where it is of another version or of another shape.
    """
    require_schema(document, GATE_SCHEMA, place)
    try:
        return GateRecord(
            settings=document["settings"],
            environment=document["environment"],
            arms={Arm(name): about for name, about in document["arms"].items()},
            rounds={scenario: read_rounds(rounds) for scenario, rounds in document["rounds"].items()},
            started=document["started"],
            state=document["state"],
            not_compared=document["not_compared"],
            decision=document["decision"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SchemaError(f"{place} is damaged, it is no gate's record: {type(error).__name__}: {error}") from error


def read_rounds(documents: Sequence[Mapping[str, Any]]) -> tuple[GateRound, ...]:
    """Return stored rounds; raises KeyError, TypeError or ValueError where they are of another shape."""
    return tuple(
        GateRound(
            number=int(document["number"]),
            first=Arm(document["first"]),
            base=_slot(document["base"]),
            head=_slot(document["head"]),
            redo=document["redo"],
        )
        for document in documents
    )


def stored_form(value: Any) -> Any:
    """Return dataclasses, enums, mappings and numbers as plain JSON: NaN as null, infinite ones as a word."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: stored_form(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): stored_form(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [stored_form(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else INFINITE if value > 0 else f"-{INFINITE}"
    return value


def _slot(document: Mapping[str, Any]) -> Slot:
    return Slot(
        figures={name: _figure(value) for name, value in document["figures"].items()},
        generator_limited=bool(document["generator_limited"]),
        warnings=tuple(document["warnings"]),
        failure=document["failure"],
        fault_of=document["fault_of"],
        details=document["details"],
    )


def _figure(value: float | str | None) -> float:
    if value is None:
        return math.nan
    return math.inf if value == INFINITE else float(value)
