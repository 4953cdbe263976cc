"""Plans: what to measure, read from TOML and checked before anything is started.

    name = "quick"          rounds = 3          seed = 1
    [defaults]              one value a key
    [matrix]                one value or a list of values a key; the scenarios are the product. Written [[matrix]],
                            there may be several, one after the other; a scenario of two of them is measured once
    [most_connections]      MODEL = N: what a model is asked for at most; scenarios with more are left out
    [servers.NAME]          command = [...], transports = [...]: a server that is not ours, used as model = "NAME"

A mistake in a plan would otherwise show after minutes, or never, so every key and value is checked at once, and an
error names the key, its place, what is allowed, and what was probably meant.

`model = "all"`, `transport = "all"` and `python = "all"` stand for what this machine offers; they are replaced by names
at reading, so that a stored plan says what was measured. A named model that is unavailable is an error with its reason.
Combinations that mean nothing, or that a foreign server does not speak, are left out of the product, and listed in
`left_out`. What means something and can't be had here is in `impossible`, and is never started: a cell that is named as
not measured.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.catalogue import Catalogue, Choice
from harness.interpreters import Interpreter, InterpreterError, all_here
from harness.matrix import ALL, ForeignServer, Matrix, read_matrices, scenario_products
from harness.obstacles import missing_here
from harness.plan_errors import PlanError, checked, meant, refuse_unknown, require_available
from harness.scenario import MAX_CONNECTIONS, Scenario, whole_number

PLANS_FOLDER = Path(__file__).resolve().parent / "plans"
MAX_ROUNDS = 1_000
TOP_KEYS = ("name", "rounds", "seed", "defaults", "matrix", "most_connections", "servers")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


@dataclass(frozen=True)
class Plan:
    """A checked plan. `document` is its stored form: as read, with "all" and narrowing resolved.

    `interpreters` holds those that it names, by that name; `impossible` a sentence for each scenario that the servers
    can't serve here.
    """

    name: str
    rounds: int
    seed: int
    scenarios: Mapping[str, Scenario]
    servers: Mapping[str, ForeignServer]
    left_out: tuple[str, ...]
    document: dict[str, Any]
    interpreters: Mapping[str, Interpreter] = field(default_factory=dict)
    impossible: Mapping[str, str] = field(default_factory=dict)

    def order(self) -> list[tuple[str, int]]:
        """Return (scenario, round) in the order of measuring: every round has its own seeded shuffle."""
        order = []
        for number in range(1, self.rounds + 1):
            names = list(self.scenarios)
            random.Random(f"{self.seed}/{number}").shuffle(names)
            order += [(name, number) for name in names]
        return order


@dataclass(frozen=True)
class Narrowing:
    """What the command line takes out of a plan; None leaves it as it is."""

    models: tuple[str, ...] | None = None
    transports: tuple[str, ...] | None = None
    rounds: int | None = None


Ask = Callable[[str], Interpreter]


def _no_other(named: str) -> Interpreter:
    raise InterpreterError("only the interpreter that runs echobench is known here")


def plan_names() -> list[str]:
    """Return the names of the plans that come with the harness."""
    return sorted(path.stem for path in PLANS_FOLDER.glob("*.toml"))


def find_plan(name_or_path: str) -> Path:
    """Return the file of a plan, given by the name of one of ours or by its path; raises PlanError."""
    path = Path(name_or_path)
    if name_or_path in plan_names():
        return PLANS_FOLDER / f"{name_or_path}.toml"
    if path.is_file():
        return path
    raise PlanError(
        f"there is no plan {name_or_path!r}{meant(name_or_path, plan_names())}: "
        f"give the path of a file, or one of {', '.join(plan_names())}"
    )


def read_plan_file(path: Path) -> dict[str, Any]:
    """Return a plan's document unchecked; raises PlanError where it can't be read or is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is no TOML: {error}") from error


def make_plan(
    document: object, source: str, catalogue: Catalogue, narrowing: Narrowing = Narrowing(), ask: Ask = _no_other
) -> Plan:
    """Check a plan's document, narrow it, and make its scenarios.

    `source` is what errors call the plan; `ask` finds the interpreters that it names, each once. Raises PlanError.
    """
    try:
        return _make_plan(document, catalogue, narrowing, ask)
    except PlanError as error:
        raise PlanError(f"{source}: {error}") from None


def _make_plan(document: object, catalogue: Catalogue, narrowing: Narrowing, ask: Ask) -> Plan:
    if not isinstance(document, dict):
        raise PlanError(f"a plan is a table of keys, not {document!r}")
    refuse_unknown(document, TOP_KEYS, "the top level")
    name = checked("name", document.get("name"), _plan_name, "the top level")
    rounds = checked("rounds", document.get("rounds", 1), whole_number(1, MAX_ROUNDS), "the top level")
    seed = checked("seed", document.get("seed", 1), whole_number(0, 2**63 - 1), "the top level")
    servers = _foreign_servers(_table(document, "servers", "the top level"), catalogue)
    if narrowing.rounds is not None:
        rounds = checked("--rounds", narrowing.rounds, whole_number(1, MAX_ROUNDS), "the command line")
    defaults = _table(document, "defaults", "the top level")
    given = [_named(matrix, catalogue) for matrix in read_matrices(document.get("matrix", {}), defaults)]
    narrowed = _narrowed(_narrowed(given, "model", narrowing.models), "transport", narrowing.transports)
    matrices: list[Matrix] = []
    interpreters: dict[str, Interpreter] = {}
    for matrix in narrowed:
        _require_available(matrix, catalogue, servers)
        found = _interpreters(matrix, ask)
        interpreters |= found
        matrices.append(matrix.holding(python=[None, *found]) if matrix.values["python"] == [ALL] else matrix)
    most = _most_connections(_table(document, "most_connections", "the top level"), catalogue, servers)
    scenarios, left_out = scenario_products([matrix.values for matrix in matrices], servers, catalogue, most)
    impossible = _impossible(scenarios, servers, catalogue, interpreters)
    resolved = _resolved(document, rounds, matrices)
    return Plan(name, rounds, seed, scenarios, servers, tuple(left_out), resolved, interpreters, impossible)


