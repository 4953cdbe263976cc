"""A descriptor that becomes readable at a given time.

The time-outs of `select`, `poll`, `epoll` and asyncio's timers are whole milliseconds and rounded up: an idle loop that
is to wait 5 ms would wait up to 6, and a thread that sleeps 5.1. That would be a difference between models that is none
of theirs. A timerfd is a descriptor that the kernel makes readable at an absolute time in nanoseconds; a loop waits for
it as for any other. Python has such calls from 3.13 on; here they are reached in the C library, in every version alike.
Only Linux has them: elsewhere a loop's time-out must do.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

_NS_PER_S = 1_000_000_000
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class Alarm:
    """A timerfd on the monotonic clock; to be watched for reading. Linux only."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            self._fail("timerfd_create")
        self._spec = (ctypes.c_long * 4)()  # struct itimerspec: interval and first expiry, each in s and ns
        self._settime = self._libc.timerfd_settime

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._descriptor

    def set(self, at_s: float) -> None:
        """Make the descriptor readable at a monotonic time, and not before; 0 is never."""
        self._spec[2], self._spec[3] = divmod(int(at_s * _NS_PER_S), _NS_PER_S)
        if self._settime(self._descriptor, _ABSOLUTE, self._spec, None) != 0:
            self._fail("timerfd_settime")

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def _fail(self, call: str) -> None:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")


def new_alarm() -> Alarm | None:
    """Return an alarm, None where the platform has none."""
    return Alarm() if sys.platform == "linux" else None
