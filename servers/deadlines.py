"""Deadlines that all lie equally far ahead: a queue instead of a heap.

Every message time-out is equal and so is every linger, so the first that was set is the first to run out. What is to
happen at a deadline is also its name: set again it moves to the end, voided it is gone at once. So a queue is never
longer than there are connections.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

OnExpiry = Callable[[], None]


class Deadlines:
    """A queue of deadlines, each `duration_s` after it was set; 0 means never."""

    def __init__(self, duration_s: float) -> None:
        self._duration_s = duration_s
        self._queue: OrderedDict[OnExpiry, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._queue)

    def set(self, on_expiry: OnExpiry) -> None:
        """Set a deadline from now, or move the one there is."""
        if self._duration_s > 0:
            self._queue[on_expiry] = time.monotonic() + self._duration_s
            self._queue.move_to_end(on_expiry)

    def void(self, on_expiry: OnExpiry) -> None:
        """Take a deadline back, if it was set."""
        self._queue.pop(on_expiry, None)

    def next_s(self) -> float | None:
        """Return the monotonic time of the next deadline, None where there is none."""
        return next(iter(self._queue.values()), None)

    def expired(self, now_s: float) -> Iterator[OnExpiry]:
        """Take out and yield what has run out by `now_s`."""
        while (at_s := self.next_s()) is not None and at_s <= now_s:
            yield self._queue.popitem(last=False)[0]
