"""The gate's trials as a picture: what was put in, and what each gate estimated, by model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import drawing, style
from harness.schema.gate import Metric

KINDS = ("same", "cost", "swapped")
COLORS: Mapping[str, str] = {
    "REGRESSION": "#d55e00",
    "IMPROVEMENT": "#009e73",
    "PASS": "#0072b2",
    "INCONCLUSIVE": "#7f7f7f",
    "INVALID": "#7f7f7f",
}
MARKERS: Mapping[str, str] = {"REGRESSION": "s", "IMPROVEMENT": "^", "PASS": "o", "INCONCLUSIVE": "x", "INVALID": "x"}
SPREAD = 0.7  # of a row, for its trials below each other

Estimate = tuple[dict[str, Any], float]  # a row of a trial, and what was put in (head's cost over base's)


def draw(trials: Sequence[dict[str, Any]]) -> Figure:
    """Return the estimates of CPU time per request of all trials, a row for each kind and model."""
    found = _estimates(trials)
    with style.applied():
        figure, axes = drawing.rows(list(found), "What the gate found of what was put in", "CPU time per request")
        for place, estimates in enumerate(found.values()):
            _row(axes, place, estimates)
        axes.axvline(0, color=style.INK, linewidth=0.9)
        axes.set_xlabel("head more expensive than base by, %")
        shown = sorted({row["verdict"] for estimates in found.values() for row, _ in estimates}, key=list(COLORS).index)
        axes.legend(
            handles=[_key(verdict) for verdict in shown], loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3
        )
        drawing.foot(
            figure, "A mark: the estimate of one gate; its line: the 95 % interval; grey strokes: what was put in."
        )
    return figure


def _estimates(trials: Sequence[dict[str, Any]]) -> dict[str, list[Estimate]]:
    """Return the estimates by the name of their row, kinds and models in order."""
    found: dict[tuple[int, str], list[Estimate]] = defaultdict(list)
    for trial in trials:
        for row in trial["rows"]:
            if row["metric"] == Metric.CPU and row["ratio"]:
                model = row["scenario"].partition("-")[0]
                found[KINDS.index(trial["kind"]), model].append((row, trial["expected"]))
    return {f"{KINDS[kind]}\n{model}": found[kind, model] for kind, model in sorted(found)}


def _row(axes: Axes, place: int, estimates: Sequence[Estimate]) -> None:
    offsets = np.linspace(-SPREAD / 2, SPREAD / 2, len(estimates)) if len(estimates) > 1 else [0.0]
    for offset, (row, expected) in zip(offsets, estimates, strict=True):
        at = place + float(offset)
        color, marker = COLORS[row["verdict"]], MARKERS[row["verdict"]]
        axes.plot([_percent(row["low"]), _percent(row["high"])], [at, at], color=color, linewidth=1.0)
        axes.plot(_percent(row["ratio"]), at, color=color, marker=marker, markersize=3.5, linestyle="none")
        if expected != 1:
            axes.plot(_percent(expected), at, color=style.FAINT, marker="|", markersize=6, linestyle="none")


def _key(verdict: str) -> Line2D:
    return Line2D([], [], color=COLORS[verdict], marker=MARKERS[verdict], markersize=5, linewidth=1.0, label=verdict)


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)