def _interpreters(matrix: Matrix, ask: Ask) -> dict[str, Interpreter]:
    given, place = matrix.values["python"], matrix.place_of("python")
    if given == [ALL]:
        return all_here(ask)
    if ALL in given:
        raise PlanError(f'python in {place} holds "{ALL}" beside others; "{ALL}" stands alone')
    found = {}
    for named in given:
        try:
            if named is not None:
                found[named] = ask(named)
        except InterpreterError as error:
            raise PlanError(f"python in {place} names {named!r}, which can't be used: {error}") from error
    return found


def _most_connections(
    table: Mapping[str, Any], catalogue: Catalogue, servers: Mapping[str, ForeignServer]
) -> dict[str, int]:
    refuse_unknown(table, [*(choice.name for choice in catalogue.models), *servers], "[most_connections]")
    rule = whole_number(1, MAX_CONNECTIONS)
    return {model: checked(model, most, rule, "[most_connections]") for model, most in table.items()}


def _impossible(
    scenarios: Mapping[str, Scenario],
    servers: Mapping[str, ForeignServer],
    catalogue: Catalogue,
    interpreters: Mapping[str, Interpreter],
) -> dict[str, str]:
    offers: dict[str | None, Catalogue] = {None: catalogue}
    offers |= {named: interpreter.offers for named, interpreter in interpreters.items()}
    ours = {name: scenario for name, scenario in scenarios.items() if scenario.model not in servers}
    reasons = {name: missing_here(scenario, offers) for name, scenario in ours.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _plan_name(value: object) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError("a name of letters, digits, '.', '_' and '-' (it becomes part of a folder's name)")


def _table(document: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise PlanError(f"{name} in {place} is {table!r}; it must be a table, written [{name}]")
    return table


def _foreign_servers(tables: Mapping[str, Any], catalogue: Catalogue) -> dict[str, ForeignServer]:
    servers = {}
    for name, table in tables.items():
        place = f"[servers.{name}]"
        if not isinstance(table, dict):
            raise PlanError(f"{name} in [servers] is {table!r}; it must be a table, written {place}")
        if not NAME.fullmatch(name) or name == ALL or name in (choice.name for choice in catalogue.models):
            raise PlanError(f"{place} can't have this name: it is taken, or no plain word")
        refuse_unknown(table, ("command", "transports"), place)
        command = checked("command", table.get("command"), _texts, place)
        transports = checked("transports", table.get("transports", ["tcp"]), _texts, place)
        for transport in transports:
            require_available(transport, catalogue.transports, "transport", place)
        servers[name] = ForeignServer(command, transports)
    return servers


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(text, str) and text for text in value):
        return tuple(value)
    raise ValueError("a list of texts, not empty")


def _named(matrix: Matrix, catalogue: Catalogue) -> Matrix:
    """Return a matrix with the names of what is available in the place of "all"."""
    named = {}
    for key, choices in (("model", catalogue.models), ("transport", catalogue.transports)):
        if matrix.values[key] == [ALL]:
            named[key] = [choice.name for choice in choices if choice.available]
    return matrix.holding(**named)


def _require_available(matrix: Matrix, catalogue: Catalogue, servers: Mapping[str, ForeignServer]) -> None:
    foreign = [Choice(name, "", available=True, reason=None) for name in servers]
    for model in matrix.values["model"]:
        require_available(model, [*catalogue.models, *foreign], "model", matrix.place)
    for transport in matrix.values["transport"]:
        require_available(transport, catalogue.transports, "transport", matrix.place)


def _narrowed(matrices: Sequence[Matrix], key: str, only: tuple[str, ...] | None) -> list[Matrix]:
    """Return the matrices with what the command line leaves of them; one of which nothing is left goes as a whole."""
    if only is None:
        return list(matrices)
    names = list(dict.fromkeys(name for matrix in matrices for name in matrix.values[key]))
    for name in only:
        if name not in names:
            raise PlanError(
                f"--{key}s names {name!r}{meant(name, names)}, which is not in the plan; it has {', '.join(names)}"
            )
    left = [matrix.holding(**{key: [name for name in matrix.values[key] if name in only]}) for matrix in matrices]
    return [matrix for matrix in left if matrix.values[key]]


def _resolved(document: Mapping[str, Any], rounds: int, matrices: Sequence[Matrix]) -> dict[str, Any]:
    """Return the document with "all" replaced by names and with what the command line left of it."""
    tables = [matrix.resolved for matrix in matrices]
    several = isinstance(document.get("matrix"), list)
    resolved = {**document, "rounds": rounds, "matrix": tables if several else tables[0]}
    if "defaults" in document:
        named = frozenset.intersection(*(matrix.named for matrix in matrices))
        resolved["defaults"] = {key: value for key, value in document["defaults"].items() if key not in named}
    return resolved
