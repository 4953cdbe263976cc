"""The stored form of a gate: what goes in comes out, and nothing else is read."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from harness.schema import SchemaError
from harness.schema.gate import (
    GATE_SCHEMA,
    Arm,
    GateRecord,
    GateRound,
    Metric,
    Slot,
    gate_document,
    read_gate_record,
)

SLOT = Slot({Metric.CPU: 20.5, Metric.P99: 3e6}, warnings=("steal",), details={"steal_s": 0.1})
DEAD = Slot({}, failure="the server died with signal 11", fault_of="server")
RECORD = GateRecord(
    settings={"rules": {"alpha": 0.01}},
    environment={"kernel": "6.1"},
    arms={Arm.BASE: {"name": "main", "code": "aa"}, Arm.HEAD: {"name": "working tree", "code": "bb"}},
    rounds={"asyncio-tcp": (GateRound(1, Arm.HEAD, SLOT, DEAD), GateRound(2, Arm.BASE, SLOT, SLOT, "steal of 12 %"))},
    started="2026-01-02T03:04:05Z",
    state="interrupted",
    not_compared={"hybrid-tcp": "base has no model hybrid"},
)


def stored(record: GateRecord = RECORD) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(gate_document(record), allow_nan=False))
    return document


def test_a_record_comes_back_as_it_was_stored() -> None:
    assert stored()["schema"] == GATE_SCHEMA
    assert read_gate_record(stored(), "gate.json") == RECORD


def test_figures_that_are_no_numbers_come_back_as_such() -> None:
    odd = Slot({Metric.CPU: math.nan, Metric.P99: math.inf})
    document = stored(GateRecord({}, {}, {}, {"a": (GateRound(1, Arm.BASE, odd, odd),)}, started=""))
    assert document["rounds"]["a"][0]["base"]["figures"] == {
        "cpu_us_per_request": None,
        "response_time_p99_ns": "infinite",
    }
    figures = read_gate_record(document, "gate.json").rounds["a"][0].base.figures
    assert math.isnan(figures[Metric.CPU])
    assert figures[Metric.P99] == math.inf


@pytest.mark.parametrize("key", ["settings", "arms", "rounds", "state", "not_compared"])
def test_a_record_that_lacks_something_is_refused_with_its_place(key: str) -> None:
    document = stored()
    del document[key]
    with pytest.raises(SchemaError, match=rf"gate\.json is damaged.*{key}"):
        read_gate_record(document, "gate.json")


def test_a_record_of_another_version_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"gate\.json is of schema 'echobench.gate/2'"):
        read_gate_record(stored() | {"schema": "echobench.gate/2"}, "gate.json")


def test_a_round_without_a_known_arm_is_refused() -> None:
    document = stored()
    document["rounds"]["asyncio-tcp"][0]["first"] = "tail"
    with pytest.raises(SchemaError, match=r"gate\.json is damaged"):
        read_gate_record(document, "gate.json")


@pytest.mark.parametrize(("failure", "fault_of"), [("it died", None), (None, "server")])
def test_a_failure_is_always_somebody_s(failure: str | None, fault_of: Any) -> None:
    with pytest.raises(ValueError, match="whose fault"):
        Slot({}, failure=failure, fault_of=fault_of)


def test_the_opposite_of_an_arm_is_the_other_one() -> None:
    assert (Arm.BASE.other, Arm.HEAD.other) == (Arm.HEAD, Arm.BASE)
