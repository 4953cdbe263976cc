"""Run folders with known answers, and the models that they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.schema import RUN_SCHEMA, Cell, LimitedBy
from tests.analysis.canned_cell import TIMEOUT_S, WINDOW_S, CannedModel, Draw, Times, make_cell

QUICK = (
    CannedModel("fork", 31_000, 0.08, 260_000, 25.0, 0.75, 1_640_000),
    CannedModel("thread", 44_000, 0.06, 190_000, 17.0, 0.72, 38_000),
    CannedModel("selectors", 52_000, 0.05, 140_000, 15.0, 0.66, 900),
    CannedModel("asyncio", 47_000, 0.05, 160_000, 17.0, 0.58, 2_600),
    CannedModel("hybrid", 63_000, 0.04, 170_000, 18.0, 0.6, 31_000, closed_verdict=LimitedBy.GENERATOR),
)

ENVIRONMENT: Mapping[str, Any] = {
    "started": "2026-01-02T03:04:05Z",
    "cpu": {"model": "Canned CPU @ 2.50GHz", "count": 2, "allowed": [0, 1], "cores": [[0], [1]], "governor": None},
    "memory_bytes": 8_000_000_000,
    "kernel": "Linux 6.1.0",
    "virtualisation": "QEMU",
    "python": "3.11.7",
    "packages": {"locust": "2.47.0", "numpy": "2.4.6"},
    "git": {"commit": "0123456789abcdef", "dirty": False},
}


@dataclass
class CannedRun:
    """A run folder, and the raw times behind its histograms by model and round, a window each."""

    folder: Path
    raw: dict[tuple[str, int], list[Times]] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What a run is made of beside its models; each condition overrides some keys of the scenario."""

    rounds: int = 3
    loads: Sequence[str] = ("closed", "open:2000")
    seed: int = 1
    conditions: Sequence[Mapping[str, Any]] = ({},)
    environment: Mapping[str, Any] = field(default_factory=lambda: dict(ENVIRONMENT))
    # What a model shows in a scenario: another model, or None where the plan leaves the scenario out.
    adjust: Callable[[CannedModel, Mapping[str, Any]], CannedModel | None] = lambda model, _: model


def make_run(folder: Path, models: Sequence[CannedModel] = QUICK, setting: Setting = Setting()) -> CannedRun:
    """Write a run of each model in each condition in each round."""
    run = CannedRun(folder)
    (folder / "cells").mkdir(parents=True)
    rng = np.random.default_rng(setting.seed)
    order: list[dict[str, Any]] = []
    for round_ in range(1, setting.rounds + 1):
        draw = Draw(round_, float(np.exp(rng.normal(0, 0.1))), rng)
        for override in setting.conditions:
            for model in models:
                scenario = _scenario(model.name, setting.loads) | dict(override)
                shown = setting.adjust(model, scenario)
                if shown is None:
                    continue
                cell, run.raw[model.name, round_] = make_cell(shown, scenario, draw)
                path = write_cell(folder, len(order), cell)
                order.append({"index": len(order), "round": round_, "file": f"cells/{path.name}"})
    _write_run(folder, models, setting, order)
    return run


def _write_run(
    folder: Path, models: Sequence[CannedModel], setting: Setting, order: Sequence[Mapping[str, Any]]
) -> None:
    matrix = {"model": [model.name for model in models], "transport": ["tcp"]}
    plan = {"name": "canned", "rounds": setting.rounds, "seed": setting.seed, "matrix": matrix}
    document = {
        "schema": RUN_SCHEMA,
        "name": "canned",
        "plan": plan,
        "environment": dict(setting.environment),
        "seed": setting.seed,
        "order": list(order),
        "left_out": [],
        "state": "done",
    }
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")


def write_cell(folder: Path, index: int, cell: Cell) -> Path:
    """Write a cell under a name such as the harness gives it."""
    scenario = cell["scenario"]
    name = "".join(letter for letter in scenario["model"] if letter.isalnum())
    path = folder / "cells" / f"{index:03d}-{name}-{scenario['transport']}-r{cell['round']}.json"
    path.write_text(json.dumps(cell), encoding="utf-8")
    return path


def _scenario(model: str, loads: Sequence[str]) -> dict[str, Any]:
    return {
        "model": model,
        "transport": "tcp",
        "connections": 64,
        "payload": "64",
        "loads": list(loads),
        "warmup_s": 0.5,
        "window_s": WINDOW_S,
        "timeout_s": TIMEOUT_S,
        "mode": "persistent",
        "pipeline": 1,
        "work": "echo",
        "pin": "0:1",
        "python": None,
        "workers": None,
        "options": [],
    }
