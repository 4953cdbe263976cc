"""How a server learns that it shall stop: a flag, a deadline, and a descriptor that wakes whatever waits.

A signal handler that only sets a flag does not end a blocking call: Python repeats calls that a signal interrupts. So
the interpreter also writes each signal's number into a pipe (`signal.set_wakeup_fd`), and every loop waits on that pipe
beside its sockets; a forked child, which waits on nothing but its connection, has that shut down. SIGCHLD is in the
pipe for the same reason: a child that ends must wake the loop that reaps it. A handler that asks for a drain writes to
the pipe too, because an event loop may have put a descriptor of its own in the place of ours (uvloop does).

Only the root of the tree counts signals: the first SIGTERM or SIGINT asks for a drain, the second ends everything at
once with exit code 130. A terminal sends SIGINT to the whole group, so children ignore it; they drain on the root's
SIGTERM and don't count.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

EXIT_AT_ONCE = 130
_STOPPING = (signal.SIGTERM, signal.SIGINT)
FORK_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class StopSignal:
    """Whether to stop, until when, and a descriptor that is readable when a signal came."""

    def __init__(self, drain_timeout_s: float) -> None:
        self.requested = False
        self._drain_timeout_s = drain_timeout_s
        self._deadline_s = float("inf")
        self._before_exit: Callable[[], None] = lambda: None
        self._before: dict[int, Any] = {}  # the handlers that `restore` gives back
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    def fileno(self) -> int:
        """Return the descriptor to wait on; `clear` it when it was readable."""
        return self._read_end

    def remaining_s(self) -> float:
        """Return the seconds left until the drain deadline, never negative, infinite while nobody asked to stop."""
        return max(0.0, self._deadline_s - time.monotonic())

    def clear(self) -> None:
        """Read off what woke the loop."""
        try:
            while os.read(self._read_end, 512):
                pass
        except BlockingIOError:
            return

    def install(self, before_exit: Callable[[], None]) -> None:
        """Take over the signals in the root; `before_exit` runs when a second signal ends it at once."""
        self._before_exit = before_exit
        if not self._before:
            self._before = {number: signal.getsignal(number) for number in (*_STOPPING, signal.SIGCHLD)}
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in _STOPPING:
            signal.signal(number, self._on_root)
        signal.signal(signal.SIGCHLD, _wake_only)

    def install_in_child(self, on_stop: Callable[[], None] | None = None) -> None:
        """Take over the signals in a forked child; `on_stop` wakes what can't wait on the descriptor."""
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

        def on_term(_number: int, _frame: FrameType | None) -> None:
            self._request()
            if on_stop is not None:
                on_stop()

        signal.signal(signal.SIGTERM, on_term)

    def close(self) -> None:
        """Close the pipe; in a child, the copy that it inherited."""
        os.close(self._read_end)
        os.close(self._write_end)

    def restore(self) -> None:
        """Give the signals back (for a root that goes on after its service, as tests and benchmarks do)."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.close()

    def _request(self) -> None:
        if not self.requested:
            self.requested = True
            self._deadline_s = time.monotonic() + self._drain_timeout_s
            with suppress(BlockingIOError):  # it is full: whoever waits is awake
                os.write(self._write_end, b"\0")

    def _on_root(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            self._before_exit()
            sys.stdout.flush()
            os._exit(EXIT_AT_ONCE)
        self._request()


def _wake_only(_number: int, _frame: FrameType | None) -> None:
    """Let the wake-up descriptor be written; a signal without a Python handler does not write it."""
