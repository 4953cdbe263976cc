"""The CPU time of a process tree at an instant, whatever forks and ends meanwhile.

A server may be one process or a thousand that come and go. What it has used is

    the own time of every live process  +  what those have collected from children they waited for.

The own time is the process's CPU clock (`clock_gettime` on a clock made from the process's number): nanoseconds, one
system call of 0.3 us, and it still answers for a process that has ended and was not waited for. `/proc/<pid>/stat`
would count in ticks of 10 ms: a thousand children that used 0.75 ms each read 0 there. The collected time (`cutime`,
`cstime`) stands only in `stat`; the kernel adds it up in nanoseconds and rounds the sum, so little is lost.

The trap is the child that ends while we look. Waited for before its clock is read, its time is in its parent's
`cutime`, so that is read after the clocks. Clock read, then waited for, then `cutime` read: counted twice. So `cutime`
is read before and after the burst of clock readings, and where it moved both are read again. A tree that never holds
still is taken as last read, and says so in `settled`; what may then be counted twice or not at all is what its children
had used that were waited for within one burst.

A child that was forked since the tree was listed is missing. So when the instant has come the listing is brought up to
date once more (`proctree`), which takes microseconds: what is missing then is younger than the burst.

User and system time come from two more clocks. The kernel only samples them, at each tick of its own (1 to 10 ms), so
they are taken as proportions of the total. Summed over a tree that is a fair sample, however little each process used;
of a child that was waited for and saw no tick, the kernel counts all as user time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from harness.procfs import NS_PER_TICK
from harness.proctree import Listing, Process, TreeLister, read_process

ATTEMPTS = 5

# How Linux numbers the CPU clocks of another process, see clock_getcpuclockid(3): the inverted process number shifted
# by three bits, and which of its clocks. The scheduler's counts nanoseconds, the other two are sampled.
SAMPLED_CLOCK, SAMPLED_USER_CLOCK, SCHEDULER_CLOCK = 0, 1, 2


@dataclass(frozen=True)
class TreeCpu:
    """What a tree had used up to `at_monotonic_ns`; `total_ns` is exact, user and system only give the proportions."""

    at_monotonic_ns: int
    total_ns: int
    user_sampled_ns: int
    system_sampled_ns: int
    processes: int
    threads: int
    settled: bool


class TreeClock:
    """Reads the CPU time of one tree again and again."""

    def __init__(self, root_pid: int) -> None:
        self.root_pid = root_pid
        self._lister = TreeLister(root_pid)

    @property
    def last_listed(self) -> Listing:
        """Return the tree's processes as of the last reading."""
        return self._lister.last

    def list(self) -> Listing:
        """Return the tree's processes; some of them may have ended."""
        return self._lister.list()

    def read(self, at_monotonic_ns: int = 0, *, split: bool = True) -> TreeCpu:
        """Return what the tree has used at an instant (at once when the instant is past).

        The listing is done before the instant, so that only what joined the tree since and the burst of clock readings
        stand at it. Without `split` user and system time are not read.
        """
        if at_monotonic_ns > time.monotonic_ns():
            self.list()
            sleep_until(at_monotonic_ns)
        for _ in range(ATTEMPTS):
            listing = self.list()
            before = _reaped_ticks(_read_all(listing.watched))
            read_at_ns = time.monotonic_ns()
            clocks_ns = {pid: ns for pid in listing.processes if (ns := cpu_clock_ns(pid)) is not None}
            watched = _read_all(listing.watched & clocks_ns.keys())
            settled = _reaped_ticks(watched) == before
            if settled:
                break
        if len(clocks_ns) < len(listing.processes):
            self._lister.forget(listing.processes.keys() - clocks_ns.keys())
        if self.root_pid not in clocks_ns:
            return TreeCpu(read_at_ns, 0, 0, 0, 0, 0, settled=True)
        user_ticks, system_ticks = (sum(ticks) for ticks in zip((0, 0), *_reaped_ticks(watched).values(), strict=True))
        user_ns, system_ns = _sampled_ns(clocks_ns) if split else (0, 0)
        return TreeCpu(
            at_monotonic_ns=read_at_ns,
            total_ns=sum(clocks_ns.values()) + (user_ticks + system_ticks) * NS_PER_TICK,
            user_sampled_ns=user_ns + user_ticks * NS_PER_TICK,
            system_sampled_ns=system_ns + system_ticks * NS_PER_TICK,
            processes=len(clocks_ns),
            threads=len(clocks_ns.keys() - listing.watched) + sum(process.threads for process in watched.values()),
            settled=settled,
        )


def read_cpu(root_pid: int, at_monotonic_ns: int = 0) -> TreeCpu:
    """Return what a tree has used at an instant (at once when the instant is past), read this once."""
    return TreeClock(root_pid).read(at_monotonic_ns)


def _read_all(pids: Iterable[int]) -> dict[int, Process]:
    return {pid: process for pid in pids if (process := read_process(pid)) is not None}


def _reaped_ticks(processes: dict[int, Process]) -> dict[int, tuple[int, int]]:
    return {pid: (process.reaped_user_ticks, process.reaped_system_ticks) for pid, process in processes.items()}


def cpu_clock_ns(pid: int, clock: int = SCHEDULER_CLOCK) -> int | None:
    """Return the nanoseconds of CPU that a process has used itself, or None where it is gone."""
    try:
        return time.clock_gettime_ns((~pid << 3) | clock)
    except OSError:  # EINVAL: no such process
        return None


def _sampled_ns(pids: Iterable[int]) -> tuple[int, int]:
    """Return user and system time as the kernel's ticks have sampled them, over processes."""
    user_ns = both_ns = 0
    for pid in pids:
        user, both = cpu_clock_ns(pid, SAMPLED_USER_CLOCK), cpu_clock_ns(pid, SAMPLED_CLOCK)
        if user is not None and both is not None:
            user_ns += user
            both_ns += both
    return user_ns, max(0, both_ns - user_ns)


def sleep_until(monotonic_ns: int) -> None:
    """Sleep until an instant of CLOCK_MONOTONIC; return at once when it is past."""
    left_ns = monotonic_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns / 1e9)
