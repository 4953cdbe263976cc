"""Conditions that differ in a single dimension, put in a row: what a chapter across conditions is made of.

A *series* holds the conditions of a run that are equal in everything but one key of the scenario: its *points*, in the
order of that key. Where two keys vary, each has its own series, one for every value of the other. Nothing is ranked
across points: places come from inside a point. What is compared across them is a contender with itself, by the ratio
of its figures of the same round, with the interval of paired rounds.

A figure that the load generator limited is a bound there as well, and a ratio of bounds is a bound or nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from analysis import conditions, ranking, stats, wording
from analysis.ranking import ROUNDS_TO_RANK, Standing
from analysis.stats import Estimate
from analysis.views import ConditionView, WindowView
from harness.schema import LimitedBy, parse_work

Scenario = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Point:
    """A condition of a series: its value of the dimension in words, and its place on an axis (NaN for a category)."""

    words: str
    value: float
    scenario: Scenario
    view: ConditionView

    @property
    def closed(self) -> WindowView | None:
        """The window that capacity is measured in."""
        return (*self.view.closed, None)[0]

    @property
    def held(self) -> int:
        """The connections that are up, active or not."""
        return int(self.scenario.get("connections", 0)) + int(self.scenario.get("idle") or 0)

    @property
    def server_cpus(self) -> str:
        """The CPUs of the server, as tables name them."""
        return str(self.view.cells["server_cpus"].iloc[0])

    def standing(self, model: str) -> Standing | None:
        """Return how a contender stands in throughput; None where it was not asked for, or nothing was measured."""
        if self.closed is None or model not in self.view.models:
            return None
        return self.view.rank(self.closed, ranking.THROUGHPUT).of(model)


@dataclass(frozen=True, eq=False)
class Series:
    """Conditions that differ in `key` alone; `label` is what they have in common, `models` whoever is in any."""

    key: str
    label: str
    points: tuple[Point, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """A column to look at, of one kind of window or of the cells, and the unit (so many of the column's) to show."""

    column: str
    title: str
    unit: str
    source: Literal["closed", "open", "cpu", "cells"] = "closed"
    scale: float = 1.0
    sign: str = ""  # what a figure is where the load generator was the limit

    @property
    def head(self) -> str:
        """The title with its unit, for a table."""
        return f"{self.title}, {self.unit}"


THROUGHPUT = Measure("throughput_per_s", "Throughput", "replies/s", sign=">= ")
BYTES = Measure("bytes_per_s", "Data rate", "MB/s", scale=1e6, sign=">= ")
P99 = Measure("response_time_p99_ns", "Response time p99", "ms", "open", scale=1e6, sign="<= ")
CPU = Measure("cpu_us_per_request", "CPU time per request", "µs", "cpu")
PSS = Measure("connected_pss_bytes", "Memory (PSS)", "MB", "cells", scale=1e6)
EACH = Measure("bytes_per_connection", "Memory per connection", "kB", "cells", scale=1e3)


@dataclass(frozen=True)
class Reading:
    """A contender's figures of one measure at one point, by round; `sign` is not empty where they are bounds."""

    values: Mapping[int, float]
    sign: str = ""

    @property
    def estimate(self) -> Estimate | None:
        """The median over rounds."""
        return stats.median(list(self.values.values())) if self.values else None


@dataclass(frozen=True)
class Change:
    """How many times another figure one is: paired rounds; `sign` is not empty where the ratio is a bound."""

    ratio: Estimate
    sign: str

    @property
    def clear(self) -> bool:
        """Whether it is more, or less, for certain."""
        above, below = self.ratio.interval.low > 1, self.ratio.interval.high < 1
        return {"": above or below, ">= ": above, "<= ": below}[self.sign]


def find(views: Sequence[ConditionView], key: str) -> tuple[Series, ...]:
    """Return the series of a key of the scenario, each of two or more points; none where it does not vary."""
    scenarios = [json.loads(str(view.cells["condition"].iloc[0])) for view in views]
    differing = conditions.varying(scenarios)
    if key not in differing:
        return ()
    groups: dict[str, list[tuple[Scenario, ConditionView]]] = {}
    for scenario, view in zip(scenarios, views, strict=True):
        if key in scenario and not (key == "payload" and not str(scenario[key]).isdecimal()):
            rest = json.dumps({name: value for name, value in scenario.items() if name != key}, sort_keys=True)
            groups.setdefault(rest, []).append((scenario, view))
    found = [_series(key, group) for group in groups.values() if len(group) > 1]
    firsts = [series.points[0] for series in found]
    labels = conditions.distinct(
        [point.scenario for point in firsts], [point.server_cpus for point in firsts], without=(key,)
    )
    return tuple(replace(series, label=label) for series, label in zip(found, labels, strict=True))


def _series(key: str, group: Sequence[tuple[Scenario, ConditionView]]) -> Series:
    """Return a series that has no label yet."""
    describe = _DESCRIBED[key]
    found = [(*describe(scenario, view), scenario, view) for scenario, view in group]
    found.sort(key=lambda each: each[0])
    names = [words for _, words, *_ in found]
    points = tuple(
        Point(words if names.count(words) == 1 else f"{words} ({scenario[key] or 'default'})", value, scenario, view)
        for _, words, value, scenario, view in found
    )
    # One order for all points, whatever their rankings are.
    models = sorted({model for point in points for model in point.view.models})
    return Series(key, "", points, tuple(models))


# The order of a value, its words, and its place on an axis.
Described = tuple[Any, str, float]


def _work(scenario: Scenario, _view: ConditionView) -> Described:
    text = str(scenario["work"])
    try:
        times = parse_work(text)
    except ValueError:
        return (math.inf, math.inf), text, math.nan
    return (times.wait_ns, times.cpu_ns), text, math.nan


def _held(scenario: Scenario, _view: ConditionView) -> Described:
    held = int(scenario.get("connections", 0)) + int(scenario.get("idle") or 0)
    return held, wording.plural(held, "connection"), float(held)


def _payload(scenario: Scenario, _view: ConditionView) -> Described:
    size = int(scenario["payload"])
    return size, conditions.payload(scenario), float(size)


def _pin(scenario: Scenario, view: ConditionView) -> Described:
    cpus = str(view.cells["server_cpus"].iloc[0])
    free = cpus.startswith("unpinned")
    words = cpus if free else f"CPU{'s' if ',' in cpus else ''} {cpus}"
    return (free, len(re.findall(r"\d+", cpus)), str(scenario["pin"])), words, math.nan


def _python(scenario: Scenario, view: ConditionView) -> Described:
    named = str(scenario["python"] or "default")
    told = [(str(cell["server_python"]), str(cell["server_gil"])) for _, cell in view.measured.iterrows()]
    version, gil = next((each for each in told if each[0]), ("", ""))
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    words = version.removeprefix("CPython ") or named
    return (
        (not version, "PyPy" in version, numbers, gil == "off"),
        words + (" no GIL" if gil == "off" else ""),
        math.nan,
    )


_DESCRIBED: Mapping[str, Callable[[Scenario, ConditionView], Described]] = {
    "work": _work,
    "connections": _held,
    "idle": _held,
    "payload": _payload,
    "pin": _pin,
    "python": _python,
}
KEYS = tuple(_DESCRIBED)


def window(point: Point, measure: Measure) -> WindowView | None:
    """Return the window of a point that a measure is taken from, None where there is none."""
    found = {"closed": point.closed, "open": (*point.view.open, None)[0], "cpu": point.view.cpu_window, "cells": None}
    return found[measure.source]


def read(point: Point, measure: Measure, model: str) -> Reading:
    """Return a contender's figures at a point in the measure's unit; without values where there are none."""
    taken = window(point, measure)
    if measure.source != "cells" and taken is None:
        return Reading({})
    rows: pd.DataFrame = point.view.measured if taken is None else taken.rows
    values = {number: value / measure.scale for number, value in ranking.by_round(rows, model, measure.column).items()}
    verdicts = rows.loc[rows["model"].to_numpy() == model, "limited_by"] if measure.sign else ()
    bound = any(verdict == LimitedBy.GENERATOR for verdict in verdicts)
    return Reading(values, measure.sign if bound else "")


def change(one: Reading, other: Reading) -> Change | None:
    """Return how many times `other` is what `one` is; None where too few rounds, or nothing but bounds, tell it."""
    common = sorted(one.values.keys() & other.values.keys())
    pairs = [(other.values[number], one.values[number]) for number in common]
    usable = all(math.isfinite(value) and value > 0 for pair in pairs for value in pair)
    if len(pairs) < ROUNDS_TO_RANK or not usable or (one.sign and other.sign):
        return None
    flipped = {"": "", ">= ": "<= ", "<= ": ">= "}[one.sign]
    return Change(stats.ratio([high for high, _ in pairs], [low for _, low in pairs]), other.sign or flipped)


@dataclass(frozen=True)
class Ideal:
    """The most replies a second that the work of a request allows, whoever serves it, and why."""

    per_s: float
    why: str


def ideal(point: Point) -> Ideal | None:
    """Return the most that a point allows: its connections wait, and its CPUs have so much time. None if not known."""
    try:
        times = parse_work(str(point.scenario.get("work", "echo")))
    except ValueError:
        return None
    found = []
    # Requests of one connection are served one after the other; datagrams of one peer need not be.
    if times.wait_ns and (point.scenario.get("transport") != "udp" or point.scenario.get("pipeline", 1) == 1):
        active = int(point.scenario["connections"])
        each = f"{times.total_s * 1e3:g} ms"
        found.append(Ideal(active / times.total_s, f"{active:,} connection{'s' * (active > 1)} / {each}"))
    cpus = len(re.findall(r"\d+", point.server_cpus))
    if times.cpu_ns and cpus:
        each = f"{times.cpu_ns / 1e3:g} µs"
        found.append(Ideal(cpus / times.cpu_ns * 1e9, f"{cpus} CPU{'s' * (cpus > 1)} / {each}"))
    return min(found, key=lambda one: one.per_s, default=None)
