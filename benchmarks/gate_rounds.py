"""Rounds as the gate measures them, but as many as are asked for: its own rules would stop after the first look."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.gate import Rules
from analysis.gate.rounds import usable
from harness.bench import Tools
from harness.catalogue import read_catalogue
from harness.cli_measure import open_bench
from harness.environment import ROOT
from harness.gate.arms import Folder, built
from harness.gate.console import describe
from harness.gate.lock import only_gate
from harness.gate.session import Session, Wanted
from harness.gate.slots import Point
from harness.pinning import allowed_cpus, resolve_pin
from harness.plan import find_plan, make_plan, read_plan_file
from harness.progress import LineDisplay, Unheard
from harness.schema.gate import Arm, GateRecord, GateRound, Step, stored_form


def measure_rounds(
    model: str,
    folders: Mapping[Arm, Path],
    rounds: int,
    *,
    open_window: bool = False,
    keep: Callable[[GateRecord], None] = lambda record: None,
) -> GateRecord:
    """Measure so many usable rounds of one model over TCP, each arm from its folder; `keep` is called after each."""

    def wants_more(measured: Sequence[GateRound]) -> Step:
        used = len(usable(measured))
        return Step(used < rounds, f"{used} of {rounds}")

    sources = {arm: Folder(folder) for arm, folder in folders.items()}
    with only_gate(), open_bench(Tools(), lambda event: None) as bench, built(sources, ROOT) as builds:
        wanted = Wanted((_point(model),), random.SystemRandom().randrange(2**31), rounds, rounds, open_window)
        settings = {"rules": stored_form(replace(Rules(), first_look=rounds, last_look=rounds))}
        with LineDisplay(Unheard(stderr=True), describe) as tell:
            return Session(wanted, builds, bench, wants_more, tell=tell, keep=keep, settings=settings).run()


def _point(model: str) -> Point:
    document = read_plan_file(find_plan("gate"))
    document["matrix"]["model"] = model
    catalogue = read_catalogue(Tools().servers, ROOT)
    ((name, scenario),) = make_plan(document, "gate", catalogue).scenarios.items()
    pinning = resolve_pin(scenario.pin, allowed_cpus())
    return Point(name, scenario, pinning, spin=not pinning.shared)
