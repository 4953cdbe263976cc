"""The alarm wakes an epoll at its time, and can be set anew."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator

import pytest

from loadgen.alarm import Alarm


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """Return an alarm and close it."""
    made = Alarm()
    yield made
    made.close()


def wait(alarm: Alarm, timeout_s: float) -> bool:
    """Tell whether the alarm goes off in time."""
    with select.epoll() as epoll:
        epoll.register(alarm.fd, select.EPOLLIN)
        return bool(epoll.poll(timeout_s))


def test_it_does_not_go_off_before_its_time(alarm: Alarm) -> None:
    at_ns = time.monotonic_ns() + 20_000_000
    alarm.set(at_ns)
    assert wait(alarm, 10)
    assert time.monotonic_ns() >= at_ns


def test_it_is_silent_until_it_is_set(alarm: Alarm) -> None:
    assert not wait(alarm, 0)


def test_a_time_in_the_past_goes_off_at_once(alarm: Alarm) -> None:
    alarm.set(1)
    assert wait(alarm, 0)


def test_setting_it_anew_takes_back_what_went_off(alarm: Alarm) -> None:
    alarm.set(1)
    assert wait(alarm, 0)
    alarm.set(time.monotonic_ns() + 3600 * 1_000_000_000)
    assert not wait(alarm, 0)
