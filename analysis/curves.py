"""Percentile curves over all rounds: histograms of the same window added up, and read where their samples carry it.

A merged histogram shows the shape of all requests together. It says nothing about how far the next run would lie
away: requests of one run are not independent. Intervals come from rounds, never from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis import histograms
from analysis.columns import CLOCKS
from analysis.histograms import Histogram, HistogramError
from harness.schema import QUANTILES, SAMPLES_NEEDED, Cell, LimitedBy

Row = dict[str, Any]

# A curve goes as far as about ten requests lie beyond it: the rule of the named percentiles.
SAMPLES_BEYOND = 10
POINTS_PER_DECADE = 40
OF_ITS_WINDOW = ("condition", "label", "model", "window", "load", "kind", "sweep_step", "sweep_of", "timeout_s")


@dataclass(frozen=True)
class Part:
    """One clock's histogram of one window, with the window's row."""

    row: Row
    clock: str
    histogram: Histogram


def parts(cell: Cell, rows: Sequence[Row], problems: list[str]) -> Iterator[Part]:
    """Yield the histograms of a measured cell; tell damaged ones in `problems`."""
    load = cell["load"]
    if load is None or cell["outcome"] != "measured":
        return
    for row, window in zip(rows, load["windows"], strict=False):
        for clock in CLOCKS:
            encoded = window["histograms"].get(f"{clock}_ns")
            if encoded is None:
                continue
            try:
                yield Part(row, clock, histograms.decode(encoded))
            except HistogramError as error:
                problems.append(f"{row['file']}, window {row['window']}, {clock}: {error}; left out of the curves")


def points(found: Iterable[Part]) -> Iterator[Row]:
    """Yield the points of each curve: one curve a condition, model, window and clock, all rounds added up."""
    groups: dict[tuple[str, str, int, str], list[Part]] = {}
    for part in found:
        key = (part.row["condition"], part.row["model"], part.row["window"], part.clock)
        groups.setdefault(key, []).append(part)
    for group in groups.values():
        yield from _curve(group)


def _curve(group: Sequence[Part]) -> Iterator[Row]:
    merged = histograms.merge([part.histogram for part in group])
    unanswered = sum(part.row["unanswered"] for part in group)
    samples = merged.count + unanswered
    first = group[0]
    base: Row = {key: first.row[key] for key in OF_ITS_WINDOW}
    base |= {"clock": first.clock, "samples": samples, "unanswered": unanswered, "rounds": len(group)}
    base["bound"] = any(part.row["limited_by"] == LimitedBy.GENERATOR for part in group)
    named = _quantiles(samples)
    values = histograms.values_at(merged, list(named), unanswered)
    for (quantile, name), value in zip(named.items(), values, strict=True):
        yield base | {
            "name": name,
            "quantile": quantile,
            "inverse_tail": 1 / (1 - quantile),
            "value_ns": float(value),
        }


def _quantiles(samples: int) -> dict[float, str]:
    """Return the quantiles that `samples` can carry, ascending: an even grid on the axis 1/(1-q), and the named."""
    if samples < SAMPLES_NEEDED["p50"]:
        return {}
    decades = math.log10(samples / SAMPLES_BEYOND)
    grid = 1 - 10 ** -np.linspace(0, decades, max(2, round(POINTS_PER_DECADE * decades)))
    named = dict.fromkeys((float(quantile) for quantile in grid), "")
    named |= {quantile: name for name, quantile in QUANTILES.items() if samples >= SAMPLES_NEEDED[name]}
    return dict(sorted(named.items()))
