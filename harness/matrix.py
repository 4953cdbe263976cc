"""The matrix of a plan: the values of every key, and their product as named scenarios."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.plan_errors import PlanError, checked, refuse_unknown
from harness.scenario import KEYS, Key, Scenario

ALL = "all"


@dataclass(frozen=True)
class ForeignServer:
    """A server that is not ours: how it is started and what it speaks."""

    command: tuple[str, ...]
    transports: tuple[str, ...]


def key_values(defaults: Mapping[str, Any], matrix: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the checked values of every key; those of the matrix take the place of the defaults."""
    refuse_unknown(defaults, KEYS, "[defaults]")
    refuse_unknown(matrix, KEYS, "[matrix]")
    values: dict[str, list[Any]] = {}
    for name, key in KEYS.items():
        if name in matrix:
            values[name] = _matrix_values(name, key, matrix[name])
        elif name in defaults:
            values[name] = [checked(name, defaults[name], key.rule, "[defaults]")]
        elif key.required:
            raise PlanError(f'[matrix] lacks the key {name!r}: give a list of names, or "{ALL}"')
        else:
            values[name] = [key.default]
    return values


def _matrix_values(name: str, key: Key, given: object) -> list[Any]:
    entries = given if isinstance(given, list) else [given]
    if not entries:
        raise PlanError(f"{name} in [matrix] is an empty list; give at least one value")
    values = [checked(name, entry, key.rule, "[matrix]") for entry in entries]
    for value in values:
        if values.count(value) > 1:
            raise PlanError(f"{name} in [matrix] holds {value!r} twice")
    return values


def scenario_product(
    values: Mapping[str, list[Any]], servers: Mapping[str, ForeignServer]
) -> tuple[dict[str, Scenario], list[str]]:
    """Return the scenarios by name, and the combinations that no server can serve."""
    varying = [key for key in KEYS if len(values[key]) > 1 and key not in {"model", "transport"}]
    scenarios: dict[str, Scenario] = {}
    left_out = []
    for combination in itertools.product(*(values[key] for key in KEYS)):
        scenario = Scenario(**dict(zip(KEYS, combination, strict=True)))
        server = servers.get(scenario.model)
        if server is not None and (scenario.options or scenario.workers):
            raise PlanError(f"options and workers are flags of our servers; [servers.{scenario.model}] takes none")
        name = _free_name(_scenario_name(scenario, varying), scenarios)
        if (contradiction := scenario.contradiction) is not None:
            left_out.append(f"{name}: {contradiction}")
        elif server is not None and scenario.transport not in server.transports:
            left_out.append(f"{name}: [servers.{scenario.model}] does not speak {scenario.transport}")
        else:
            scenarios[name] = scenario
    if not scenarios:
        raise PlanError(f"nothing is left to measure ({'; '.join(left_out)})")
    return scenarios, left_out


def _scenario_name(scenario: Scenario, varying: Iterable[str]) -> str:
    """Name a scenario after its model, its transport, and whatever else varies in the plan."""
    parts = [scenario.model, scenario.transport]
    for key in varying:
        value = getattr(scenario, key)
        text = "+".join(value) if isinstance(value, tuple) else str(value)
        parts.append(f"{key}_" + re.sub(r"[^A-Za-z0-9.+]+", "_", text)[:30])
    return "-".join(parts)


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    candidates = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)
