"""What loops do later: real waits, never too early, in order, woken by a descriptor where the platform has one."""

import asyncio
import itertools
import select
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from servers.alarm import Alarm
from servers.later import Later
from servers.models.asyncio.later import Later as AsyncioLater
from servers.work import Work

WAIT_S = 0.01
PATIENCE_S = 10.0
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a timerfd")


@pytest.fixture(params=[pytest.param("alarm", marks=linux), "time-out"])
def woken_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "time-out":
        monkeypatch.setattr("servers.later.new_alarm", lambda: None)
        monkeypatch.setattr("servers.models.asyncio.later.new_alarm", lambda: None)
    return str(request.param)


@pytest.fixture
def later(woken_by: str) -> Iterator[Later]:
    made = Later(Work(wait_s=WAIT_S))
    assert len(made.descriptors()) == (woken_by == "alarm")
    yield made
    made.close()


def run_until(later: Later, done: Callable[[], bool]) -> None:
    """Turn a loop as a model does."""
    poller = select.poll()
    for descriptor in later.descriptors():
        poller.register(descriptor, select.POLLIN)
    deadline_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline_s
        left_s = later.sleep_s(PATIENCE_S)
        poller.poll(None if left_s is None else left_s * 1000 + 1)
        later.run()


def test_waits_end_in_their_order_and_not_too_early(later: Later) -> None:
    ended: list[tuple[int, float]] = []
    begun_s = time.monotonic()
    for number in range(3):
        later.wait(lambda number=number: ended.append((number, time.monotonic())))  # type: ignore[misc]  # bound now
    run_until(later, lambda: len(ended) == 3)
    assert [number for number, _ in ended] == [0, 1, 2]
    assert min(at_s for _, at_s in ended) >= begun_s + WAIT_S


def test_a_wait_that_is_begun_when_one_ends_is_waited_for_too(later: Later) -> None:
    ended: list[float] = []

    def again() -> None:
        ended.append(time.monotonic())
        if len(ended) < 4:
            later.wait(again)

    later.wait(again)
    run_until(later, lambda: len(ended) == 4)
    assert all(after - before >= WAIT_S for before, after in itertools.pairwise(ended))


def test_a_voided_wait_is_not_called_and_the_next_is(later: Later) -> None:
    called: list[str] = []

    def first() -> None:
        called.append("first")

    later.wait(first)
    later.wait(lambda: called.append("second"))
    later.void(first)
    run_until(later, lambda: bool(called))
    assert called == ["second"]


def test_turns_are_taken_before_the_loop_sleeps(later: Later) -> None:
    called: list[str] = []
    later.soon(lambda: called.append("now"))
    assert later.next_s() == 0.0
    later.run()
    assert called == ["now"]
    assert later.sleep_s(7.0) == 7.0


def test_a_loop_without_anything_to_do_sleeps_for_ever() -> None:
    idle = Later(None)
    assert (idle.descriptors(), idle.sleep_s()) == ([], None)


@linux
def test_an_alarm_rings_at_its_time_and_is_taken_back_by_the_next() -> None:
    alarm = Alarm()
    poller = select.poll()
    poller.register(alarm, select.POLLIN)
    at_s = time.monotonic() + WAIT_S
    alarm.set(at_s)
    assert poller.poll(PATIENCE_S * 1000)
    assert time.monotonic() >= at_s
    alarm.set(time.monotonic() + 3_600)
    assert not poller.poll(0)
    alarm.set(0.0)
    assert not poller.poll(0)
    alarm.close()


def test_in_asyncio_waits_end_in_their_order_and_not_too_early(woken_by: str) -> None:
    ended: list[int] = []

    async def wait() -> None:
        later = AsyncioLater(Work(wait_s=WAIT_S))
        for number in range(3):
            later.wait(lambda number=number: ended.append(number))  # type: ignore[misc]  # bound now
        await asyncio.wait_for(later.pause(), PATIENCE_S)
        assert ended == [0, 1, 2], woken_by
        await asyncio.wait_for(later.pause(), PATIENCE_S)
        later.close()

    begun_s = time.monotonic()
    asyncio.run(wait())
    assert time.monotonic() - begun_s >= 2 * WAIT_S
