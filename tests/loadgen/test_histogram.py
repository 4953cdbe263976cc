"""Buckets, percentiles and the stored form, against HdrHistogram and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from harness.schema import HISTOGRAM_DIGITS, HISTOGRAM_HIGHEST_NS, HISTOGRAM_LOWEST_NS, SAMPLES_NEEDED
from loadgen.histogram import COUNTS, Distribution, bucket_index, lower_ends_ns, upper_end_ns

REFERENCE = HdrHistogram(HISTOGRAM_LOWEST_NS, HISTOGRAM_HIGHEST_NS, HISTOGRAM_DIGITS)


def filled(*values: int) -> Distribution:
    """Return a distribution of these values."""
    distribution = Distribution()
    distribution.add(np.array(values, dtype=np.int64))
    return distribution


@given(st.lists(st.integers(HISTOGRAM_LOWEST_NS, HISTOGRAM_HIGHEST_NS), min_size=1))
def test_the_index_of_a_value_is_that_of_hdrhistogram(values: list[int]) -> None:
    index = bucket_index(np.array(values)).tolist()
    assert index == [REFERENCE._counts_index_for(value) for value in values]
    assert [upper_end_ns(at) for at in index] == [REFERENCE.get_highest_equivalent_value(value) for value in values]


def test_all_buckets_begin_where_those_of_hdrhistogram_do() -> None:
    assert REFERENCE.counts_len == COUNTS
    expected = [REFERENCE.get_value_from_index(at) for at in range(COUNTS)]
    assert lower_ends_ns(np.arange(COUNTS)).tolist() == expected


def test_bounds_of_buckets_fall_where_they_belong() -> None:
    edges = [1023, 1024, 2047, 2048, (1 << 20) - 1, 1 << 20, (1 << 21) - 1, 1 << 21]
    assert bucket_index(np.array(edges)).tolist() == [REFERENCE._counts_index_for(value) for value in edges]


def test_values_out_of_range_count_at_the_nearest_end() -> None:
    distribution = filled(0, 3, 10**15)
    assert distribution.count == 3
    assert np.flatnonzero(distribution.counts).tolist() == bucket_index(np.array([1000, 3_600_000_000_000])).tolist()
    assert (distribution.min_ns, distribution.max_ns) == (0, 10**15)


@given(st.lists(st.integers(HISTOGRAM_LOWEST_NS, HISTOGRAM_HIGHEST_NS), min_size=1, max_size=50))
def test_the_stored_form_holds_the_same_counts(values: list[int]) -> None:
    distribution = filled(*values)
    decoded = HdrHistogram.decode(distribution.encode())
    assert decoded.get_total_count() == len(values)
    assert [decoded.get_count_at_index(at) for at in range(COUNTS)] == distribution.counts.tolist()


def test_an_empty_distribution_is_stored_and_summarised_too() -> None:
    assert HdrHistogram.decode(Distribution().encode()).get_total_count() == 0
    summary = Distribution().summary(0, 1.0)
    assert summary["count"] == 0
    assert {summary["min"], summary["mean"], summary["p50"], summary["p99.99"], summary["max"]} == {None}


def test_merged_distributions_equal_the_pooled_one() -> None:
    values = np.random.default_rng(3).integers(1_000, 10**9, 5_000)
    merged, pooled = filled(*values[:700].tolist()), filled(*values.tolist())
    merged.merge(filled(*values[700:].tolist()))
    assert merged.encode() == pooled.encode()
    assert merged.summary(4, 1.0) == pooled.summary(4, 1.0)


@given(st.integers(20, 3_000), st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_a_percentile_is_the_value_at_its_rank_within_the_resolution(samples: int, quantile: float) -> None:
    values = np.random.default_rng(samples).integers(20_000, 10**9, samples)
    expected = int(np.quantile(values, quantile, method="inverted_cdf"))
    found = filled(*values.tolist()).value_at(quantile)
    assert found is not None
    assert expected <= found <= max(expected * 1.001, expected + 512)


def test_unanswered_requests_rank_as_infinite() -> None:
    distribution = filled(*[1_000_000] * 980)
    assert distribution.value_at(0.98, unanswered=20) == 1_000_000
    assert distribution.value_at(0.99, unanswered=20) == math.inf
    summary = distribution.summary(20, 1.0)
    assert (summary["p50"], summary["p99"]) == (1_000_000, "> 1 s")
    assert (summary["count"], summary["max"]) == (980, 1_000_000)


def test_a_percentile_reaches_the_last_answered_request_before_the_unanswered() -> None:
    assert filled(*[1_000_000] * 990).summary(10, 0.25)["p99"] == 1_000_000
    assert filled(*[1_000_000] * 989).summary(11, 0.25)["p99"] == "> 0.25 s"


@pytest.mark.parametrize(("name", "needed"), SAMPLES_NEEDED.items())
def test_a_percentile_needs_its_samples(name: str, needed: int) -> None:
    enough = dict(filled(*[5_000] * needed).summary(0, 1.0))
    short = dict(filled(*[5_000] * (needed - 1)).summary(0, 1.0))
    assert (enough[name], short[name]) == (5_000, None)
