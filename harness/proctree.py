"""The CPU time of a process tree at an instant, whatever forks and ends meanwhile.

A server may be one process or a thousand that come and go. What it has used is

    the own time of every live process  +  what those have collected from children they waited for.

The own time is the process's CPU clock (`clock_gettime` on a clock made from the process's number): nanoseconds, one
system call, and it still answers for a process that has ended and was not waited for. `/proc/<pid>/stat` would count
in ticks of 10 ms: a thousand children that used 0.75 ms each read 0 there. The collected time (`cutime`, `cstime`)
stands only in `stat`; the kernel adds it up in nanoseconds and rounds the sum, so little is lost.

The trap is the child that ends while we look. Listed, then waited for by its parent before its clock is read: the
clock is gone and the time now stands in the parent's `cutime`, so the parent must be read after it. Clock read, then
waited for, then `cutime` read: counted twice. So the tree is listed before and after the burst of clock readings, and
where a process or a collected time differs, all is read again. A tree that never holds still (a process a connection
under heavy churn) is taken as last read, and says so in `settled`.

A process is known by its number and its start time: numbers are reused.

The split into user and system time is taken from the ticks of `stat`, as a proportion of the total.

What breaks first: a descendant whose parent ended is adopted by process 1 and leaves the tree; its time is lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from harness.procfs import NS_PER_TICK, list_proc, read_proc

ATTEMPTS = 5

# How Linux numbers the CPU clock of another process, see clock_getcpuclockid(3): the inverted process number shifted
# by three bits; the 2 asks for the scheduler's clock, user and system time together, in nanoseconds.
SCHEDULER_CLOCK = 2


@dataclass(frozen=True)
class Process:
    """One process as `/proc/<pid>/stat` shows it; times in clock ticks."""

    pid: int
    start_ticks: int
    user_ticks: int
    system_ticks: int
    reaped_user_ticks: int
    reaped_system_ticks: int
    threads: int

    @property
    def identity(self) -> tuple[int, int]:
        """Return what tells this process from a later one of the same number."""
        return self.pid, self.start_ticks


@dataclass(frozen=True)
class TreeCpu:
    """What a tree had used up to `at_monotonic_ns`; `total_ns` is exact, the ticks only give the proportions."""

    at_monotonic_ns: int
    total_ns: int
    user_ticks: int
    system_ticks: int
    processes: int
    threads: int
    settled: bool


# (process number, its start time, thread number) -> nanoseconds on a CPU
ThreadTimes = Mapping[tuple[int, int, int], int]


def read_process(pid: int) -> Process | None:
    """Return a process, or None where there is none of this number."""
    stat = read_proc(f"/proc/{pid}/stat")
    if not stat:
        return None
    # The name in parentheses may hold blanks and parentheses itself; all that follows is numbers.
    fields = stat[stat.rindex(b")") + 2 :].split()
    user, system, reaped_user, reaped_system = (int(field) for field in fields[11:15])
    return Process(pid, int(fields[19]), user, system, reaped_user, reaped_system, threads=int(fields[17]))


def read_tree(root_pid: int) -> dict[int, Process]:
    """Return the live and the not yet waited for processes of a tree by number; empty when the root is gone."""
    if not _kernel_lists_children():
        return _read_all([root_pid, *_descendants_by_search(root_pid)])
    tree: dict[int, Process] = {}
    generation = [root_pid]
    while generation:
        found = _read_all(generation)
        tree.update(found)
        generation = [child for pid in found for child in _children(pid) if child not in tree]
    return tree


def _read_all(pids: Iterable[int]) -> dict[int, Process]:
    return {pid: process for pid in pids if (process := read_process(pid)) is not None}


def _children(pid: int) -> Iterator[int]:
    for task in list_proc(f"/proc/{pid}/task"):
        for child in (read_proc(f"/proc/{pid}/task/{task}/children") or b"").split():
            yield int(child)


@cache
def _kernel_lists_children() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _descendants_by_search(root_pid: int) -> list[int]:
    """Find a tree by asking every process for its parent: slow, for kernels without CONFIG_PROC_CHILDREN."""
    try:
        return [child.pid for child in psutil.Process(root_pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_clock_ns(pid: int) -> int | None:
    """Return the nanoseconds of CPU that a process has used itself, or None where it is gone."""
    try:
        return time.clock_gettime_ns((~pid << 3) | SCHEDULER_CLOCK)
    except OSError:  # EINVAL: no such process
        return None


def read_cpu(root_pid: int, at_monotonic_ns: int = 0) -> TreeCpu:
    """Return what a tree has used at an instant (at once when the instant is past).

    The listing is done before the instant, so that only the burst of clock readings, 1.5 us a process, stands at it.
    """
    before = read_tree(root_pid)
    sleep_until(at_monotonic_ns)
    for _ in range(ATTEMPTS):
        read_at_ns = time.monotonic_ns()
        clocks_ns = [cpu_clock_ns(pid) for pid in before]
        after = read_tree(root_pid)
        settled = None not in clocks_ns and _unmoved(before, after)
        if settled:
            break
        before = after
    reaped = sum(process.reaped_user_ticks + process.reaped_system_ticks for process in after.values())
    return TreeCpu(
        at_monotonic_ns=read_at_ns,
        total_ns=sum(clock for clock in clocks_ns if clock is not None) + reaped * NS_PER_TICK,
        user_ticks=sum(process.user_ticks + process.reaped_user_ticks for process in after.values()),
        system_ticks=sum(process.system_ticks + process.reaped_system_ticks for process in after.values()),
        processes=len(after),
        threads=sum(process.threads for process in after.values()),
        settled=settled,
    )


def _unmoved(before: Mapping[int, Process], after: Mapping[int, Process]) -> bool:
    return _reaped(before) == _reaped(after)


def _reaped(tree: Mapping[int, Process]) -> dict[tuple[int, int], tuple[int, int]]:
    return {process.identity: (process.reaped_user_ticks, process.reaped_system_ticks) for process in tree.values()}


def read_thread_times(root_pid: int) -> ThreadTimes:
    """Return how long each thread of a tree has run; a running thread's last slice, up to 4 ms, is not in it yet."""
    times: dict[tuple[int, int, int], int] = {}
    for process in read_tree(root_pid).values():
        for task in list_proc(f"/proc/{process.pid}/task"):
            schedstat = read_proc(f"/proc/{process.pid}/task/{task}/schedstat")
            if schedstat:
                times[(*process.identity, int(task))] = int(schedstat.split(maxsplit=1)[0])
    return times


def sleep_until(monotonic_ns: int) -> None:
    """Sleep until an instant of CLOCK_MONOTONIC; return at once when it is past."""
    left_ns = monotonic_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns / 1e9)
