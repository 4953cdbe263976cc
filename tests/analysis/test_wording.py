"""Figures and phrases as they are read."""

from __future__ import annotations

import math

import pytest

from analysis import stats, wording
from harness.schema import LimitedBy, WarningKind, warning


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (63_283.4, "63,300"),
        (1_234_567, "1,230,000"),
        (9_996, "10,000"),
        (9.996, "10.0"),
        (0.99951, "1.00"),
        (17.26, "17.3"),
        (0.3121, "0.312"),
        (0.00021, "0.000210"),
        (-5.25, "-5.25"),
        (0, "0"),
        (math.nan, "-"),
        (None, "-"),
        (math.inf, "infinite"),
    ],
)
def test_numbers_have_three_digits_and_thousands_separators(value: float | None, text: str) -> None:
    assert wording.number(value) == text


def test_a_step_of_a_sweep_is_a_part_of_the_capacity() -> None:
    assert wording.sweep(2, 5) == "load sweep, 30 % of its own capacity"


def test_rates_in_a_warning_have_their_unit() -> None:
    near = warning(WarningKind.NEAR_CEILING, throughput_per_s=55_123.4, ceiling_per_s=60_000.0)
    assert wording.warning(near) == "near ceiling (throughput 55,123/s, ceiling 60,000/s)"


def test_a_time_that_was_never_answered_reads_as_the_time_out() -> None:
    assert wording.milliseconds(math.inf, 1.0) == "> 1 s"
    assert wording.milliseconds(math.inf, 0.25) == "> 0.25 s"
    assert wording.milliseconds(412_000, 1.0) == "0.412"
    assert wording.milliseconds(math.nan, 1.0) == "-"


def test_an_interval_is_called_what_it_is() -> None:
    assert wording.interval_name(stats.median([1, 2, 3])) == "range of 3 rounds"
    assert wording.interval_name(stats.median([1, 2, 3, 4, 5, 6])) == "96.9 % interval of 6 rounds"
    assert wording.interval_name(stats.median([1])) == "a single round"
    assert wording.coverage_name(stats.center([1, 2, 3])) == "75 % interval of 3 paired rounds"


def test_loads_read_as_words() -> None:
    assert wording.load("closed") == "closed load"
    assert wording.load("open:2000") == "open load, 2,000 requests/s"
    assert wording.load("open:2000:constant") == "open load, 2,000 requests/s, constant arrivals"


def test_a_list_reads_as_in_a_sentence() -> None:
    assert wording.listing(["a"]) == "a"
    assert wording.listing(["a", "b", "c"], "or") == "a, b or c"
    assert wording.listing([]) == ""


def test_a_word_that_holds_in_every_round_needs_no_count() -> None:
    assert wording.tally({"server": 3}, 3) == "server"
    assert wording.tally({"server": 2, "connections": 1}, 3) == "server (2 of 3), connections (1 of 3)"


def test_a_warning_has_its_figures_in_units_for_reading() -> None:
    record = warning(WarningKind.PAUSES, share=0.04172, count=1_711, max_ns=12_088_737)
    assert wording.warning(record) == "pauses (share 4.17 %, count 1,711, max 12.1 ms)"
    assert wording.warning(warning(WarningKind.UNFAIR, jain=0.87654)) == "unfair (jain 0.877)"
    assert wording.warning(warning(WarningKind.SERVER_DIED)) == "server died"
    assert wording.warning({"kind": "of_the_future", "figures": {"why": "x"}}) == "of the future (why x)"


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    assert wording.printable("red \x1b[31m\x07 two\n lines") == "red \ufffd[31m\ufffd two lines"


def test_every_verdict_and_warning_of_the_schema_has_its_words() -> None:
    assert set(wording.VERDICTS) == set(wording.VERDICT_MEANINGS) == set(wording.VERDICT_PHRASES)
    assert set(wording.VERDICTS) == set(LimitedBy)
    assert set(wording.WARNING_MEANINGS) == set(WarningKind)
