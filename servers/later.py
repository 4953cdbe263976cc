"""What a hand-written loop does later: waits that are all equally long, and turns.

The waits' end is an `Alarm` that the loop watches beside its sockets, where the platform has one; else it is the loop's
time-out, which asks `next_s`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from servers.alarm import new_alarm
from servers.deadlines import Deadlines
from servers.work import Work


class Later:
    """See `servers.stepping.Later`; the loop sleeps until `next_s` at most, and calls `run` when it has slept."""

    def __init__(self, work: Work | None) -> None:
        self._waits = Deadlines(work.wait_s if work else 0.0)
        self._turns: list[Callable[[], None]] = []
        self._alarm = new_alarm() if work and work.wait_s else None
        self._alarm_s: float | None = None  # what the alarm is set to

    def descriptors(self) -> list[int]:
        """Return what the loop must watch for reading, and then `run`: one descriptor or none."""
        return [self._alarm.fileno()] if self._alarm else []

    def wait(self, then: Callable[[], None]) -> None:
        """Call when the wait is over."""
        self._waits.set(then)
        if self._alarm_s is None:
            self._set_alarm()

    def soon(self, then: Callable[[], None]) -> None:
        """Call when all others have been looked at."""
        self._turns.append(then)

    def void(self, then: Callable[[], None]) -> None:
        """Don't call after a wait any more."""
        self._waits.void(then)

    def next_s(self) -> float | None:
        """Return the monotonic time until which the loop may sleep, None where a descriptor wakes it, or nothing."""
        if self._turns:
            return 0.0
        return None if self._alarm else self._waits.next_s()

    def sleep_s(self, most_s: float = inf) -> float | None:
        """Return for how many seconds the loop may sleep, at most so long; None is for ever."""
        next_s = self.next_s()
        left_s = most_s if next_s is None else min(most_s, max(0.0, next_s - time.monotonic()))
        return None if left_s == inf else left_s

    def run(self) -> None:
        """Do what is due."""
        if self._alarm_s is not None or self._waits.next_s() is not None:
            for then in self._waits.expired(time.monotonic()):
                then()
            self._set_alarm()
        if self._turns:
            turns, self._turns = self._turns, []
            for then in turns:
                then()

    def close(self) -> None:
        """Give the alarm's descriptor back."""
        if self._alarm is not None:
            self._alarm.close()

    def _set_alarm(self) -> None:
        """Set the alarm to the first wait's end; that also takes back that it rang."""
        next_s = self._waits.next_s()
        if self._alarm is not None and next_s != self._alarm_s:
            self._alarm.set(next_s or 0.0)
            self._alarm_s = next_s
