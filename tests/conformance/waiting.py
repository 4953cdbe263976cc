"""Waiting for events with a deadline: the only place of the suite that sleeps.

What can be waited for on a descriptor is waited for there (peer.py, server_process.py). What only shows in /proc, such
as a process that has gone, is looked at again and again until it is so or the deadline has passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_PAUSE_S = 0.0002
LONGEST_PAUSE_S = 0.01


class Deadline:
    """A moment `patience_s` from now."""

    def __init__(self, patience_s: float) -> None:
        self._at_s = time.monotonic() + patience_s

    def remaining_s(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._at_s - time.monotonic())


def eventually(condition: Callable[[], bool], patience_s: float, sentence: str) -> None:
    """Wait until the condition holds; raises AssertionError with the sentence when it does not within the patience."""
    deadline, pause_s = Deadline(patience_s), FIRST_PAUSE_S
    while not condition():
        assert deadline.remaining_s() > 0, f"{sentence} (waited {patience_s:g} s)"
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
