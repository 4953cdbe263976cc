"""The processes of a tree, listed at little cost however many they are.

A process is known by its number and its start time: numbers are reused. So is the root: a stranger that got its number
is not taken for it.

There are two ways to list a tree. Down from the root: `/proc/<pid>/task/<tid>/children` of every thread names the
children (3 us a file), `stat` says the rest (5 us). Or every process of the machine is asked for its parent: one `stat`
each, which is less where the tree has most of the machine's threads, and all there is on kernels without those lists.

Either way a thousand processes take ten milliseconds, too much for ten times a second. But numbers are given in order,
to processes and threads alike, and the kernel shows the last one in a short file. So a listing is made once; whoever
joined since has a number after the last one of then, and only those are asked who their parent is. When the numbers
begin anew, or there are more new ones than the tree has processes, and every `ALL_EVERY_NS`, the tree is listed again
as a whole.

* A new process has its number a moment before it can be seen. So a number that nobody has is asked for again, for
  `PENDING_NS`: then it had ended already.
* Children are read before their parent's `stat`: a child that is missing from the list has left its times in it.
* Who ended stays in the listing until `forget`: reading the clocks shows it (`cputime`).

* A descendant whose parent ended is adopted by process 1, and belongs to the tree all the same, as long as it was seen
  before.

What breaks first: a descendant that was never seen with its parent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from harness.procfs import list_proc, read_proc, read_short

PENDING_NS = 50_000_000
ALL_EVERY_NS = 5_000_000_000  # against what nobody thought of, such as a container that shows numbers of its own making
PENDING_MOST = 16  # numbers before the first listing that may not have been seen yet: more are never given at a time
# What it costs to ask one more thread for its children, beside asking one more process for its parent.
CHILDREN_COST, STAT_COST = 5, 7


@dataclass(frozen=True)
class Process:
    """One process as `/proc/<pid>/stat` shows it; times in clock ticks."""

    pid: int
    parent_pid: int
    start_ticks: int
    reaped_user_ticks: int
    reaped_system_ticks: int
    threads: int

    @property
    def identity(self) -> tuple[int, int]:
        """Return what tells this process from a later one of the same number."""
        return self.pid, self.start_ticks


@dataclass(frozen=True)
class Listing:
    """The live and the not yet waited for processes of a tree by number.

    `watched` are those whose `stat` may change while nothing is forked: they have, or had, children or threads.
    """

    processes: Mapping[int, Process] = field(default_factory=dict)
    watched: frozenset[int] = frozenset()
    complete: bool = False  # it can be gone on from

    @property
    def threads(self) -> int:
        """Return the threads of all processes."""
        return sum(process.threads for process in self.processes.values())


class TreeLister:
    """Lists one tree again and again; after the first time it looks only at those who may have joined it.

    `last` is the tree as it was listed last.
    """

    def __init__(self, root_pid: int) -> None:
        self._root_pid = root_pid
        self._root: Process | None = None
        self.last = Listing()
        self._last_number: int | None = None
        self._all_listed_ns = 0
        self._pending_ns: dict[int, int] = {}  # numbers that nobody had when they were first looked for

    def list(self) -> Listing:
        """Return the processes of the tree; some of them may have ended. Empty when the root did."""
        now_ns, (number, threads) = time.monotonic_ns(), _kernel_counts()
        if self._must_list_all(number) or now_ns - self._all_listed_ns > ALL_EVERY_NS:
            self._list_all(number, threads, now_ns)
        else:
            assert number is not None  # else all is listed
            assert self._last_number is not None
            self._admit([*self._pending_ns, *range(self._last_number + 1, number + 1)], now_ns)
        self._last_number = number
        return self.last

    def forget(self, gone: AbstractSet[int]) -> None:
        """Take processes off the list that are gone, so that their numbers mean nobody."""
        left = {pid: process for pid, process in self.last.processes.items() if pid not in gone}
        self.last = replace(self.last, processes=left, watched=self.last.watched & left.keys())

    def _must_list_all(self, number: int | None) -> bool:
        if number is None or self._last_number is None or not self.last.complete:
            return True
        most = max(PENDING_MOST, len(self.last.processes))
        return not 0 <= number - self._last_number <= most

    def _list_all(self, number: int | None, threads: int, now_ns: int) -> None:
        others = threads - self.last.threads
        by_search = not _kernel_lists_children() or self.last.threads * CHILDREN_COST > others * STAT_COST
        self._all_listed_ns = now_ns
        listed = self._of_the_same_root(search_tree(self._root_pid) if by_search else walk_tree(self._root_pid))
        self.last = self._with_orphans(listed) if listed.processes else listed
        recent = range(number - PENDING_MOST + 1, number + 1) if number is not None else ()
        self._pending_ns = {pid: now_ns for pid in recent if pid not in self.last.processes}

    def _of_the_same_root(self, listing: Listing) -> Listing:
        root = listing.processes.get(self._root_pid)
        if self._root is None:
            self._root = root
        is_same = root is not None and self._root is not None and root.identity == self._root.identity
        return listing if is_same else Listing()

    def _with_orphans(self, listing: Listing) -> Listing:
        """Add those who were in the tree before, and live on where they can't be found from its root."""
        missing = [process for pid, process in self.last.processes.items() if pid not in listing.processes]
        orphans = {
            orphan.pid: orphan
            for process in missing
            if (orphan := read_process(process.pid)) is not None and orphan.identity == process.identity
        }
        if not orphans:
            return listing
        both = {**listing.processes, **orphans}
        return replace(listing, processes=both, watched=listing.watched | (self.last.watched & orphans.keys()))

    def _admit(self, numbers: Iterable[int], now_ns: int) -> None:
        """Add those of the numbers that are processes of the tree, in ascending order: parents come first."""
        joined: dict[int, Process] = {}
        changed: set[int] = set()
        waiting_ns: dict[int, int] = {}
        for number in numbers:
            kin = _read_kin(number)
            if kin is None:
                first_ns = self._pending_ns.get(number, now_ns)
                waiting_ns |= {number: first_ns} if now_ns - first_ns < PENDING_NS else {}
                continue
            process_pid, parent_pid = kin
            above = parent_pid if process_pid == number else process_pid  # the number may be a thread's
            if above not in self.last.processes and above not in joined:
                continue
            changed.add(above)
            if process_pid == number and (process := read_process(number)) is not None:
                joined[number] = process
        self._pending_ns = waiting_ns
        if changed or joined:
            joined |= {pid: process for pid in changed if (process := read_process(pid)) is not None}
            both = {**self.last.processes, **joined}
            self.last = replace(self.last, processes=both, watched=self.last.watched | changed)


