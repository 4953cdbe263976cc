"""Statistics of few, noisy rounds: exact, without a distribution assumed, pure.

The sample is the run, never the request: requests of one run share its server process, its memory layout and the
machine's mood, so thousands of them tell no more about the next run than one figure does.

* **One model**: the median over rounds, with the interval between two order statistics. Each value lies below the
  true median with probability 1/2, so the coverage is a sum of binomials and holds for every distribution:
  `[x(k), x(n+1-k)]` covers with `1 - 2 P(Bin(n, 1/2) < k)`.
* **Two models**: they run back to back inside a round, so what the machine does to a round it does to both, and the
  ratio cancels it. The logarithms of the ratios get the Hodges-Lehmann estimate (the median of all pairwise means,
  the *Walsh averages*) and the interval that inverts the signed-rank test: between the k-th Walsh average from below
  and from above, with coverage `1 - 2 P(T < k)`, T being the signed-rank statistic. That asks for symmetry of the
  log-ratios around their centre, which order within a round being random gives for equal models.
* **One model in two runs**: rounds of different runs are no pairs, so the logarithms of the two samples get the
  Hodges-Lehmann *shift* (the median of all differences between them) and the interval that inverts the rank-sum test of
  Wilcoxon, Mann and Whitney: between the k-th difference from below and from above, with coverage `1 - 2 P(U < k)`.
  What the machine did to one run and not to the other is in the ratio then, and in no interval.

The first two kinds of interval can reach 95 % from 6 samples on, the third from two samples of 4. Below that the widest
there is is returned, the range, with the coverage that it has (3 samples: 75 %), and it is named `range`: an interval
that claimed more would be untrue.

Signed-rank p-values are exact, also with ties (the distribution of the ranks that are there is enumerated by adding
one rank after the other, with ranks doubled so that midranks stay whole). Zeros are left out, as Wilcoxon did.
Sources: Hollander, Wolfe, Chicken, *Nonparametric Statistical Methods*, 3rd ed., 3.1-3.3, 3.6 and 4.1-4.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

COVERAGE = 0.95


class IntervalKind(StrEnum):
    """What an interval is: one that reaches the coverage asked for, or only the range of too few values."""

    INTERVAL = "interval"
    RANGE = "range"


@dataclass(frozen=True)
class Interval:
    """Two bounds and the probability (0 to 1) with which such bounds hold the true value; both bounds are inside."""

    low: float
    high: float
    coverage: float
    kind: IntervalKind

    def holds(self, value: float) -> bool:
        """Tell whether a value lies inside, bounds included."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Estimate:
    """A figure over `samples` runs with its interval."""

    value: float
    interval: Interval
    samples: int


@dataclass(frozen=True)
class SignedRank:
    """The exact signed-rank test of centre 0: statistic (sum of positive ranks), non-zero samples, p-values."""

    statistic: float
    samples: int
    p_greater: float
    p_less: float
    p_two_sided: float


