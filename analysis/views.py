"""A run cut into what can be compared: its conditions, their windows, and the models that should be in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import ranking
from analysis.frames import Run
from analysis.ranking import Metric, Ranking


@dataclass(frozen=True)
class WindowView:
    """One window of a condition: the measured rows of all models and rounds."""

    index: int
    load: str
    kind: str
    rows: pd.DataFrame
    percentiles: pd.DataFrame


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
        """The windows under open load."""
        return tuple(window for window in self.windows if window.kind == "open")

    @property
    def cpu_window(self) -> WindowView | None:
        """The window whose CPU time a request stands for the model: the first closed one, or else the first."""
        return (*self.closed, *self.open, None)[0]

    def rank(self, window: WindowView, metric: Metric) -> Ranking:
        """Return how all models of the condition rank in one of its windows."""
        return self.rankings[window.index, metric]


def conditions(run: Run) -> tuple[ConditionView, ...]:
    """Return the conditions of a run in the order in which they were first measured."""
    planned = planned_models(run.document)
    return tuple(
        _condition(run, str(condition), cells, planned)
        for condition, cells in run.cells.groupby("condition", sort=False)
    )


def planned_models(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the models that a run's plan names, as far as its document says so."""
    plan = document.get("plan")
    matrix = plan.get("matrix") if isinstance(plan, dict) else None
    models = matrix.get("model") if isinstance(matrix, dict) else None
    names = models if isinstance(models, list) else [models]
    return tuple(name for name in names if isinstance(name, str))


def _condition(run: Run, condition: str, cells: pd.DataFrame, planned: Sequence[str]) -> ConditionView:
    measured = run.windows[(run.windows["condition"] == condition) & (run.windows["outcome"] == "measured")]
    curves = run.percentiles[run.percentiles["condition"] == condition]
    there = set(cells["model"])
    order = [*(model for model in planned if model in there), *sorted(there - set(planned))]
    windows = tuple(
        WindowView(int(str(index)), rows["load"].iloc[0], rows["kind"].iloc[0], rows, curves[curves["window"] == index])
        for index, rows in measured.groupby("window")
    )
    rankings = {
        (window.index, metric): ranking.rank(window.rows, metric, order)
        for window in windows
        for metric in ranking.METRICS
    }
    closed = [window for window in windows if window.kind == "closed"]
    if closed:
        order = [standing.model for standing in rankings[closed[0].index, ranking.THROUGHPUT].standings]
    return ConditionView(str(cells["label"].iloc[0]), tuple(order), cells, windows, rankings)
