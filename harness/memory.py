"""The memory of a process tree, its threads and its open files.

The proportional set size (PSS) is the honest figure of a tree: a page that n processes share counts 1/n in each, so
the sum is what the machine really holds. The resident set (RSS) counts shared pages once a process: a forked child
reads 10.7 MB of RSS and 1.6 MB of PSS. The unique set (USS) is what would be freed if the process ended.

Its trap is that strangers count as sharers too. The load generator maps the same interpreter and libraries, so a
server's PSS falls by some hundred kilobytes when the generator starts, more than 64 connections of an event loop take.
What belongs to the tree alone are its anonymous and shared-memory pages (`own_pss_bytes`): the memory of a connection
is the growth of those.

The kernel walks the page tables for this, a third of a millisecond a process, with the memory map locked: it is done
outside of windows only, and given up when a window comes near. It shows the result to the owner of the process only,
and RSS to everyone. A sum of which one process is missing would be wrong, so then PSS and USS of the tree are None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from harness.procfs import PAGE_BYTES, is_denied, open_descriptors, read_proc, read_short
from harness.proctree import read_tree

BYTES_PER_KIB = 1024
WALKED = ("pss_bytes", "own_pss_bytes", "uss_bytes")


@dataclass(frozen=True)
class TreeMemory:
    """What a tree held at one moment; `own_pss_bytes` leaves out the pages of files.

    A figure is None where the system does not show it, and `unavailable` says why, by its name.
    """

    pss_bytes: int | None
    own_pss_bytes: int | None
    rss_bytes: int | None
    uss_bytes: int | None
    processes: int
    threads: int
    open_files: int | None
    unavailable: Mapping[str, str] = field(default_factory=dict)


def read_memory(root_pid: int, must_stop: Callable[[], bool] = lambda: False) -> TreeMemory | None:
    """Return the memory of a tree; None where the root is gone, or `must_stop` said so before the tree was walked."""
    held: Counter[str] = Counter()
    hidden: dict[str, str] = {}
    for process in read_tree(root_pid).values():
        if must_stop():
            return None
        rss_bytes = read_rss(process.pid)
        if not rss_bytes:
            continue  # it ended meanwhile, or waits to be collected
        sizes, open_files = _sizes(process.pid), open_descriptors(process.pid)
        if sizes is None or open_files is None:
            if is_gone(process.pid):
                continue
            hidden |= _why(process.pid, walked=sizes is not None)
        held.update(sizes or {})
        held.update(Resident=rss_bytes, processes=1, threads=process.threads, open_files=open_files or 0)
    return _memory(held, hidden) if held else None


def _memory(held: Counter[str], hidden: Mapping[str, str]) -> TreeMemory:
    walked = {
        "pss_bytes": held["Pss"],
        # Kernels before 5.4 don't tell them apart.
        "own_pss_bytes": held["Pss_Anon"] + held["Pss_Shmem"] if "Pss_Anon" in held else held["Pss"],
        "uss_bytes": held["Private_Clean"] + held["Private_Dirty"],
        # Of one walk with the others, where there was one.
        "rss_bytes": held["Resident"] if "pss_bytes" in hidden else held["Rss"],
        "open_files": held["open_files"],
    }
    figures = {name: None if name in hidden else value for name, value in walked.items()}
    return TreeMemory(**figures, processes=held["processes"], threads=held["threads"], unavailable=hidden)


def read_rss(pid: int) -> int | None:
    """Return the resident set of a process in bytes: 0 where it waits to be collected, None where it is gone."""
    statm = read_short(f"/proc/{pid}/statm")
    return int(statm.split(maxsplit=2)[1]) * PAGE_BYTES if statm else None


def tree_rss(pids: Iterable[int]) -> int:
    """Return the resident sets of processes, added up; those that are gone hold nothing."""
    return sum(read_rss(pid) or 0 for pid in pids)


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, collected or not."""
    return not read_rss(pid)


def _why(pid: int, *, walked: bool) -> dict[str, str]:
    """Return why figures of a live process can't be had, by the figure's name."""
    if not _kernel_walks():
        why = "the kernel keeps no smaps_rollup"
    elif is_denied(f"/proc/{pid}/smaps_rollup"):
        why = "a process of the tree belongs to another user: the kernel does not show its memory"
    else:
        why = "the memory of a process of the tree could not be read"
    hidden = {} if walked else dict.fromkeys(WALKED, why)
    if open_descriptors(pid) is None:
        hidden["open_files"] = "a process of the tree belongs to another user: the kernel does not show its files"
    return hidden


@cache
def _kernel_walks() -> bool:
    return Path("/proc/self/smaps_rollup").exists()


def _sizes(pid: int) -> dict[str, int] | None:
    """Return what a walk of the page tables found in bytes, None where it can't be had or there is no memory left."""
    rollup = read_proc(f"/proc/{pid}/smaps_rollup")
    if not rollup:
        return None
    sizes = {}
    for line in rollup.decode().splitlines()[1:]:  # the first line is the range of addresses
        name, _, value = line.partition(":")
        sizes[name] = int(value.split()[0]) * BYTES_PER_KIB
    return sizes
