"""The matrices of a plan: the values of every key in each, and their products as named scenarios.

Most plans have one. A plan of several asks several questions in one run, each with a matrix of its own: how the models
do over every transport, how one transport grows with connections, what work does to the ranking. What `[defaults]` says
holds in all of them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Matrix:
    """One product of a plan: what errors call its place, its table as read, and the values of every key.

    `named` are the keys that its stored form gives the values of, whatever the plan said.
    """

    place: str
    table: Mapping[str, Any]
    values: Mapping[str, list[Any]]
    named: frozenset[str]

    def holding(self, **values: list[Any]) -> Matrix:
        """Return it with other values of some keys."""
        return replace(self, values={**self.values, **values})

    def place_of(self, key: str) -> str:
        """Return where the values of a key are from."""
        return self.place if key in self.table else "[defaults]"

    @property
    def resolved(self) -> dict[str, Any]:
        """Its stored form: the table, with "all" replaced by names."""
        names = {key: [value or "default" for value in self.values[key]] for key in sorted(self.named)}
        return {**self.table, **names}


def read_matrices(given: object, defaults: Mapping[str, Any]) -> list[Matrix]:
    """Return the matrices of a plan, each with the checked values of every key; raises PlanError."""
    refuse_unknown(defaults, KEYS, "[defaults]")
    if isinstance(given, dict):
        return [_matrix("[matrix]", given, defaults)]
    if not (isinstance(given, list) and given and all(isinstance(table, dict) for table in given)):
        raise PlanError(f"matrix in the top level is {given!r}; it must be a table, written [matrix] or [[matrix]]")
    return [_matrix(f"[[matrix]] {number}", table, defaults) for number, table in enumerate(given, start=1)]


def _matrix(place: str, table: Mapping[str, Any], defaults: Mapping[str, Any]) -> Matrix:
    """Return a matrix whose values take the place of the defaults."""
    refuse_unknown(table, KEYS, place)
    values: dict[str, list[Any]] = {}
    for name, key in KEYS.items():
        if name in table:
            values[name] = _values(name, key, table[name], place)
        elif name in defaults:
            values[name] = [checked(name, defaults[name], key.rule, "[defaults]")]
        elif key.required:
            raise PlanError(f'{place} lacks the key {name!r}: give a list of names, or "{ALL}"')
        else:
            values[name] = [key.default]
    named = {"model", "transport"} | ({"python"} if values["python"] == [ALL] else set())
    return Matrix(place, table, values, frozenset(named))


def _values(name: str, key: Key, given: object, place: str) -> list[Any]:
    entries = given if isinstance(given, list) else [given]
    if not entries:
        raise PlanError(f"{name} in {place} is an empty list; give at least one value")
    values = [checked(name, entry, key.rule, place) for entry in entries]
    for value in values:
        if values.count(value) > 1:
            raise PlanError(f"{name} in {place} holds {value!r} twice")
    return values


def scenario_products(
    products: Sequence[Mapping[str, list[Any]]],
    servers: Mapping[str, ForeignServer],
    offers: Catalogue,
    most: Mapping[str, int],
) -> tuple[dict[str, Scenario], list[str]]:
    """Return the scenarios by name, and the combinations that are left out, each with its reason.

    `offers` says which options go with which model, `most` how many connections a model is asked for.
    """
    varying = [key for key in KEYS if key not in {"model", "transport"} and _varies(key, products)]
    combinations = itertools.chain.from_iterable(
        itertools.product(*(values[key] for key in KEYS)) for values in products
    )
    scenarios: dict[str, Scenario] = {}
    left_out = []
    for scenario in dict.fromkeys(Scenario(**dict(zip(KEYS, each, strict=True))) for each in combinations):
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


def _varies(key: str, products: Sequence[Mapping[str, list[Any]]]) -> bool:
    return len({str(value) for values in products for value in values[key]}) > 1


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