def median(values: Sequence[float], coverage: float = COVERAGE) -> Estimate:
    """Return the median with its order-statistic interval: the narrowest of at least `coverage`, or the range.

    Infinite values (a percentile that was never answered) rank as such. Raises ValueError without values or on NaN.
    """
    ordered = _ordered(values)
    count = len(ordered)
    tails = [2 * sum(math.comb(count, i) for i in range(k)) / 2**count for k in range(1, count // 2 + 1)]
    k = _narrowest(tails, coverage)
    reached = 1 - tails[k - 1] if tails else 0.0
    interval = Interval(float(ordered[k - 1]), float(ordered[count - k]), reached, _kind(reached, coverage))
    return Estimate(float((ordered[(count - 1) // 2] + ordered[count // 2]) / 2), interval, count)


def walsh_averages(values: Sequence[float]) -> Floats:
    """Return the ascending means of all pairs, each value with itself included: n (n + 1) / 2 of them."""
    sample = _ordered(values)
    first, second = np.triu_indices(len(sample))
    return np.sort((sample[first] + sample[second]) / 2)


def hodges_lehmann(values: Sequence[float]) -> float:
    """Return the median of the Walsh averages: a centre nearly as precise as the mean, unmoved by single outliers."""
    return float(np.median(walsh_averages(values)))


def center(values: Sequence[float], coverage: float = COVERAGE) -> Estimate:
    """Return the Hodges-Lehmann estimate with the interval that inverts the signed-rank test.

    The narrowest interval of at least `coverage`, or the range. Raises ValueError without values or on NaN.
    """
    averages = walsh_averages(values)
    count = len(values)
    below = np.cumsum(_rank_sums(range(1, count + 1)))
    tails = [float(tail) for tail in 2 * below[: len(averages) // 2]]
    k = _narrowest(tails, coverage)
    reached = 1 - tails[k - 1] if tails else 0.0
    interval = Interval(float(averages[k - 1]), float(averages[-k]), reached, _kind(reached, coverage))
    return Estimate(float(np.median(averages)), interval, count)


def ratio(numerators: Sequence[float], denominators: Sequence[float], coverage: float = COVERAGE) -> Estimate:
    """Return the ratio of paired positive values, one pair a round: `center` of the log-ratios, back on the scale.

    One of the sides may hold infinite values. Raises ValueError when the lengths differ, a value is not positive, or
    both sides hold infinite ones.
    """
    if len(numerators) != len(denominators):
        raise ValueError("a ratio of rounds needs a pair each")
    above, below = _logs(numerators, denominators)
    return _of_logs(center([float(log) for log in above - below], coverage))


def shift(above: Sequence[float], below: Sequence[float], coverage: float = COVERAGE) -> Estimate:
    """Return by how much one independent sample lies above another, with the interval that inverts the rank-sum test.

    The Hodges-Lehmann shift: the median of all differences. The narrowest interval of at least `coverage`, or the
    range of the differences; `samples` is the size of the smaller sample. Raises ValueError without values, on NaN, or
    where both samples hold infinite ones.
    """
    first, second = _ordered(above), _ordered(below)
    if np.isinf(first).any() and np.isinf(second).any():
        raise ValueError("the difference of infinite values is none")
    differences = np.sort(np.subtract.outer(first, second), axis=None)
    misses = 2 * np.cumsum(_rank_sum_chances(len(first), len(second)))
    tails = [float(tail) for tail in misses[: len(differences) // 2]]
    k = _narrowest(tails, coverage)
    reached = max(0.0, 1 - tails[k - 1]) if tails else 0.0
    interval = Interval(float(differences[k - 1]), float(differences[-k]), reached, _kind(reached, coverage))
    return Estimate(float(np.median(differences)), interval, min(len(first), len(second)))


def unpaired_ratio(numerators: Sequence[float], denominators: Sequence[float], coverage: float = COVERAGE) -> Estimate:
    """Return the ratio of two independent samples of positive values: `shift` of the logarithms, back on the scale.

    One of the sides may hold infinite values. Raises ValueError when a side is empty, a value is not positive, or both
    sides hold infinite ones.
    """
    above, below = _logs(numerators, denominators)
    return _of_logs(shift([float(log) for log in above], [float(log) for log in below], coverage))


def signed_rank(values: Sequence[float]) -> SignedRank:
    """Test exactly whether the centre is 0; zeros are left out, ties share midranks.

    Raises ValueError without values or on NaN.
    """
    sample = _ordered(values)
    sample = sample[sample != 0]
    doubled = _doubled_midranks(np.abs(sample))
    statistic = int(doubled[sample > 0].sum())
    chances = _rank_sums([int(rank) for rank in doubled])
    less = float(chances[: statistic + 1].sum())
    greater = float(chances[statistic:].sum())
    return SignedRank(statistic / 2, len(sample), min(1.0, greater), min(1.0, less), min(1.0, 2 * min(less, greater)))


def _rank_sums(ranks: Sequence[int]) -> Floats:
    """Return P(sum of a random half of the ranks = s) for s = 0, 1, ...: each rank counts or not, by a fair coin."""
    chances = np.zeros(sum(ranks) + 1)
    chances[0] = 1.0
    for rank in ranks:
        with_rank = np.zeros_like(chances)
        with_rank[rank:] = chances[: len(chances) - rank]
        chances = (chances + with_rank) / 2
    return chances


def _rank_sum_chances(first: int, second: int) -> Floats:
    """Return P(U = u) for u = 0, 1, ...: of how many pairs the first member is greater, all orders being as likely.

    The greatest of all values is of the first sample with probability n / (n + m), and then greater than all m of the
    second; without it the question is the same for one value less.
    """
    row = [np.ones(1)] * (second + 1)
    for n in range(1, first + 1):
        grown = [np.ones(1)]
        for m in range(1, second + 1):
            chances = np.zeros(n * m + 1)
            chances[m:] += n / (n + m) * row[m]
            chances[: n * (m - 1) + 1] += m / (n + m) * grown[m - 1]
            grown.append(chances)
        row = grown
    return row[second]


def _doubled_midranks(magnitudes: Floats) -> npt.NDArray[np.int64]:
    """Return twice the rank of each magnitude, ties sharing the mean of their ranks."""
    ordered = np.sort(magnitudes)
    first = np.searchsorted(ordered, magnitudes, side="left")
    last = np.searchsorted(ordered, magnitudes, side="right")
    return (first + 1 + last).astype(np.int64)


def _narrowest(tails: Sequence[float], coverage: float) -> int:
    """Return the largest k whose interval still covers enough, or 1; `tails[k-1]` is what the k-th one misses."""
    return max(1, sum(1 - tail >= coverage - 1e-12 for tail in tails))


def _kind(reached: float, coverage: float) -> IntervalKind:
    return IntervalKind.INTERVAL if reached >= coverage - 1e-12 else IntervalKind.RANGE


def _logs(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[Floats, Floats]:
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if not (np.all(above > 0) and np.all(below > 0)) or (np.isinf(above).any() and np.isinf(below).any()):
        raise ValueError("a ratio needs positive values, and infinite ones on one side at most")
    return np.log(above), np.log(below)


def _of_logs(logs: Estimate) -> Estimate:
    """Return an estimate of a logarithm as one of the value itself."""
    bounds = logs.interval
    interval = Interval(math.exp(bounds.low), math.exp(bounds.high), bounds.coverage, bounds.kind)
    return Estimate(math.exp(logs.value), interval, logs.samples)


def _ordered(values: Sequence[float]) -> Floats:
    sample = np.sort(np.asarray(values, dtype=float))
    if sample.size == 0 or np.isnan(sample).any():
        raise ValueError("a statistic needs at least one value, and none that is not a number")
    return sample
