"""A run cut into what can be compared: its conditions, their windows, and the models that should be in each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import ranking, wording
from analysis.conditions import TRANSPORT_NAMES
from analysis.frames import Run
from analysis.ranking import Metric, Ranking


@dataclass(frozen=True)
class WindowView:
    """One window of a condition: the measured rows of all models and rounds.

    `load` is that of the first row. In a step of a sweep the others have rates of their own, so it goes by its step.
    """

    index: int
    load: str
    kind: str
    rows: pd.DataFrame
    percentiles: pd.DataFrame
    step: int = 0
    of: int = 0

    @property
    def words(self) -> str:
        """The load in words: `open load, 2,000 requests/s`, or which step of a sweep it is."""
        return wording.sweep(self.step, self.of) if self.step else wording.load(self.load)


@dataclass(frozen=True)
class ConditionView:
    """One condition: its models (best throughput first where that was measured), cells and windows."""

    label: str
    models: tuple[str, ...]
    cells: pd.DataFrame
    windows: tuple[WindowView, ...]
    rankings: Mapping[tuple[int, Metric], Ranking]

    @property
    def measured(self) -> pd.DataFrame:
        """The cells that did not fail."""
        return self.cells[self.cells["outcome"] == "measured"]

    @property
    def closed(self) -> tuple[WindowView, ...]:
        """The windows under closed load."""
        return tuple(window for window in self.windows if window.kind == "closed")

    @property
    def open(self) -> tuple[WindowView, ...]:
        """The windows under open load, all models at the same rate."""
        return tuple(window for window in self.alone if window.kind == "open")

    @property
    def alone(self) -> tuple[WindowView, ...]:
        """The windows that are no steps of a sweep: in each of them the models can be ranked."""
        return tuple(window for window in self.windows if not window.step)

    @property
    def sweeps(self) -> tuple[tuple[WindowView, ...], ...]:
        """The sweeps, each as its steps: open load at the same parts of each model's own capacity."""
        found: list[list[WindowView]] = []
        for window in self.windows:
            if window.step == 1 or (window.step and not found):
                found.append([])
            if window.step:
                found[-1].append(window)
        return tuple(map(tuple, found))

    @property
    def cpu_window(self) -> WindowView | None:
        """The window whose CPU time a request stands for the model: the first closed one, or else the first."""
        return (*self.closed, *self.open, None)[0]

    def rank(self, window: WindowView, metric: Metric) -> Ranking:
        """Return how all models of the condition rank in one of its windows; those of sweeps have no ranking."""
        return self.rankings[window.index, metric]


def conditions(run: Run) -> tuple[ConditionView, ...]:
    """Return the conditions of a run by transport, and those of one in the order in which they were first measured."""
    planned = planned_models(run.document)
    order = list(TRANSPORT_NAMES)
    by_transport = sorted(
        run.cells.groupby("condition", sort=False),
        key=lambda found: order.index(name) if (name := found[1]["transport"].iloc[0]) in order else len(order),
    )
    return tuple(_condition(run, str(condition), cells, planned) for condition, cells in by_transport)


def planned_models(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the models that a run's plan names, as far as its document says so."""
    plan = document.get("plan")
    given = plan.get("matrix") if isinstance(plan, dict) else None
    matrices = given if isinstance(given, list) else [given]
    models = [matrix.get("model") for matrix in matrices if isinstance(matrix, dict)]
    names = [name for each in models for name in (each if isinstance(each, list) else [each])]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def _condition(run: Run, condition: str, cells: pd.DataFrame, planned: Sequence[str]) -> ConditionView:
    measured = run.windows[(run.windows["condition"] == condition) & (run.windows["outcome"] == "measured")]
    curves = run.percentiles[run.percentiles["condition"] == condition]
    order = _order(cells, planned)
    windows = tuple(
        _window(int(str(index)), rows, curves[curves["window"] == index]) for index, rows in measured.groupby("window")
    )
    rankings = {
        (window.index, metric): ranking.rank(window.rows, metric, order)
        for window in windows
        if not window.step
        for metric in ranking.METRICS
    }
    closed = [window for window in windows if window.kind == "closed"]
    if closed:
        order = [standing.model for standing in rankings[closed[0].index, ranking.THROUGHPUT].standings]
    return ConditionView(str(cells["label"].iloc[0]), tuple(order), cells, windows, rankings)


def _order(cells: pd.DataFrame, planned: Sequence[str]) -> list[str]:
    """Return what is compared as the plan names the models, those with options after those without."""
    bases = dict(zip(cells["model"], cells["base_model"], strict=True))
    places = {base: place for place, base in enumerate(planned)}
    return sorted(bases, key=lambda model: (places.get(bases[model], len(places)), model))


def _window(index: int, rows: pd.DataFrame, curves: pd.DataFrame) -> WindowView:
    first = rows.iloc[0]
    step, of = (0 if math.isnan(first[name]) else int(first[name]) for name in ("sweep_step", "sweep_of"))
    return WindowView(index, first["load"], first["kind"], rows, curves, step, of)
