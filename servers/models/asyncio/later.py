"""What is to be done later in an asyncio loop: one alarm, or timer, for waits that are all equally long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from servers.alarm import new_alarm
from servers.deadlines import Deadlines
from servers.work import Work


class Later:
    """See `servers.stepping.Later`; to be made in a running loop."""

    def __init__(self, work: Work | None) -> None:
        self._waits = Deadlines(work.wait_s if work else 0.0)
        self._alarm = new_alarm() if work and work.wait_s else None  # None: the loop's timers must do
        self._alarm_s: float | None = None  # what the alarm, or the timer, is set to
        if self._alarm is not None:
            asyncio.get_running_loop().add_reader(self._alarm.fileno(), self._expire)

    def wait(self, then: Callable[[], None]) -> None:
        """Call when the wait is over."""
        self._waits.set(then)
        if self._alarm_s is None:
            self._set_alarm()

    async def pause(self) -> None:
        """Return when the wait is over."""
        over = asyncio.Event()
        self.wait(over.set)
        await over.wait()

    def soon(self, then: Callable[[], None]) -> None:
        """Call in the loop's next turn."""
        asyncio.get_running_loop().call_soon(then)

    def void(self, then: Callable[[], None]) -> None:
        """Don't call after a wait any more."""
        self._waits.void(then)

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._alarm is not None:
            asyncio.get_running_loop().remove_reader(self._alarm.fileno())
            self._alarm.close()

    def _expire(self) -> None:
        for then in self._waits.expired(time.monotonic()):
            then()
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Set the alarm to the first wait's end; that also takes back that it rang."""
        next_s = self._waits.next_s()
        if self._alarm is not None:
            if next_s != self._alarm_s:
                self._alarm.set(next_s or 0.0)
        elif next_s is not None:
            asyncio.get_running_loop().call_later(max(0.0, next_s - time.monotonic()), self._expire)
        self._alarm_s = next_s
