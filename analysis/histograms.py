"""Histograms of a run: decoded, merged, and read by rank.

Records hold HdrHistograms in their standard compressed encoding. Merging two is adding their counts, so a merged
histogram loses nothing against one that had recorded everything; averaging percentiles, by contrast, means nothing.
The library's own percentiles rank by `round(n p)`; here the rank is `ceil(q n)` over answered *and* unanswered
requests (`percentile_rank`), and a rank among the unanswered is infinite.

A value stands for its bucket's upper end (the library's convention too): never better than it was. Buckets are
0.1 % of the value wide, and at least 512 ns, the resolution that follows from a lowest value of 1 us.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from harness.schema import percentile_rank

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# What the library raises for a damaged histogram: no text, bad base64, bad compression, a wrong cookie, length or
# layout, counters that are cut short.
_DAMAGE = (
    zlib.error,
    HdrCookieException,
    HdrLengthException,
    ValueError,
    TypeError,
    IndexError,
    ArithmeticError,
    AssertionError,
)


class HistogramError(ValueError):
    """A stored histogram cannot be decoded."""


@dataclass(frozen=True)
class Histogram:
    """Ascending values (upper ends of buckets, ns) and how often each was counted, zeros left out."""

    values_ns: Ints
    counts: Ints

    @property
    def count(self) -> int:
        """The number of values recorded."""
        return int(self.counts.sum())


EMPTY = Histogram(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def decode(encoded: str) -> Histogram:
    """Read a histogram in the standard compressed encoding (base64 of `HistogramLogWriter`).

    Raises HistogramError with a sentence when the text is damaged.
    """
    try:
        decoded = HdrHistogram.decode(encoded)
        counts = np.ctypeslib.as_array(decoded.counts).astype(np.int64)
    except _DAMAGE as error:
        raise HistogramError(f"a histogram cannot be decoded ({type(error).__name__}: {error})") from error
    index = np.flatnonzero(counts)
    return Histogram(_upper_ends(index, decoded), counts[index])


def merge(parts: Sequence[Histogram]) -> Histogram:
    """Add histograms up; what they were recorded with may differ."""
    if not parts:
        return EMPTY
    values, inverse = np.unique(np.concatenate([part.values_ns for part in parts]), return_inverse=True)
    counts = np.zeros(len(values), dtype=np.int64)
    np.add.at(counts, inverse, np.concatenate([part.counts for part in parts]))
    return Histogram(values, counts)


def values_at(histogram: Histogram, quantiles: Sequence[float], unanswered: int) -> Floats:
    """Return the values (ns) at quantiles of answered and unanswered requests together.

    Infinite where the rank falls among the unanswered, NaN where there are no requests at all.
    """
    answered = histogram.count
    samples = answered + unanswered
    if samples == 0:
        return np.full(len(quantiles), np.nan)
    ranks = np.array([percentile_rank(quantile, samples) for quantile in quantiles])
    index = np.searchsorted(np.cumsum(histogram.counts), ranks)
    values = np.append(histogram.values_ns.astype(np.float64), np.inf)
    return values[np.where(ranks <= answered, index, len(values) - 1)]


def _upper_ends(index: Ints, layout: HdrHistogram) -> Ints:
    """Return the highest value that each place in the array of counts stands for.

    The first `sub_bucket_count` places are one unit wide; every further half of that many are twice as wide as the
    half before. `layout` tells unit and counts of places.
    """
    half = int(layout.sub_bucket_half_count)
    bucket = np.maximum(index // half - 1, 0)
    place = np.where(index < half, index, index % half + half)
    shift = bucket + int(layout.unit_magnitude)
    ends: Ints = ((place + 1) << shift) - 1
    return ends
