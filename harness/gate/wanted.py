"""From the words of the command line to what is compared: the two arms, and the scenarios."""

from __future__ import annotations

import argparse
import os
import random
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.bench import Bench
from harness.catalogue import Catalogue, CatalogueError, Choice, read_catalogue
from harness.gate.arms import Build, Folder, Program, Revision, Source, WorkingTree
from harness.gate.errors import GateError
from harness.gate.session import Wanted
from harness.gate.slots import Point
from harness.interpreters import find_interpreter
from harness.limits import why_not
from harness.limits_here import read_limits
from harness.pinning import resolve_pin
from harness.plan import Narrowing, Plan, find_plan, make_plan, read_plan_file
from harness.plan_errors import PlanError
from harness.schema.gate import Arm

DEFAULT_PLAN = "gate"
FOREIGN = "server"


def read_sources(arguments: argparse.Namespace) -> dict[Arm, Source]:
    """Return where the arms come from; without a word about head it is the working tree. Raises GateError."""
    sources = {arm: _source(arguments, arm) for arm in Arm}
    base, head = sources[Arm.BASE], sources[Arm.HEAD] or WorkingTree()
    if base is None:
        raise GateError("name what head is compared with: --base REF, --base-dir DIR or --base-server COMMAND")
    if isinstance(base, Program) != isinstance(head, Program):
        raise GateError("--base-server and --head-server go together: give both commands, or none")
    if isinstance(base, Program) and arguments.models:
        raise GateError("--models chooses among our own servers; beside --base-server it means nothing")
    return {Arm.BASE: base, Arm.HEAD: head}


def _source(arguments: argparse.Namespace, arm: Arm) -> Source | None:
    ref, folder, server = (getattr(arguments, name) for name in (arm.value, f"{arm}_dir", f"{arm}_server"))
    if server is not None:
        try:
            command = tuple(shlex.split(server))
        except ValueError as error:
            raise GateError(f"--{arm}-server can't be read as a command: {error}") from error
        if not command:
            raise GateError(f"--{arm}-server names no command")
        return Program(command)
    if folder is not None:
        return Folder(folder)
    return None if ref is None else Revision(ref)


def read_wanted(
    arguments: argparse.Namespace, builds: Mapping[Arm, Build], bench: Bench, looks: tuple[int, int]
) -> Wanted:
    """Return what is compared, by head's own list of models; `looks` are the rounds to the first and the last look.

    Raises PlanError or GateError.
    """
    plan = _plan(arguments, builds, bench)
    points, not_compared = [], {}
    limits = read_limits()
    ours = builds[Arm.HEAD].command is None
    for name, scenario in plan.scenarios.items():
        try:
            pinning = resolve_pin(scenario.pin, bench.allowed_cpus)
        except ValueError as error:
            raise PlanError(f"plan {plan.name}: {error}") from error
        impossible = plan.impossible.get(name) or why_not(scenario, limits, len(pinning.server_cpus), ours=ours)
        if impossible is None:
            interpreter = plan.interpreters.get(scenario.python or "")
            # A spinning generator is not woken late; where it has CPUs of its own, that costs the server nothing.
            points.append(Point(name, scenario, pinning, spin=not pinning.shared, interpreter=interpreter))
        else:
            not_compared[name] = f"it can't be measured here: {impossible}"
    seed = random.SystemRandom().randrange(2**31) if arguments.seed is None else arguments.seed
    return Wanted(tuple(points), seed, *looks, open_window=arguments.gate_p99, not_compared=not_compared)


def _plan(arguments: argparse.Namespace, builds: Mapping[Arm, Build], bench: Bench) -> Plan:
    catalogue = _catalogue(builds, bench)
    document = read_plan_file(find_plan(arguments.plan or DEFAULT_PLAN))
    narrowing = Narrowing(arguments.models, arguments.transports)
    if arguments.plan is None:
        document["matrix"] |= _chosen(arguments)
        narrowing = Narrowing()
    command = builds[Arm.HEAD].command
    if command is not None:
        transports = [choice.name for choice in catalogue.transports if choice.available]
        document.setdefault("matrix", {})["model"] = [FOREIGN]
        document["servers"] = {FOREIGN: {"command": list(command), "transports": transports}}
    elif document.get("servers"):
        raise GateError("the plan names servers of its own, which would be the same in both arms: use --base-server")
    folder = builds[Arm.HEAD].folder or bench.tools.folder
    ask = partial(find_interpreter, servers_command=bench.tools.servers, folder=folder)
    return make_plan(document, arguments.plan or f"plan {DEFAULT_PLAN}", catalogue, narrowing, ask)


def _chosen(arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = {"model": arguments.models, "transport": arguments.transports}
    return {key: list(names) for key, names in chosen.items() if names}


def _catalogue(builds: Mapping[Arm, Build], bench: Bench) -> Catalogue:
    """Return what head's servers offer, and what base's can but head's can't: it takes a trial to show that.

    So a model that no longer imports is a head that fails, no scenario that is left out.
    """
    found, failures = {}, []
    for arm in Arm:
        try:
            found[arm] = read_catalogue(bench.tools.servers, builds[arm].folder or bench.tools.folder)
        except CatalogueError as error:
            failures.append(f"{arm}: {error}")
    if not found:
        raise GateError(f"neither arm's servers can say what they offer ({'; '.join(failures)})")
    base, head = (found.get(arm, next(iter(found.values()))) for arm in (Arm.BASE, Arm.HEAD))
    return Catalogue(_either(head.models, base.models), _either(head.transports, base.transports))


def _either(head: Sequence[Choice], base: Sequence[Choice]) -> tuple[Choice, ...]:
    """Return head's choices, base's in the place of those that are not available in head alone."""
    there = {choice.name: choice for choice in base if choice.available}
    return tuple(choice if choice.available else there.get(choice.name, choice) for choice in head)


def require_writable(*files: Path | None) -> None:
    """Refuse files that can't be written: it would show minutes later. Raises GateError."""
    for file in filter(None, files):
        if not file.absolute().parent.is_dir():
            raise GateError(f"{file} can't be written: there is no folder {file.parent}")
        if file.is_dir():
            raise GateError(f"{file} can't be written: it is a folder")
        if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
            raise GateError(f"{file} can't be written: permission denied")
