"""Percentiles: when one is shown, at which rank, and what it reads where requests were never answered.

* It is shown only when about ten samples lie beyond it (p99 from 1,000, p99.9 from 10,000): `SAMPLES_NEEDED`.
* Unanswered requests rank as infinite: where the rank of a percentile falls among them it reads `> 1 s`, the time-out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypedDict

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
SAMPLES_NEEDED: Mapping[str, int] = {"p50": 20, "p90": 100, "p99": 1_000, "p99.9": 10_000, "p99.99": 100_000}
# The range and the resolution of every histogram on file (HdrHistogram): 1 us to 1 h, 3 significant digits.
HISTOGRAM_LOWEST_NS = 1_000
HISTOGRAM_HIGHEST_NS = 3_600_000_000_000
HISTOGRAM_DIGITS = 3
# "p99.9" is no identifier, hence the functional form. A percentile is null where the samples can't carry it and the
# string "> 1 s" (the time-out) where unanswered requests reach its rank; min, mean and max are of the answered.
Summary = TypedDict(
    "Summary",
    {
        "count": int,
        "min": int | None,
        "mean": float | None,
        "p50": int | str | None,
        "p90": int | str | None,
        "p99": int | str | None,
        "p99.9": int | str | None,
        "p99.99": int | str | None,
        "max": int | None,
    },
)


def percentile_rank(quantile: float, samples: int) -> int:
    """Return the 1-based rank of a quantile among `samples` values: ceil(q n), numpy's `inverted_cdf`."""
    return max(1, math.ceil(round(quantile * samples, 9)))


def percentile_state(name: str, answered: int, unanswered: int) -> Literal["value", "short", "censored"]:
    """Tell whether a percentile can be shown: its samples are too few, its rank is unanswered, or it has a value."""
    samples = answered + unanswered
    if samples < SAMPLES_NEEDED[name]:
        return "short"
    return "value" if percentile_rank(QUANTILES[name], samples) <= answered else "censored"


def over_timeout(timeout_s: float) -> str:
    """Return what a percentile reads whose rank was never answered: `> 1 s`."""
    return f"> {timeout_s:g} s"
