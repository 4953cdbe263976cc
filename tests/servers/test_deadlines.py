"""The queue of equal deadlines."""

from servers.deadlines import Deadlines


class Owner:
    """Someone with deadlines; bound methods of one object are equal, of two they are not."""

    def expire(self) -> None:
        """Stand in for what happens."""


def test_deadlines_run_out_in_the_order_they_were_set() -> None:
    deadlines, first, second = Deadlines(10.0), Owner(), Owner()
    deadlines.set(first.expire)
    first_s = deadlines.next_s()
    deadlines.set(second.expire)
    assert first_s is not None
    assert deadlines.next_s() == first_s
    assert list(deadlines.expired(first_s - 1)) == []
    assert list(deadlines.expired(first_s + 1)) == [first.expire, second.expire]
    assert deadlines.next_s() is None


def test_a_deadline_set_again_moves_to_the_end_and_is_kept_once() -> None:
    deadlines, first, second = Deadlines(10.0), Owner(), Owner()
    for owner in (first, second, first):
        deadlines.set(owner.expire)
    assert len(deadlines) == 2
    assert list(deadlines.expired(float("inf"))) == [second.expire, first.expire]


def test_a_voided_deadline_is_gone_at_once() -> None:
    deadlines, first, second = Deadlines(10.0), Owner(), Owner()
    deadlines.set(first.expire)
    deadlines.set(second.expire)
    deadlines.void(first.expire)
    deadlines.void(first.expire)
    assert len(deadlines) == 1
    assert list(deadlines.expired(float("inf"))) == [second.expire]


def test_zero_is_never() -> None:
    deadlines = Deadlines(0.0)
    deadlines.set(Owner().expire)
    assert deadlines.next_s() is None
