"""Ratios across conditions, bounds among them, and the most that a work allows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis import contrasts, frames, views
from analysis.contrasts import Reading
from tests.analysis.canned import Setting, make_run
from tests.analysis.canned_cell import CannedModel


def test_a_change_is_the_ratio_of_common_rounds_and_a_bound_where_one_of_them_is() -> None:
    one = Reading({1: 10.0, 2: 20.0, 3: 30.0, 4: 7.0})
    double = Reading({1: 20.0, 2: 40.0, 3: 60.0, 5: 1.0})
    exact = contrasts.change(one, double)
    assert exact is not None
    assert (exact.ratio.value, exact.ratio.samples, exact.sign) == (pytest.approx(2.0), 3, "")
    assert exact.clear
    at_least = contrasts.change(one, replace(double, sign=">= "))
    assert at_least is not None
    assert (at_least.sign, at_least.clear) == (">= ", True)
    at_most = contrasts.change(replace(one, sign=">= "), double)
    assert at_most is not None
    assert (at_most.sign, at_most.clear) == ("<= ", False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Reading({1: 1.0, 2: 1.0}), Reading({1: 1.0, 2: 1.0})),
        (Reading({}), Reading({1: 1.0, 2: 1.0, 3: 1.0})),
        (Reading({1: 1.0, 2: 1.0, 3: 0.0}), Reading({1: 1.0, 2: 1.0, 3: 1.0})),
        (Reading({1: 1.0, 2: 1.0, 3: 1.0}), Reading({1: 1.0, 2: 1.0, 3: float("inf")})),
        (Reading({1: 1.0, 2: 1.0, 3: 1.0}, ">= "), Reading({1: 9.0, 2: 9.0, 3: 9.0}, ">= ")),
    ],
)
def test_two_bounds_too_few_rounds_and_what_has_no_ratio_tell_no_change(one: Reading, other: Reading) -> None:
    assert contrasts.change(one, other) is None


@pytest.mark.parametrize(
    ("override", "per_s", "why"),
    [
        ({"work": "wait:5ms", "connections": 200}, 40_000, "200 connections / 5 ms"),
        ({"work": "wait:5ms", "connections": 1, "transport": "udp"}, 200, "1 connection / 5 ms"),
        ({"work": "cpu:100us", "pin": "none"}, 20_000, "2 CPUs / 100 µs"),
        ({"work": "cpu:100us"}, 10_000, "1 CPU / 100 µs"),
        ({"work": "cpu:100us+wait:5ms", "connections": 50}, 50 / 0.0051, "50 connections / 5.1 ms"),
        ({"work": "cpu:100us+wait:5ms", "connections": 200}, 10_000, "1 CPU / 100 µs"),
        ({"work": "echo"}, None, None),
        ({"work": "of another version"}, None, None),
        ({"work": "wait:5ms", "transport": "udp", "pipeline": 8}, None, None),
    ],
)
def test_the_most_that_is_possible_follows_from_the_work(
    tmp_path: Path, override: dict[str, Any], per_s: float | None, why: str | None
) -> None:
    conditions = [override, override | {"payload": "128"}]
    setting = Setting(rounds=1, loads=("closed",), conditions=conditions)
    run = frames.read(make_run(tmp_path / "run", [CannedModel("asyncio")], setting).folder)
    (series,) = contrasts.find(views.conditions(run), "payload")
    ideal = contrasts.ideal(series.points[0])
    assert (None if ideal is None else ideal.why) == why
    assert (None if ideal is None else ideal.per_s) == (None if per_s is None else pytest.approx(per_s))
