"""The sampler: a thread that reads the accounts of server and load generator, exactly at the ends of every window.

The load generator announces a window before it opens, in the clock that all processes of a host share. The sampler
keeps a small agenda of what is due when, sleeps to each instant and reads. There are three kinds of entries:

* the two ends of a window: the CPU clocks are read at the instants themselves; what is slow to read, the time of every
  thread, is read before the opening and after the closing;
* memory, from the moment when all connections are up, over and over: connected means that the kernel took the
  connections, a server that forks needs some more time for its children. The last reading counts. Walking page tables
  disturbs the server, so none is made in a window, and one that is not through when a window comes near is given up.
  After the last window connections may be going down already, so a reading needs a window ahead;
* the time series, ten times a second on small trees. Each sample is paid for in the sampler's own CPU time, and the
  next one waits until it costs no more than 1 % of a CPU. The harness is pinned to the load generator's CPUs, so what
  the sampler uses is taken from the generator, never from the server.

An error in here would leave a hole in a record, so it is kept and raised in the thread that stops the sampler.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from harness.machine import MachineState, read_machine
from harness.memory import TreeMemory, read_memory
from harness.proctree import ThreadTimes, TreeCpu, read_cpu, read_thread_times

LEAD_NS = 40_000_000  # reading begins so long before an end of a window, less than the notice that it is given
SERIES_EVERY_S = 0.1
BUDGET = 0.01  # of one CPU
MEMORY_EVERY_S = 0.1
MEMORY_REST = 10  # times as long as a reading took does the server get to itself before the next


@dataclass(frozen=True)
class End:
    """Everything that was read at one end of a window."""

    due_monotonic_ns: int
    server: TreeCpu
    loadgen: TreeCpu
    machine: MachineState
    thread_times: ThreadTimes
    thread_times_at_ns: int


@dataclass
class Series:
    """The time series, a list a column: when, CPU seconds since each program's start, processes and threads."""

    slowest_every_s: float = SERIES_EVERY_S
    monotonic_ns: list[int] = field(default_factory=list)
    server_cpu_s: list[float] = field(default_factory=list)
    loadgen_cpu_s: list[float] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def add(self, server: TreeCpu, loadgen: TreeCpu) -> None:
        """Append one sample."""
        self.monotonic_ns.append(server.at_monotonic_ns)
        self.server_cpu_s.append(round(server.total_ns / 1e9, 6))
        self.loadgen_cpu_s.append(round(loadgen.total_ns / 1e9, 6))
        self.processes.append(server.processes)
        self.threads.append(server.threads)

    def as_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        columns = dict(vars(self))
        return {"every_s": columns.pop("slowest_every_s"), **columns}


@dataclass
class Accounts:
    """What the sampler has read: the machine before any connection, both ends by window, memory, the time series."""

    openings: dict[int, End] = field(default_factory=dict)
    closings: dict[int, End] = field(default_factory=dict)
    machine_before: MachineState | None = None
    connected_memory: TreeMemory | None = None
    series: Series = field(default_factory=Series)


Job = Callable[[], None]


class Sampler:
    """Reads accounts in a thread of its own while it is entered; `accounts` grows until `stop` hands them over."""

    def __init__(self, server_pid: int, loadgen_pid: int, udp_port: int | None = None) -> None:
        self._server_pid = server_pid
        self._loadgen_pid = loadgen_pid
        self._udp_port = udp_port  # of a server over UDP: what its sockets dropped is read too
        self.accounts = Accounts()
        self._agenda: list[tuple[int, int, Job]] = []
        self._serial = itertools.count()  # two entries of the same nanosecond keep their order
        self._windows_ns: list[tuple[int, int]] = []
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
        """Take note that all connections are up: memory is read from now on, outside of windows."""
        self._enter_job(time.monotonic_ns(), self._read_memory)

    def announce(self, window: int, opens_monotonic_ns: int, closes_monotonic_ns: int) -> None:
        """Enter both ends of a window."""
        with self._changed:
            self._windows_ns.append((opens_monotonic_ns, closes_monotonic_ns))
        self._enter_job(opens_monotonic_ns - LEAD_NS, lambda: self._open(window, opens_monotonic_ns))
        self._enter_job(closes_monotonic_ns - LEAD_NS, lambda: self._close(window, closes_monotonic_ns))

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
        try:
            while (job := self._next_job()) is not None:
                job()
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
        self.accounts.series.add(read_cpu(self._server_pid), read_cpu(self._loadgen_pid))
        spent_s += time.thread_time()
        every_s = max(SERIES_EVERY_S, spent_s / BUDGET)
        self.accounts.series.slowest_every_s = max(self.accounts.series.slowest_every_s, round(every_s, 3))
        self._enter_job(time.monotonic_ns() + int(every_s * 1e9), self._sample)

    def _open(self, window: int, opens_ns: int) -> None:
        thread_times_at_ns = time.monotonic_ns()
        thread_times = read_thread_times(self._server_pid)
        server, loadgen, machine = self._read_accounts(opens_ns)
        self.accounts.openings[window] = End(opens_ns, server, loadgen, machine, thread_times, thread_times_at_ns)

    def _close(self, window: int, closes_ns: int) -> None:
        server, loadgen, machine = self._read_accounts(closes_ns)
        thread_times_at_ns = time.monotonic_ns()
        thread_times = read_thread_times(self._server_pid)
        self.accounts.closings[window] = End(closes_ns, server, loadgen, machine, thread_times, thread_times_at_ns)

    def _read_accounts(self, at_ns: int) -> tuple[TreeCpu, TreeCpu, MachineState]:
        server = read_cpu(self._server_pid, at_ns)
        return server, read_cpu(self._loadgen_pid), read_machine(self._udp_port)

    def _read_memory(self) -> None:
        began_ns = time.monotonic_ns()
        memory = None
        if self._memory_may_be_read():
            memory = read_memory(self._server_pid, must_stop=lambda: not self._memory_may_be_read())
        self.accounts.connected_memory = memory or self.accounts.connected_memory
        now_ns = time.monotonic_ns()
        self._enter_job(now_ns + max(int(MEMORY_EVERY_S * 1e9), MEMORY_REST * (now_ns - began_ns)), self._read_memory)

    def _memory_may_be_read(self) -> bool:
        """Tell whether no window is open or near, and one is ahead (as long as none was announced, one is)."""
        now_ns = time.monotonic_ns()
        with self._changed:
            windows = list(self._windows_ns)
        if any(opens_ns - LEAD_NS < now_ns < closes_ns for opens_ns, closes_ns in windows):
            return False
        return not windows or any(now_ns < opens_ns for opens_ns, _ in windows)
