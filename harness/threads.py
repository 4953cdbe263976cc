"""The threads of a tree: how long each has run, and how often it was switched.

Read beside a window, not in it. A process of one thread is asked for its CPU clock, which costs a tenth of reading a
file; the threads of others have their time in `schedstat`, but for a running thread's last slice, up to 4 ms.

Switches stand in `status`, 8 us a thread, and go with the thread that ends. So those of a window are known only where
all threads of its opening are there at its closing, and on trees of up to `SWITCHES_THREADS_MOST` threads. A server's
own count over its whole life has no such gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.cputime import cpu_clock_ns
from harness.procfs import list_proc, read_short
from harness.proctree import Listing, Process

SWITCHES_THREADS_MOST = 500
VOLUNTARY, INVOLUNTARY = b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:"

# (process number, its start time, thread number)
ThreadKey = tuple[int, int, int]


@dataclass(frozen=True)
class Thread:
    """What a thread has done so far; the switches are None where they were not read."""

    ran_ns: int
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None


Threads = Mapping[ThreadKey, Thread]


def read_threads(listing: Listing) -> Threads:
    """Return the threads of a tree; those that ended meanwhile are missing."""
    with_switches = listing.threads <= SWITCHES_THREADS_MOST
    threads: dict[ThreadKey, Thread] = {}
    for process in listing.processes.values():
        for task, ran_ns in _ran_ns(process):
            switches = _switches(process.pid, task) if with_switches else (None, None)
            if switches is not None:
                threads[(*process.identity, task)] = Thread(ran_ns, *switches)
    return threads


def _ran_ns(process: Process) -> Iterator[tuple[int, int]]:
    if process.threads == 1:
        ran_ns = cpu_clock_ns(process.pid)
        if ran_ns is not None:
            yield process.pid, ran_ns
        return
    for task in list_proc(f"/proc/{process.pid}/task"):
        schedstat = read_short(f"/proc/{process.pid}/task/{task}/schedstat")
        if schedstat:
            yield int(task), int(schedstat.split(maxsplit=1)[0])


def _switches(pid: int, task: int) -> tuple[int, int] | None:
    """Return how often a thread gave its CPU up, and how often it was taken away; None where it is gone."""
    status = read_short(f"/proc/{pid}/task/{task}/status")
    if not status:
        return None
    return _after(VOLUNTARY, status), _after(INVOLUNTARY, status)


def _after(name: bytes, status: bytes) -> int:
    return int(status[status.index(name) + len(name) :].split(maxsplit=1)[0])
