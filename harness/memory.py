"""The memory of a process tree.

The proportional set size (PSS) is the honest figure of a tree: a page that n processes share counts 1/n in each, so
the sum is what the machine really holds. The resident set (RSS) counts shared pages once a process: a forked child
reads 10.7 MB of RSS and 1.6 MB of PSS. The unique set (USS) is what would be freed if the process ended.

Its trap is that strangers count as sharers too. The load generator maps the same interpreter and libraries, so a
server's PSS falls by some hundred kilobytes when the generator starts, more than 64 connections of an event loop take.
What belongs to the tree alone are its anonymous and shared-memory pages (`own_pss_bytes`): the memory of a connection
is the growth of those.

The kernel walks the page tables for this, a third of a millisecond a process, with the memory map locked: it is done
outside of windows only, and given up when a window comes near.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from harness.procfs import list_proc, read_proc
from harness.proctree import read_tree

BYTES_PER_KIB = 1024


@dataclass(frozen=True)
class TreeMemory:
    """What a tree held at one moment; `own_pss_bytes` leaves out the pages of files."""

    pss_bytes: int
    own_pss_bytes: int
    rss_bytes: int
    uss_bytes: int
    processes: int
    threads: int
    open_files: int


def read_memory(root_pid: int, must_stop: Callable[[], bool] = lambda: False) -> TreeMemory | None:
    """Return the memory of a tree.

    None where the root is gone, the kernel has no `smaps_rollup`, or `must_stop` said so before the tree was walked.
    """
    tree = read_tree(root_pid)
    held: Counter[str] = Counter()
    for process in tree.values():
        if must_stop():
            return None
        sizes = _sizes(process.pid)
        if sizes:  # else it ended meanwhile
            held.update(sizes)
            held.update(processes=1, threads=process.threads, open_files=len(list_proc(f"/proc/{process.pid}/fd")))
    if not held:
        return None
    return TreeMemory(
        pss_bytes=held["Pss"],
        # Kernels before 5.4 don't tell them apart.
        own_pss_bytes=held["Pss_Anon"] + held["Pss_Shmem"] if "Pss_Anon" in held else held["Pss"],
        rss_bytes=held["Rss"],
        uss_bytes=held["Private_Clean"] + held["Private_Dirty"],
        processes=held["processes"],
        threads=held["threads"],
        open_files=held["open_files"],
    )


def _sizes(pid: int) -> dict[str, int]:
    sizes = {}
    rollup = read_proc(f"/proc/{pid}/smaps_rollup") or b""
    for line in rollup.decode().splitlines()[1:]:  # the first line is the range of addresses
        name, _, value = line.partition(":")
        sizes[name] = int(value.split()[0]) * BYTES_PER_KIB
    return sizes
