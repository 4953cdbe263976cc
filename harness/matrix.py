"""The matrix of a plan: the values of every key, and their product as named scenarios."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.catalogue import Catalogue
from harness.obstacles import meaningless
from harness.plan_errors import PlanError, checked, refuse_unknown
from harness.scenario import KEYS, Key, Scenario

ALL = "all"
OF_OUR_SERVERS = ("options", "workers", "work", "python")


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
    values: Mapping[str, list[Any]], servers: Mapping[str, ForeignServer], offers: Catalogue, most: Mapping[str, int]
) -> tuple[dict[str, Scenario], list[str]]:
    """Return the scenarios by name, and the combinations that are left out, each with its reason.

    `offers` says which options go with which model, `most` how many connections a model is asked for.
    """
    varying = [key for key in KEYS if len(values[key]) > 1 and key not in {"model", "transport"}]
    scenarios: dict[str, Scenario] = {}
    left_out = []
    for combination in itertools.product(*(values[key] for key in KEYS)):
        scenario = Scenario(**dict(zip(KEYS, combination, strict=True)))
        server = servers.get(scenario.model)
        _require_ours(scenario, server)
        name = _free_name(_scenario_name(scenario, varying), scenarios)
        reason = _why_left_out(scenario, server, offers, most)
        if reason is None:
            scenarios[name] = scenario
        else:
            left_out.append(f"{name}: {reason}")
    if not scenarios:
        raise PlanError(f"nothing is left to measure ({'; '.join(left_out)})")
    return scenarios, left_out


def _require_ours(scenario: Scenario, server: ForeignServer | None) -> None:
    given = [key for key in OF_OUR_SERVERS if getattr(scenario, key) != KEYS[key].default]
    if server is not None and given:
        raise PlanError(
            f"{', '.join(OF_OUR_SERVERS)} are for our servers; [servers.{scenario.model}] takes none, and the plan "
            f"gives it {' and '.join(given)}"
        )


def _why_left_out(
    scenario: Scenario, server: ForeignServer | None, offers: Catalogue, most: Mapping[str, int]
) -> str | None:
    if scenario.contradiction is not None:
        return scenario.contradiction
    if server is not None and scenario.transport not in server.transports:
        return f"[servers.{scenario.model}] does not speak {scenario.transport}"
    allowed = most.get(scenario.model)
    if allowed is not None and scenario.connections + scenario.idle > allowed:
        return f"[most_connections] asks {scenario.model} for {allowed:,} at most"
    return None if server is not None else meaningless(scenario, offers)


def _scenario_name(scenario: Scenario, varying: Iterable[str]) -> str:
    """Name a scenario after its model, its transport, and whatever else varies in the plan."""
    parts = [scenario.model, scenario.transport]
    for key in varying:
        text = _text(getattr(scenario, key))
        parts.append(f"{key}_" + re.sub(r"[^A-Za-z0-9.+]+", "_", text)[:30])
    return "-".join(parts)


def _text(value: object) -> str:
    """Return a value as it stands in a name; of a path, the end, where paths differ."""
    if value is None or value == ():
        return "default"
    if isinstance(value, tuple):
        return "+".join(word.removeprefix("--") for word in value)
    text = str(value)
    return text[-30:] if "/" in text else text


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    candidates = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)
