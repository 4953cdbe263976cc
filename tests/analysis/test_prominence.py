"""Which conditions are shown first: all of few, the usual ones of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis import frames, prominence, views
from analysis.views import ConditionView
from tests.analysis.canned import Setting, make_run
from tests.analysis.canned_cell import CannedModel

MODEL = CannedModel("asyncio")


def read(folder: Path, conditions: Sequence[Mapping[str, Any]], **setting: Any) -> tuple[ConditionView, ...]:
    wanted = Setting(**{"rounds": 1, "loads": ("open:100",), "conditions": conditions} | setting)
    return views.conditions(frames.read(make_run(folder, [MODEL], wanted).folder))


def labels(found: Sequence[ConditionView]) -> list[str]:
    return [view.label for view in found]


def test_few_conditions_are_all_shown_in_their_order(tmp_path: Path) -> None:
    found = read(tmp_path / "run", [{"connections": count} for count in (4, 1, 9)])
    assert prominence.main(found) == found
    assert labels(prominence.ordered(found)) == labels(found)


def test_of_many_the_most_usual_one_of_each_transport_and_pinning_comes_first(tmp_path: Path) -> None:
    variants = [{"connections": 1}, {"connections": 1_000}, {"payload": "4096"}, {}]
    conditions = [
        {"transport": transport, "pin": pin} | variant
        for variant in variants
        for transport in ("tcp", "udp")
        for pin in ("0:1", "none")
    ]
    found = read(tmp_path / "run", conditions)
    first = prominence.main(found)
    assert [label.partition(", ")[0] for label in labels(first)] == ["TCP", "TCP", "UDP", "UDP"]
    assert all(", 64 B, 64 connections, " in label for label in labels(first))
    everything = prominence.ordered(found)
    assert everything[:4] == first
    assert sorted(labels(everything)) == sorted(labels(found))


def test_of_values_that_are_equally_frequent_the_middle_one_is_usual(tmp_path: Path) -> None:
    found = read(tmp_path / "run", [{"connections": count} for count in (1, 1_000, 200, 10, 10_000, 64, 2)])
    assert ["64 connections" in label for label in labels(prominence.main(found))] == [True]


def test_a_condition_without_a_window_is_not_chosen_where_there_is_another(tmp_path: Path) -> None:
    def failing(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
        return CannedModel("asyncio", failed_rounds=(1,)) if scenario["connections"] == 64 else model

    counts = (1, 2, 3, 64, 100, 200, 300)
    found = read(tmp_path / "run", [{"connections": count} for count in counts], adjust=failing)
    (first,) = prominence.main(found)
    assert "64 connections" not in first.label


def test_never_more_are_shown_first_than_fit_a_screen(tmp_path: Path) -> None:
    found = read(tmp_path / "run", [{"pin": f"{cpu}:9"} for cpu in range(8)])
    assert len(prominence.main(found)) == prominence.MOST_SHOWN
