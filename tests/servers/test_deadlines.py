"""The queue of equal deadlines."""

from servers.deadlines import Deadlines


def nothing() -> None:
    """Stand in for what happens at expiry."""


def test_deadlines_run_out_in_the_order_they_were_set() -> None:
    deadlines = Deadlines(10.0)
    first, second = deadlines.set(nothing), deadlines.set(nothing)
    assert deadlines.next_s() == first.at_s
    assert list(deadlines.expired(first.at_s - 1)) == []
    assert list(deadlines.expired(second.at_s)) == [first, second]
    assert deadlines.next_s() is None


def test_a_voided_deadline_never_runs_out() -> None:
    deadlines = Deadlines(10.0)
    first, second = deadlines.set(nothing), deadlines.set(nothing)
    first.wanted = False
    assert deadlines.next_s() == second.at_s
    assert list(deadlines.expired(second.at_s + 1)) == [second]


def test_zero_is_never() -> None:
    deadlines = Deadlines(0.0)
    deadlines.set(nothing)
    assert deadlines.next_s() is None