def read_process(pid: int) -> Process | None:
    """Return a process, or None where there is none of this number."""
    stat = read_short(f"/proc/{pid}/stat")
    if not stat:
        return None
    # The name in parentheses may hold blanks and parentheses itself; all that follows is numbers.
    fields = stat[stat.rindex(b")") + 2 :].split(maxsplit=20)
    return Process(pid, int(fields[1]), int(fields[19]), int(fields[13]), int(fields[14]), threads=int(fields[17]))


def read_tree(root_pid: int) -> Mapping[int, Process]:
    """Return the live and the not yet waited for processes of a tree by number; empty when the root is gone."""
    return (walk_tree if _kernel_lists_children() else search_tree)(root_pid).processes


def walk_tree(root_pid: int) -> Listing:
    """List a tree from its root downwards."""
    tree: dict[int, Process] = {}
    parents: set[int] = set()
    generation = [(root_pid, 0)]
    while generation:
        below: list[tuple[int, int]] = []
        for pid, parent_pid in generation:
            children, process = _with_children(pid)
            if process is None or (parent_pid and process.parent_pid != parent_pid):
                continue  # it ended after it was listed; its number may even be someone else's by now
            tree[pid] = process
            if children:
                parents.add(pid)
            below += [(child, pid) for child in children if child not in tree]
        generation = below
    return Listing(tree, _watched(tree.values(), parents | {root_pid}), complete=root_pid in tree)


def _with_children(pid: int) -> tuple[list[int], Process | None]:
    """Return the numbers of a process's children, and then the process itself."""
    children = _children_of_thread(pid, pid)
    process = read_process(pid)
    if process is None or process.threads == 1:
        return children, process
    others = (int(task) for task in list_proc(f"/proc/{pid}/task"))
    children += [child for task in others if task != pid for child in _children_of_thread(pid, task)]
    return children, read_process(pid)


def _children_of_thread(pid: int, thread: int) -> list[int]:
    return [int(child) for child in (read_proc(f"/proc/{pid}/task/{thread}/children") or b"").split()]


@cache
def _kernel_lists_children() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def search_tree(root_pid: int) -> Listing:
    """List a tree by asking every process of the machine for its parent."""
    numbers = [int(name) for name in list_proc("/proc") if name.isdecimal()]
    found = {pid: process for pid in numbers if (process := read_process(pid)) is not None}
    children: dict[int, list[int]] = {}
    for process in found.values():
        children.setdefault(process.parent_pid, []).append(process.pid)
    tree = {pid: found[pid] for pid in _descent(root_pid, children) if pid in found}
    parents = {process.parent_pid for process in tree.values()} & tree.keys()
    # Who vanished meanwhile may have been the only child of a process that was read before it.
    complete = len(found) == len(numbers) and root_pid in tree
    return Listing(tree, _watched(tree.values(), parents | {root_pid}), complete)


def _descent(root_pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    waiting = [root_pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, [])


def _watched(processes: Iterable[Process], parents: set[int]) -> frozenset[int]:
    changing = {
        process.pid
        for process in processes
        if process.threads > 1 or process.reaped_user_ticks or process.reaped_system_ticks
    }
    return frozenset(changing | parents)


def _read_kin(number: int) -> tuple[int, int] | None:
    """Return the process that a number belongs to, as its own or one of its threads', and that process's parent."""
    status = read_short(f"/proc/{number}/status")
    if not status:
        return None
    return int(_line_of(b"\nTgid:", status)), int(_line_of(b"\nPPid:", status))


def _line_of(name: bytes, status: bytes) -> bytes:
    begins = status.index(name) + len(name)
    return status[begins : status.index(b"\n", begins)]


def _kernel_counts() -> tuple[int | None, int]:
    """Return the number that was last given to a process or thread (None: not to be had), and how many there are.

    `/proc/loadavg` reads `0.20 0.18 0.12 1/80 11206`; the last number is the one of this PID namespace.
    """
    fields = (read_short("/proc/loadavg") or b"").split()
    if len(fields) < 5:
        return None, 0
    return int(fields[4]), int(fields[3].partition(b"/")[2])
