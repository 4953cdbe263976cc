"""The schedule: fixed by its seed, at the rate that was asked for, dealt evenly."""

from __future__ import annotations

import numpy as np
import pytest

from harness.schema import Load
from loadgen.schedule import Portion, Schedule

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


PARTS = (3, 2, 0, 5)


def shared(load: Load, place: int, chunks: int) -> list[int]:
    """Return the first due times of one of several processes."""
    schedule = Schedule(load, 7, 0, 0, Portion(PARTS, place))
    return [due for _ in range(chunks) for due in schedule.chunk()[0]]


def test_constant_arrivals_of_several_processes_are_those_of_one() -> None:
    alone = draw(CONSTANT, 7, chunks=6)[0]
    together = sorted(due for place in (0, 1, 3) for due in shared(CONSTANT, place, 4))
    assert together[: len(alone)] == alone
    assert len(set(alone)) == len(alone)


def test_each_process_gets_its_part_of_constant_arrivals_evenly_spread() -> None:
    gaps = np.diff(shared(CONSTANT, 3, 2))
    assert gaps.mean() == pytest.approx(2e9 / 3000, rel=0.001)
    assert gaps.max() <= 3e9 / 3000 + 1


def test_poisson_arrivals_of_several_processes_are_independent_and_add_up_to_the_rate() -> None:
    parts = [np.array(shared(POISSON, place, 10)) for place in (0, 1, 3)]
    until = min(part[-1] for part in parts)
    together = np.sort(np.concatenate([part[part <= until] for part in parts]))
    assert together.size == pytest.approx(5000 * until / 1e9, rel=0.02)
    gaps = np.diff(together)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert not np.array_equal(np.diff(parts[0])[:1000] * 3, np.diff(parts[1])[:1000] * 2)
