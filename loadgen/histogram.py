"""Distributions of nanoseconds: recorded in bulk with numpy, stored as HdrHistograms.

`HdrHistogram.record_value` costs 2.7 us a call in Python and silently drops what is out of range; an engine that makes
100,000 values a second can afford neither. So the bucket of a value is computed here, for whole arrays, into the very
same buckets (1 us to 1 h, 3 significant digits), and the library only writes the file format.

The buckets are log-linear. A value's *bucket* is how many times its range doubles beyond the first 2,048 units of
512 ns; its *sub-bucket* is the value in units of that range. Two thousand sub-buckets a bucket keep every value within
0.1 %, and resolution never gets finer than 512 ns, which is what a lowest value of 1 us buys in this format.

A percentile reads the upper end of its bucket (never better than it was), but not more than the greatest value seen.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from harness.schema import (
    HISTOGRAM_DIGITS,
    HISTOGRAM_HIGHEST_NS,
    HISTOGRAM_LOWEST_NS,
    QUANTILES,
    Summary,
    over_timeout,
    percentile_rank,
    percentile_state,
)

Ints = npt.NDArray[np.int64]

# The layout that HdrHistogram derives from lowest value, highest value and digits (a test compares the two).
UNIT_BITS = int(math.log2(HISTOGRAM_LOWEST_NS))
SUB_BUCKETS = 1 << math.ceil(math.log2(2 * 10**HISTOGRAM_DIGITS))
HALF = SUB_BUCKETS >> 1
HALF_BITS = HALF.bit_length() - 1
FLOOR_MASK = (SUB_BUCKETS - 1) << UNIT_BITS
FIRST_BITS = FLOOR_MASK.bit_length()
BUCKETS = HISTOGRAM_HIGHEST_NS.bit_length() - FIRST_BITS + 1
COUNTS = (BUCKETS + 1) * HALF


def bucket_index(values_ns: Ints) -> Ints:
    """Return the histogram index of each value; values out of range count at the nearest end."""
    values = np.clip(values_ns, HISTOGRAM_LOWEST_NS, HISTOGRAM_HIGHEST_NS)
    # A double holds every value below 2**53 exactly, so its exponent is the value's number of bits.
    bucket: Ints = np.frexp((values | FLOOR_MASK).astype(np.float64))[1].astype(np.int64) - FIRST_BITS
    sub_bucket = values >> (bucket + UNIT_BITS)
    index: Ints = ((bucket + 1) << HALF_BITS) + sub_bucket - HALF
    return index


def lower_ends_ns(index: Ints) -> Ints:
    """Return the least value of each bucket."""
    bucket = np.maximum((index >> HALF_BITS) - 1, 0)
    sub_bucket: Ints = np.where(index < SUB_BUCKETS, index, (index & (HALF - 1)) + HALF)
    ends: Ints = sub_bucket << (bucket + UNIT_BITS)
    return ends


def upper_end_ns(index: int) -> int:
    """Return the greatest value of a bucket."""
    return int(lower_ends_ns(np.array([index + 1]))[0]) - 1


class Distribution:
    """Counts by bucket, with count, sum, least and greatest value exact (ns). Two of them add up."""

    def __init__(self) -> None:
        self.counts: Ints = np.zeros(COUNTS, dtype=np.int64)
        self.count = 0
        self.sum_ns = 0
        self.min_ns: int | None = None
        self.max_ns: int | None = None

    def add(self, values_ns: Ints) -> None:
        """Record values (ns)."""
        if not values_ns.size:
            return
        self.counts += np.bincount(bucket_index(values_ns), minlength=COUNTS)
        self.count += int(values_ns.size)
        self.sum_ns += int(values_ns.sum())
        self._extend(int(values_ns.min()), int(values_ns.max()))

    def merge(self, other: Distribution) -> None:
        """Record all that another distribution holds."""
        self.counts += other.counts
        self.count += other.count
        self.sum_ns += other.sum_ns
        if other.min_ns is not None and other.max_ns is not None:
            self._extend(other.min_ns, other.max_ns)

    def _extend(self, least_ns: int, greatest_ns: int) -> None:
        self.min_ns = least_ns if self.min_ns is None else min(self.min_ns, least_ns)
        self.max_ns = greatest_ns if self.max_ns is None else max(self.max_ns, greatest_ns)

    def value_at(self, quantile: float, unanswered: int = 0) -> float | None:
        """Return the value (ns) at a quantile, infinity when the unanswered reach its rank, None when there is none."""
        samples = self.count + unanswered
        if not samples:
            return None
        rank = percentile_rank(quantile, samples)
        if rank > self.count or self.max_ns is None:
            return math.inf
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        return min(upper_end_ns(index), self.max_ns)

    def summary(self, unanswered: int, timeout_s: float) -> Summary:
        """Return the record's summary: percentiles by the rules of `harness.schema`, the rest of the answered."""

        def percentile(name: Literal["p50", "p90", "p99", "p99.9", "p99.99"]) -> int | str | None:
            state = percentile_state(name, self.count, unanswered)
            value = self.value_at(QUANTILES[name], unanswered)
            if state == "short" or value is None:
                return None
            return over_timeout(timeout_s) if state == "censored" else int(value)

        return {
            "count": self.count,
            "min": self.min_ns,
            "mean": self.sum_ns / self.count if self.count else None,
            "p50": percentile("p50"),
            "p90": percentile("p90"),
            "p99": percentile("p99"),
            "p99.9": percentile("p99.9"),
            "p99.99": percentile("p99.99"),
            "max": self.max_ns,
        }

    def encode(self) -> str:
        """Return the standard compressed encoding of an HdrHistogram with the same counts."""
        histogram = HdrHistogram(HISTOGRAM_LOWEST_NS, HISTOGRAM_HIGHEST_NS, HISTOGRAM_DIGITS)
        filled = np.flatnonzero(self.counts)
        for value, count in zip(lower_ends_ns(filled).tolist(), self.counts[filled].tolist(), strict=True):
            if not histogram.record_value(value, count):
                raise ValueError(f"HdrHistogram refuses the value {value} ns: its range is not the one of this module")
        return str(histogram.encode().decode("ascii"))
