"""A descriptor that becomes readable at a given time.

epoll's and gevent's time-outs are whole milliseconds: at 5,000 requests/s, a due time 200 us away would be met 638 us
late at the median. A timerfd is a file descriptor that the kernel makes readable at an absolute time in nanoseconds;
in the engine's own epoll it wakes the engine like a reply does (late by 87 us at the median, most of it the wake-up).

Setting an alarm replaces the one before and takes back an expiry that nobody has read. Python has these calls from
3.13 on; before, they are reached in the C library.
"""

from __future__ import annotations

import ctypes
import os
import time

_NS_PER_S = 1_000_000_000
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1


class _Spec(ctypes.Structure):
    """`struct itimerspec`: interval and first expiry, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """A timerfd on the monotonic clock; `fd` goes into an epoll. Linux only."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self.fd < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"timerfd_create: {os.strerror(error)}")
        self._spec = _Spec()
        self._spec_address = ctypes.byref(self._spec)
        self._settime = self._libc.timerfd_settime

    def set(self, at_ns: int) -> None:
        """Make `fd` readable at a time of the monotonic clock; at once when that is past."""
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, _NS_PER_S)
        if self._settime(self.fd, _TFD_TIMER_ABSTIME, self._spec_address, None) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"timerfd_settime: {os.strerror(error)}")

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)
