"""The statistics against scipy, against their definitions, and against their promised coverage."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.stats

from analysis import stats
from analysis.stats import IntervalKind


def normals(seed: int, count: int, center: float = 0.0) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(center, 1.0, count)]


@pytest.mark.parametrize(
    ("rounds", "percent", "kind"),
    [(1, 0.0, "range"), (2, 50.0, "range"), (3, 75.0, "range"), (5, 93.75, "range"), (6, 96.875, "interval")],
)
def test_the_median_of_few_rounds_has_the_range_with_its_true_coverage(rounds: int, percent: float, kind: str) -> None:
    values = normals(1, rounds)
    interval = stats.median(values).interval
    assert (interval.low, interval.high) == (min(values), max(values))
    assert interval.coverage == pytest.approx(percent / 100)
    assert interval.kind == kind


@pytest.mark.parametrize("rounds", [6, 7, 8, 9, 12, 20, 41])
def test_the_median_interval_is_the_narrowest_pair_of_order_statistics_that_covers_enough(rounds: int) -> None:
    values = normals(rounds, rounds)
    estimate = stats.median(values)
    ordered = sorted(values)
    k = ordered.index(estimate.interval.low) + 1
    assert estimate.interval.high == ordered[rounds - k]
    assert estimate.value == pytest.approx(float(np.median(values)))
    assert estimate.interval.coverage == pytest.approx(1 - 2 * scipy.stats.binom.cdf(k - 1, rounds, 0.5))
    assert estimate.interval.coverage >= 0.95 > 1 - 2 * scipy.stats.binom.cdf(k, rounds, 0.5)


def test_a_median_ranks_what_was_never_answered_as_infinite() -> None:
    assert stats.median([1.0, math.inf, 2.0]).value == 2.0
    assert stats.median([1.0, math.inf, math.inf]).value == math.inf
    assert stats.median([1.0, math.inf]).value == math.inf


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_a_statistic_of_nothing_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        stats.median(values)
    with pytest.raises(ValueError, match="at least one value"):
        stats.center(values)


def test_walsh_averages_are_all_means_of_pairs() -> None:
    values = normals(3, 7)
    expected = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2))
    assert list(stats.walsh_averages(values)) == pytest.approx(expected)
    assert stats.hodges_lehmann(values) == pytest.approx(float(np.median(expected)))


def test_one_wild_round_hardly_moves_the_estimate() -> None:
    values = normals(4, 9)
    spoilt = [*values[:-1], 1e6]
    assert abs(stats.hodges_lehmann(spoilt) - stats.hodges_lehmann(values)) < 1.0


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 12, 20, 40])
def test_signed_rank_p_values_equal_scipy_s_exact_ones(seed: int, count: int) -> None:
    values = normals(100 * seed + count, count, center=0.3)
    ours = stats.signed_rank(values)
    for ours_p, alternative in (
        (ours.p_greater, "greater"),
        (ours.p_less, "less"),
        (ours.p_two_sided, "two-sided"),
    ):
        theirs = scipy.stats.wilcoxon(values, alternative=alternative, method="exact")
        assert ours_p == pytest.approx(theirs.pvalue, rel=1e-12)


@pytest.mark.parametrize(
    "values",
    [[1, 1, -1, 2, 2], [3, -3, 3, -3, 1, 5, 5], [1, 2, 3, 3, 3, -3, 7, 8], [0, 0, 1, -2, 2, 4], [0, 0, 0]],
)
def test_signed_rank_p_values_with_ties_equal_the_enumeration_of_all_signs(values: list[int]) -> None:
    kept = np.array([value for value in values if value])
    ranks = scipy.stats.rankdata(np.abs(kept))
    observed = ranks[kept > 0].sum()
    sums = [ranks[np.array(signs, dtype=bool)].sum() for signs in itertools.product((0, 1), repeat=len(kept))]
    ours = stats.signed_rank([float(value) for value in values])
    assert ours.samples == len(kept)
    assert ours.statistic == observed
    assert ours.p_greater == pytest.approx(np.mean([total >= observed for total in sums]))
    assert ours.p_less == pytest.approx(np.mean([total <= observed for total in sums]))


@pytest.mark.parametrize("count", [6, 8, 12, 25])
@pytest.mark.parametrize("seed", range(4))
def test_the_interval_holds_exactly_what_scipy_s_test_does_not_reject(seed: int, count: int) -> None:
    values = np.array(normals(seed, count, center=1.0))
    interval = stats.center(list(values)).interval
    nudge = 1e-9
    for bound, inwards in ((interval.low, nudge), (interval.high, -nudge)):
        inside = scipy.stats.wilcoxon(values - bound - inwards, method="exact").pvalue
        outside = scipy.stats.wilcoxon(values - bound + inwards, method="exact").pvalue
        assert outside == pytest.approx(1 - interval.coverage)
        assert outside <= 0.05 < inside


@pytest.mark.parametrize(("rounds", "percent"), [(1, 0.0), (2, 50.0), (3, 75.0), (4, 87.5), (5, 93.75)])
def test_with_few_rounds_the_widest_interval_is_given_with_the_coverage_that_it_has(
    rounds: int, percent: float
) -> None:
    values = normals(7, rounds)
    interval = stats.center(values).interval
    assert (interval.low, interval.high) == (min(values), max(values))
    assert interval.coverage == pytest.approx(percent / 100)
    assert interval.kind is IntervalKind.RANGE


@pytest.mark.parametrize("rounds", [3, 6, 8, 13])
def test_intervals_cover_the_truth_as_often_as_they_say(rounds: int) -> None:
    trials = 3000
    noise = np.random.default_rng(rounds).standard_t(3, size=(trials, rounds))
    for statistic in (stats.median, stats.center):
        intervals = [statistic([float(value) for value in row]).interval for row in noise]
        promised = intervals[0].coverage
        covered = float(np.mean([interval.holds(0.0) for interval in intervals]))
        margin = 4 * math.sqrt(promised * (1 - promised) / trials)
        assert abs(covered - promised) < margin


def test_a_ratio_of_pairs_cancels_what_the_machine_does_to_a_round() -> None:
    drift = np.exp(np.random.default_rng(5).normal(0, 0.5, 8))
    estimate = stats.ratio(list(1.9 * drift), list(drift))
    assert estimate.value == pytest.approx(1.9)
    assert estimate.interval.low == pytest.approx(1.9)
    assert estimate.samples == 8


def test_swapping_a_ratio_s_sides_gives_the_reciprocal() -> None:
    above, below = np.exp(normals(8, 9)), np.exp(normals(9, 9))
    forth, back = stats.ratio(list(above), list(below)), stats.ratio(list(below), list(above))
    assert forth.value == pytest.approx(1 / back.value)
    assert forth.interval.low == pytest.approx(1 / back.interval.high)


@pytest.mark.parametrize("pair", [([1.0], [0.0]), ([-1.0], [1.0]), ([math.nan], [1.0]), ([math.inf], [math.inf])])
def test_a_ratio_of_what_is_not_positive_or_infinite_on_both_sides_is_refused(
    pair: tuple[list[float], list[float]],
) -> None:
    for ratio in (stats.ratio, stats.unpaired_ratio):
        with pytest.raises(ValueError, match="positive values, and infinite ones on one side"):
            ratio(*pair)


def test_a_ratio_of_rounds_that_are_not_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="a pair each"):
        stats.ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize("ratio", [stats.ratio, stats.unpaired_ratio])
def test_what_was_never_answered_is_infinitely_longer(ratio: Any) -> None:
    finite, never = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [math.inf] * 6
    longer, shorter = ratio(never, finite), ratio(finite, never)
    assert (longer.value, longer.interval.low) == (math.inf, math.inf)
    assert (shorter.value, shorter.interval.high) == (0.0, 0.0)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 3), (4, 4), (6, 6), (5, 9), (12, 7)])
@pytest.mark.parametrize("seed", range(4))
def test_the_shift_holds_exactly_what_scipy_s_rank_sum_test_does_not_reject(seed: int, first: int, second: int) -> None:
    above, below = np.array(normals(seed, first, center=1.0)), np.array(normals(seed + 50, second))
    interval = stats.shift(list(above), list(below)).interval
    nudge = 1e-9
    for bound, inwards in ((interval.low, nudge), (interval.high, -nudge)):
        inside, outside = (
            scipy.stats.mannwhitneyu(above - bound - step, below, method="exact").pvalue for step in (inwards, -inwards)
        )
        assert outside == pytest.approx(1 - interval.coverage)
        assert outside < inside or first == second == 1
        assert (outside <= 0.05) == (interval.kind is IntervalKind.INTERVAL)
        assert interval.kind is IntervalKind.RANGE or inside > 0.05


def test_the_shift_is_the_median_of_all_differences() -> None:
    above, below = normals(1, 7, center=2.0), normals(2, 5)
    differences = [first - second for first, second in itertools.product(above, below)]
    estimate = stats.shift(above, below)
    assert estimate.value == pytest.approx(float(np.median(differences)))
    assert estimate.samples == 5


@pytest.mark.parametrize(("each", "percent"), [(1, 0.0), (2, 66.7), (3, 90.0), (4, 97.1)])
def test_few_rounds_of_two_runs_have_the_range_of_all_differences_with_its_true_coverage(
    each: int, percent: float
) -> None:
    above, below = normals(1, each), normals(2, each)
    interval = stats.shift(above, below).interval
    assert (interval.low, interval.high) == pytest.approx((min(above) - max(below), max(above) - min(below)))
    assert round(100 * interval.coverage, 1) == percent


@pytest.mark.parametrize("rounds", [(4, 4), (6, 8), (10, 10)])
def test_the_shift_s_interval_covers_the_truth_as_often_as_it_says(rounds: tuple[int, int]) -> None:
    trials = 2000
    noise = np.random.default_rng(sum(rounds)).standard_t(3, size=(trials, sum(rounds)))
    samples = [[float(value) for value in row] for row in noise]
    intervals = [stats.shift(row[: rounds[0]], row[rounds[0] :]).interval for row in samples]
    promised = intervals[0].coverage
    covered = float(np.mean([interval.holds(0.0) for interval in intervals]))
    assert abs(covered - promised) < 4 * math.sqrt(promised * (1 - promised) / trials)


@pytest.mark.parametrize("samples", [([], [1.0]), ([1.0], [math.nan]), ([math.inf, 1.0], [math.inf])])
def test_the_shift_of_nothing_or_of_infinite_samples_is_refused(samples: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError):
        stats.shift(*samples)
