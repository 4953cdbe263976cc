"""The sampler: a thread that reads the accounts of server and load generator, exactly at the ends of every window.

The load generator announces a window before it opens, in the clock that all processes of a host share. The sampler
keeps a small agenda of what is due when, sleeps to each instant and reads. There are three kinds of entries:

* the two ends of a window: the CPU clocks are read at the instants themselves; what is slow to read, every thread, is
  read before the opening and after the closing. What is read before an end begins the earlier the more threads there
  are;
* memory: once when all connections are up, and again shortly before each window. Connected means that the kernel took
  the connections, a server that forks needs some more time for its children, so the last reading counts. Walking page
  tables disturbs the server, so none is made in a window, and one that is not through when a window comes near is given
  up. After the last window connections may be going down already, so a reading needs a window ahead;
* the time series, ten times a second on small trees. Each sample is paid for in the sampler's own CPU time, and the
  next one waits until the series costs no more than 0.5 % of a CPU, which leaves as much to the ends.

The harness is pinned to the load generator's CPUs, so what the sampler uses is taken from the generator, never from the
server. How much that is, is kept with every window: from the first reading for its opening to the last for its closing.

An error in here would leave a hole in a record, so it is kept and raised in the thread that stops the sampler.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from harness.accounts import SERIES_EVERY_S, Accounts, End, HeldMemory
from harness.cputime import TreeClock, TreeCpu
from harness.machine import MachineState, read_machine
from harness.memory import TreeMemory, read_memory, tree_rss
from harness.threads import Threads, read_threads

LEAD_NS = 40_000_000  # reading begins so long before an end of a window, less than the notice that it is given
LEAD_A_THREAD_NS = 15_000  # and so much longer for each thread of the tree
BUDGET = 0.005  # of one CPU
RSS_PROCESSES_MOST = 100  # the series has RSS of trees up to here: a file a process


@dataclass(frozen=True)
class _Tree:
    """One side: its CPU clock, and its processes as last sampled."""

    clock: TreeClock

    def threads(self) -> Threads:
        """Return its threads."""
        return read_threads(self.clock.list())

    def rss_bytes(self) -> int | None:
        """Return its resident sets, None where they are too many to be read this often."""
        processes = self.clock.last_listed.processes
        return tree_rss(processes) if len(processes) <= RSS_PROCESSES_MOST else None


Job = Callable[[], None]


class Sampler:
    """Reads accounts in a thread of its own while it is entered; `accounts` grows until `stop` hands them over."""

    def __init__(self, server_pid: int, loadgen_pid: int, udp_port: int | None = None) -> None:
        self._server = _Tree(TreeClock(server_pid))
        self._loadgen = _Tree(TreeClock(loadgen_pid))
        self._udp_port = udp_port  # of a server over UDP: what its sockets dropped is read too
        self.accounts = Accounts()
        self._agenda: list[tuple[int, int, Job]] = []
        self._serial = itertools.count()  # two entries of the same nanosecond keep their order
        self._windows_ns: list[tuple[int, int]] = []
        self._memory_took_ns = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread, with the time series as its first job."""
        self.accounts.machine_before = read_machine(self._udp_port)
        self._enter_job(time.monotonic_ns(), self._sample)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread; what it read so far is kept."""
        self._end_thread()

    @property
    def is_reading(self) -> bool:
        """Tell whether the thread still runs: it ends when it is stopped, or when something goes wrong."""
        return self._thread.is_alive()

    def connected(self) -> None:
        """Take note that all connections are up: memory is read, unless a window is open or near."""
        self._enter_job(time.monotonic_ns(), self._read_memory)

    def announce(self, window: int, opens_monotonic_ns: int, closes_monotonic_ns: int) -> None:
        """Enter both ends of a window, and the reading of memory before it."""
        with self._changed:
            self._windows_ns.append((opens_monotonic_ns, closes_monotonic_ns))
        lead_ns = self._lead_ns()
        memory_lead_ns = lead_ns + LEAD_NS + 2 * self._memory_took_ns
        self._enter_job(opens_monotonic_ns - memory_lead_ns, self._read_memory)
        self._enter_job(opens_monotonic_ns - lead_ns, lambda: self._open(window, opens_monotonic_ns))
        self._enter_job(closes_monotonic_ns - LEAD_NS, lambda: self._close(window, closes_monotonic_ns))

    def _lead_ns(self) -> int:
        threads = self.accounts.series.threads[-1:] or [0]
        return LEAD_NS + threads[0] * LEAD_A_THREAD_NS

    def stop(self) -> Accounts:
        """End the thread and return the accounts; raise what went wrong in the thread, if anything did."""
        self._end_thread()
        if self._error is not None:
            raise self._error
        return self.accounts

    def _end_thread(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _enter_job(self, due_ns: int, job: Job) -> None:
        with self._changed:
            heapq.heappush(self._agenda, (due_ns, next(self._serial), job))
            self._changed.notify()

    def _run(self) -> None:
        began_ns = time.monotonic_ns()
        try:
            while (job := self._next_job()) is not None:
                job()
                self.accounts.spent_s = time.thread_time()
                self.accounts.lived_s = (time.monotonic_ns() - began_ns) / 1e9
        except Exception as error:  # noqa: BLE001 - raised again in the thread that calls stop()
            self._error = error

    def _next_job(self) -> Job | None:
        """Wait for the next entry of the agenda; None when there is nothing more to do."""
        with self._changed:
            while not self._stopping:
                wait_ns = self._agenda[0][0] - time.monotonic_ns() if self._agenda else None
                if wait_ns is not None and wait_ns <= 0:
                    return heapq.heappop(self._agenda)[2]
                self._changed.wait(None if wait_ns is None else wait_ns / 1e9)
        return None

    def _sample(self) -> None:
        spent_s = -time.thread_time()
        series = self.accounts.series
        server, loadgen = (side.clock.read(split=False) for side in (self._server, self._loadgen))
        series.add(server, loadgen, self._server.rss_bytes(), self._loadgen.rss_bytes())
        spent_s += time.thread_time()
        every_s = max(SERIES_EVERY_S, spent_s / BUDGET)
        series.slowest_every_s = max(series.slowest_every_s, round(every_s, 3))
        self._enter_job(time.monotonic_ns() + int(every_s * 1e9), self._sample)

    def _open(self, window: int, opens_ns: int) -> None:
        spent_s, loadgen_threads, threads_at_ns = time.thread_time(), self._loadgen.threads(), time.monotonic_ns()
        server_threads = self._server.threads()
        server, loadgen, machine = self._read_accounts(opens_ns)
        self.accounts.openings[window] = End(
            opens_ns, server, loadgen, machine, server_threads, loadgen_threads, threads_at_ns, spent_s
        )
        self.accounts.window_memory[window] = self.accounts.memory

    def _close(self, window: int, closes_ns: int) -> None:
        server, loadgen, machine = self._read_accounts(closes_ns)
        threads_at_ns = time.monotonic_ns()
        server_threads, loadgen_threads = self._server.threads(), self._loadgen.threads()
        self.accounts.closings[window] = End(
            closes_ns, server, loadgen, machine, server_threads, loadgen_threads, threads_at_ns, time.thread_time()
        )

    def _read_accounts(self, at_ns: int) -> tuple[TreeCpu, TreeCpu, MachineState]:
        server = self._server.clock.read(at_ns)
        return server, self._loadgen.clock.read(), read_machine(self._udp_port)

    def _read_memory(self) -> None:
        began_ns = time.monotonic_ns()
        server = self._memory_of(self._server)
        if server is not None:
            self.accounts.memory = HeldMemory(server, self._memory_of(self._loadgen) or self.accounts.memory.loadgen)
        self._memory_took_ns = max(self._memory_took_ns, time.monotonic_ns() - began_ns)

    def _memory_of(self, side: _Tree) -> TreeMemory | None:
        if not self._memory_may_be_read():
            return None
        return read_memory(side.clock.root_pid, must_stop=lambda: not self._memory_may_be_read())

    def _memory_may_be_read(self) -> bool:
        """Tell whether no window is open or near, and one is ahead (as long as none was announced, one is)."""
        now_ns, lead_ns = time.monotonic_ns(), self._lead_ns()
        with self._changed:
            windows = list(self._windows_ns)
        if any(opens_ns - lead_ns < now_ns < closes_ns for opens_ns, closes_ns in windows):
            return False
        return not windows or any(now_ns < opens_ns for opens_ns, _ in windows)
