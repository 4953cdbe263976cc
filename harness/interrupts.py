"""Ctrl-C and SIGTERM as events that a wait notices, never as exceptions in the middle of anything.

Python's own KeyboardInterrupt may strike between any two steps, in the middle of storing a cell or of stopping a
server. Here a signal only counts and writes a byte into a socket (Python's wake-up descriptor); whoever waits for
children waits for that socket too and raises `Interrupted` there, at a place that expects it.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):  # noqa: N818 - an event, not an error
    """The user asked the run to stop."""


class Interrupts:
    """Counts the signals that ask for an end while it is entered (in the main thread, as signals demand)."""

    def __init__(self) -> None:
        self.count = 0  # of signals so far
        self._told = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals."""
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        # A hang-up that the caller chose to ignore stays ignored: that is what `nohup` is for.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        wanted = [number for number in SIGNALS if number is not signal.SIGHUP or not ignored]
        self._before = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._receiver.close()
        self._sender.close()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a signal comes."""
        return self._receiver.fileno()

    def check(self) -> None:
        """Raise Interrupted once for every signal that came since the last time."""
        with contextlib.suppress(BlockingIOError):  # nothing came: the usual case
            self._receiver.recv(4096)
        if self.count > self._told:
            self._told = self.count
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
