"""Deadlines that all lie equally far ahead: a queue instead of a heap.

Every message time-out is equal and so is every linger, so the first that was set is the first to run out. A deadline
that is no longer wanted stays in the queue as a ticket that was voided, and is dropped when its turn comes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator


class Ticket:
    """One deadline; void it by `wanted = False`."""

    __slots__ = ("at_s", "on_expiry", "wanted")

    def __init__(self, at_s: float, on_expiry: Callable[[], None]) -> None:
        self.at_s = at_s
        self.on_expiry = on_expiry
        self.wanted = True


class Deadlines:
    """A queue of deadlines, each `duration_s` after it was set; 0 means never."""

    def __init__(self, duration_s: float) -> None:
        self._duration_s = duration_s
        self._queue: deque[Ticket] = deque()

    def set(self, on_expiry: Callable[[], None]) -> Ticket:
        """Set a deadline from now."""
        ticket = Ticket(time.monotonic() + self._duration_s, on_expiry)
        if self._duration_s > 0:
            self._queue.append(ticket)
        return ticket

    def next_s(self) -> float | None:
        """Return the monotonic time of the next deadline, None where there is none."""
        while self._queue and not self._queue[0].wanted:
            self._queue.popleft()
        return self._queue[0].at_s if self._queue else None

    def expired(self, now_s: float) -> Iterator[Ticket]:
        """Take out and yield what has run out by `now_s`."""
        while (at_s := self.next_s()) is not None and at_s <= now_s:
            yield self._queue.popleft()
