"""Histograms: nothing is lost by decoding and merging, and ranks are those of the schema."""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from analysis import histograms
from analysis.histograms import HistogramError
from tests.analysis.canned_cell import encode

UNIT_NS = 512


def times(seed: int, count: int) -> np.ndarray:
    return (np.random.default_rng(seed).lognormal(12, 1.5, count)).astype(np.int64) + 1_000


def within_resolution(found: float, exact: float) -> bool:
    """Tell whether a value is the upper end of the bucket that holds the exact one."""
    return exact <= found <= exact + max(UNIT_NS, exact / 1_000)


def test_a_decoded_histogram_counts_what_was_recorded() -> None:
    values = times(1, 5_000)
    found = histograms.decode(encode(values))
    assert found.count == 5_000
    repeated = np.repeat(found.values_ns, found.counts)
    assert all(within_resolution(a, b) for a, b in zip(repeated, np.sort(values), strict=True))


def test_a_value_stands_for_its_bucket_as_the_library_says() -> None:
    library = HdrHistogram(1_000, 3_600_000_000_000, 3)
    values = [1_000, 1_535, 1_536, 1_048_575, 1_048_576, 123_456_789, 3_599_999_999_999]
    for value in values:
        library.record_value(value)
    found = histograms.decode(library.encode().decode())
    expected = sorted({library.get_highest_equivalent_value(value) for value in values})
    assert list(found.values_ns) == expected


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9, 0.99, 0.999, 1.0])
def test_percentiles_of_merged_histograms_are_those_of_the_pooled_values(quantile: float) -> None:
    parts = [times(seed, 3_000 + 700 * seed) for seed in range(4)]
    merged = histograms.merge([histograms.decode(encode(part)) for part in parts])
    exact = np.quantile(np.concatenate(parts), quantile, method="inverted_cdf")
    assert within_resolution(histograms.values_at(merged, [quantile], 0)[0], exact)


def test_histograms_of_different_resolution_merge() -> None:
    coarse = HdrHistogram(1_000_000, 60_000_000_000, 1)
    coarse.record_value(5_000_000, 10)
    merged = histograms.merge([histograms.decode(coarse.encode().decode()), histograms.decode(encode(times(1, 90)))])
    assert merged.count == 100


def test_unanswered_requests_rank_as_infinite() -> None:
    values = histograms.decode(encode(np.arange(1, 99) * 1_000_000))
    p50, p98, p99 = histograms.values_at(values, [0.5, 0.98, 0.99], unanswered=2)
    assert within_resolution(p50, 50_000_000)
    assert within_resolution(p98, 98_000_000)
    assert math.isinf(p99)


def test_nothing_recorded_has_no_percentile_or_only_infinite_ones() -> None:
    assert math.isnan(histograms.values_at(histograms.EMPTY, [0.5], 0)[0])
    assert math.isinf(histograms.values_at(histograms.merge([]), [0.5], 3)[0])


def test_an_empty_histogram_can_be_stored_and_read() -> None:
    empty = HdrHistogram(1_000, 3_600_000_000_000, 3)
    assert histograms.decode(empty.encode().decode()).count == 0


GOOD = encode(times(2, 100))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64 at all!",
        GOOD[: len(GOOD) // 2],
        GOOD[:20] + "AAAA" + GOOD[24:],
        base64.b64encode(b"\x1c\x84\x93\x14\x00\x00\x00\x0b" + zlib.compress(b"short")).decode(),
    ],
)
def test_a_damaged_histogram_is_told_as_one(text: str) -> None:
    with pytest.raises(HistogramError, match="cannot be decoded"):
        histograms.decode(text)


def test_what_is_no_text_is_told_as_damage() -> None:
    with pytest.raises(HistogramError, match="cannot be decoded"):
        histograms.decode(None)  # type: ignore[arg-type]  # what a damaged record may hold
