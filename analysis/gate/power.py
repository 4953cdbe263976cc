"""How small a slowdown a gate would have found: what a "no regression" is worth.

The log-ratios of the rounds have a spread s. Their Hodges-Lehmann estimate then has the standard error
s / sqrt(0.955 n) (0.955 is the asymptotic relative efficiency of the signed-rank statistic under normal noise, pi / 3;
it is higher under heavier tails). The test reaches its level only in steps, which costs it about z^2 / 2 rounds, z
being the normal quantile of the level; with that the formula agrees with simulation down to a dozen rounds:

    se(n, z) = s / sqrt(0.955 (n - z^2 / 2))

An effect d (a log-ratio) ends as REGRESSION when it is not screened out by the first look *and* the last look finds it
significant *and* at least as large as the minimum effect m:

    power(d) ~ Phi(d / se(first, z_screening) - z_screening) * Phi((d - max(z_alpha se(last, z_alpha), m)) / se(last))

(a product, though the first rounds are part of the last and go together with it; drawn slowdowns of the size that it
gives are found in 74 to 83 % of all gates). The smallest detectable effect is the d at which that is 80 %. The level is
Holm's hardest, alpha over the number of gated rows: what a slowdown of one metric of one scenario alone would face.

The spread is Shamos's estimate, 1.0483 times the median distance of two rounds: the companion of Hodges and Lehmann's
centre, with 86 % of the standard deviation's efficiency and unmoved by single wild rounds.
Sources: Hollander, Wolfe, Chicken, *Nonparametric Statistical Methods*, 3rd ed., 3.1-3.2 and 3.9; Shamos, *Geometry and
Statistics*, 1976; Rousseeuw, Croux, "Alternatives to the median absolute deviation", JASA 88, 1993.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

EFFICIENCY = 3 / math.pi
SHAMOS = 1.0483  # 1 / (sqrt(2) * the normal quantile of 3/4)
POWER = 0.8
FARTHEST = math.log(1000)
NORMAL = NormalDist()


@dataclass(frozen=True)
class Looks:
    """A plan in the numbers that power depends on: rounds and levels of both looks, and the minimum effect (share).

    A plan of a single look has `first` equal to `last`.
    """

    first: int
    screening_p: float
    last: int
    alpha: float
    minimum_effect: float


def spread(log_ratios: Sequence[float]) -> float:
    """Return Shamos's robust standard deviation; NaN for fewer than two values."""
    values = np.asarray(log_ratios, dtype=float)
    if len(values) < 2:
        return math.nan
    first, second = np.triu_indices(len(values), k=1)
    return SHAMOS * float(np.median(np.abs(values[first] - values[second])))


def power(effect: float, sd: float, looks: Looks) -> float:
    """Return the chance (0 to 1) that a slowdown `effect` (log-ratio) ends as REGRESSION, noise being `sd`."""
    threshold, error = _last_look(sd, looks)
    found = _normal(effect - threshold, error)
    if looks.first == looks.last:
        return found
    z = NORMAL.inv_cdf(1 - looks.screening_p)
    error = standard_error(sd, looks.first, z)
    return found * _normal(effect - z * error, error)


def detectable_effect(sd: float, looks: Looks) -> float:
    """Return the smallest slowdown that is found with a chance of 80 %, as a share of base's cost.

    Infinite where no effect would be found (too few rounds for the level); NaN without a spread.
    """
    if math.isnan(sd):
        return math.nan
    low, high = 0.0, FARTHEST
    if power(high, sd, looks) < POWER:
        return math.inf
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, sd, looks) >= POWER else (middle, high)
    return math.expm1(high)


def fewest_rounds(alpha: float) -> int:
    """Return the least number of rounds whose signed-rank test can reach a level: 2^-n must not exceed it."""
    return math.ceil(-math.log2(alpha) - 1e-12)


def standard_error(sd: float, rounds: int, z: float) -> float:
    """Return the standard error of the estimate as the test sees it; infinite for too few rounds."""
    effective = rounds - z * z / 2
    return sd / math.sqrt(EFFICIENCY * effective) if effective > 0 else math.inf


def _last_look(sd: float, looks: Looks) -> tuple[float, float]:
    """Return what the estimate must exceed at the last look, and its standard error."""
    z = NORMAL.inv_cdf(1 - looks.alpha)
    error = standard_error(sd, looks.last, z)
    if looks.last < fewest_rounds(looks.alpha) or math.isinf(error):
        return math.inf, math.inf
    return max(z * error, math.log1p(looks.minimum_effect)), error


def _normal(distance: float, error: float) -> float:
    """Return the chance of a normal error being below a distance; certain or impossible without noise."""
    if math.isinf(error) or math.isnan(distance):
        return 0.0
    if error == 0:
        return float(distance >= 0)
    return NORMAL.cdf(distance / error)
