"""Forked children: made, counted, reaped, ended. What `fork` and `hybrid` share.

**The moment of the fork** is where servers lose signals or handle them twice: a signal between `fork` and the child's
own handlers would run the parent's handlers in the child. So the stop signals are blocked around it, and the child
unblocks them when its handlers stand.

**A child never outlives its root.** It asks the kernel for a signal at its parent's death (Linux), and checks that the
parent was still there when it asked. The kernel sends that signal when the *thread* that forked ends: fork from the
main thread only.

**A child never returns** into the code that forked it: it leaves by `os._exit`, with 1 and a traceback if something
went wrong in it, and the root says so.

Children are reaped as they end. `SIGCHLD` set to be ignored would be simpler, and would lose their CPU time to every
accounting.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from servers.contract import FINISHED, LIVE
from servers.signals import FORK_SIGNALS, StopSignal
from servers.tally import Rows

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

# A child's work: given its row of counters and the stop signal that it must install, serve and return.
Work = Callable[[memoryview, StopSignal], None]


class Children:
    """The live children of the root, each with its row of counters."""

    def __init__(self, ledger: Rows, stop: StopSignal, drain_timeout_s: float) -> None:
        self._ledger = ledger
        self._stop = stop
        self._drain_timeout_s = drain_timeout_s
        self._rows: dict[int, memoryview] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, pid: int) -> bool:
        return pid in self._rows

    def fork(self, work: Work, live: int = 0) -> int:
        """Fork a child that does `work` and holds `live` connections; return its process id.

        Raises OSError where the system has no room for another process.
        """
        row = self._ledger.open()
        row[LIVE] = live
        root = os.getpid()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, FORK_SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_child(root, work, row)
            self._rows[pid] = row
            return pid
        except OSError:
            self._ledger.close(row)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def reap(self) -> list[int]:
        """Collect the children that have ended; return their process ids."""
        ended = []
        while self._rows:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid in self._rows:  # else it was inherited from whoever started the server
                ended.append(pid)
                self._forget(pid, status)
        return ended

    def row(self, pid: int) -> memoryview:
        """Return what a live child counts into."""
        return self._rows[pid]

    def unfinished(self) -> int:
        """Return how many connections the children hold whose replies are not all with the system."""
        return sum(row[LIVE] for row in self._rows.values() if not row[FINISHED])

    def wait(self, seconds: Callable[[], float], on_end: Callable[[], object]) -> bool:
        """Reap until no child is left or `seconds()` has run down; tell whether none is left."""
        while self._rows and seconds() > 0:
            on_end()
            self.reap()
        return not self._rows

    def terminate(self, *pids: int) -> None:
        """Ask some children to drain, or all."""
        self._signal(signal.SIGTERM, pids)

    def kill(self, *pids: int) -> None:
        """End some children at once, or all."""
        self._signal(signal.SIGKILL, pids)

    def kill_and_wait(self) -> None:
        """End every child at once and collect it."""
        self.kill()
        for pid in list(self._rows):
            self._forget(pid, os.waitpid(pid, 0)[1], expected=True)

    def _signal(self, number: int, pids: tuple[int, ...]) -> None:
        for pid in pids or tuple(self._rows):
            with suppress(ProcessLookupError):  # ended and not yet reaped by us
                os.kill(pid, number)

    def _forget(self, pid: int, status: int, *, expected: bool = False) -> None:
        code = os.waitstatus_to_exitcode(status)
        row = self._rows.pop(pid)
        self._ledger.close(row)
        if code != 0 and not expected:
            how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
            log.warning("child %d %s", pid, how)

    def _be_child(self, root: int, work: Work, row: memoryview) -> None:
        """Run in the child, never return."""
        code = 1
        try:
            die_with_parent(root)
            self._stop.close()
            self._rows = {}
            work(row, StopSignal(self._drain_timeout_s))
            code = 0
        except BaseException:  # noqa: BLE001  # whatever it was, the child must not go on as a second root
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)


def fork_unavailable() -> str | None:
    """Return why this platform can't fork, None where it can."""
    return None if hasattr(os, "fork") else "this platform has no fork()"


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent ends, and end now if it already has."""
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def unblock_stop_signals() -> None:
    """Let a child receive signals, once its own handlers stand."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORK_SIGNALS)
