"""The schedule: fixed by its seed, at the rate that was asked for, dealt evenly."""

from __future__ import annotations

import numpy as np
import pytest

from harness.schema import Load
from loadgen.schedule import Schedule

POISSON, CONSTANT = Load.parse("open:5000"), Load.parse("open:3000:constant")


def draw(load: Load, seed: int, window: int = 0, starts_ns: int = 0, chunks: int = 5) -> tuple[list[int], list[int]]:
    """Return the first due times and picks."""
    schedule = Schedule(load, seed, window, starts_ns)
    parts = [schedule.chunk() for _ in range(chunks)]
    return [due for part, _ in parts for due in part], [pick for _, part in parts for pick in part]


@pytest.mark.parametrize("load", [POISSON, CONSTANT])
def test_the_same_seed_makes_the_same_schedule(load: Load) -> None:
    assert draw(load, 7) == draw(load, 7)


def test_seed_and_window_make_different_schedules() -> None:
    first = draw(POISSON, 7)
    assert draw(POISSON, 8)[0] != first[0]
    assert draw(POISSON, 7, window=1)[0] != first[0]
    assert draw(CONSTANT, 8)[1] != draw(CONSTANT, 7)[1]


def test_a_later_start_moves_the_schedule_as_a_whole() -> None:
    early, late = draw(POISSON, 7), draw(POISSON, 7, starts_ns=10**15)
    assert [due - 10**15 for due in late[0]] == early[0]
    assert late[1] == early[1]


def test_constant_arrivals_are_counted_from_the_start_and_do_not_drift() -> None:
    due, _ = draw(CONSTANT, 1)
    assert due == [round((number + 1) * 1e9 / 3000) for number in range(len(due))]


def test_poisson_gaps_are_exponential_at_the_rate_asked_for() -> None:
    gaps = np.diff(draw(POISSON, 1, chunks=20)[0])
    assert gaps.min() >= 0
    # 81,919 exponential gaps: the mean is within 1.4 % of 200 us with 4 standard errors, and so is the deviation.
    assert gaps.mean() == pytest.approx(200_000, rel=0.014)
    assert gaps.std() == pytest.approx(200_000, rel=0.03)


def test_picks_deal_evenly_over_any_number_of_connections() -> None:
    _, picks = draw(POISSON, 1, chunks=20)
    dealt = np.bincount(np.array(picks) % 7, minlength=7)
    # Each of 7 gets 11,703 +- 100 (one standard deviation): five of them is a chance of one in a million.
    assert np.abs(dealt - len(picks) / 7).max() < 500
