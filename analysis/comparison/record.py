"""A comparison as JSON, `echobench.compare/1`: every figure by round, so that each ratio can be computed again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.comparison import SAME_WITHIN, Comparison, Reading, Row
from analysis.comparison.differences import Difference
from analysis.comparison.sides import Side
from analysis.stats import COVERAGE, Estimate

COMPARE_SCHEMA = "echobench.compare/1"
INFINITE = "infinite"  # JSON has no word for it: a percentile among requests that were never answered


def record(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as a document for JSON.

    `values` map a round to the figure in the column's own unit; infinite ones are the string `infinite`. `coverage` is
    what an interval has to reach before it decides, `same_within` the ratio up to which it is no difference.
    """
    return {
        "schema": COMPARE_SCHEMA,
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "varied": sorted(comparison.varied),
        "paired": comparison.paired,
        "coverage": COVERAGE,
        "same_within": SAME_WITHIN,
        "unlike": [_difference(each) for each in comparison.unlike],
        "told": [_difference(each) for each in comparison.told],
        "missing": list(comparison.missing),
        "rows": [_row(row) for row in comparison.rows],
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "text": side.wanted.text,
        "run": side.run.path.resolve().name,
        "selection": dict(side.wanted.selection),
        "environment": side.run.document.get("environment"),
    }


def _difference(found: Difference) -> dict[str, str]:
    return {"name": found.name, "a": found.a, "b": found.b}


def _row(row: Row) -> dict[str, Any]:
    metric = row.measure.metric
    return {
        "label": row.match.label,
        "window": row.window or None,
        "figure": row.measure.name,
        "column": metric.column,
        "higher_is_better": metric.higher_is_better,
        "a": _reading(row.match.models[0], row.match.scenarios[0], row.a),
        "b": _reading(row.match.models[1], row.match.scenarios[1], row.b),
        "ratio": _estimate(row.finding.ratio),
        "bound": row.finding.sign.strip(),
        "verdict": row.finding.verdict.value,
        "reason": row.finding.reason,
    }


def _reading(model: str, scenario: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    return {
        "model": model,
        "scenario": dict(scenario),
        "values": {str(number): _number(value) for number, value in sorted(reading.values.items())},
        "bound": reading.sign.strip(),
        "warnings": dict(reading.warnings),
    }


def _estimate(found: Estimate | None) -> dict[str, Any] | None:
    if found is None:
        return None
    bounds = found.interval
    return {
        "value": _number(found.value),
        "low": _number(bounds.low),
        "high": _number(bounds.high),
        "coverage": bounds.coverage,
        "kind": bounds.kind.value,
        "samples": found.samples,
    }


def _number(value: float) -> float | str:
    return INFINITE if math.isinf(value) else value
