"""What the system says about a process and all its descendants: how many, what they hold, what they have used.

Processes come and go while they are looked at; one that has gone meanwhile is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

# CPU times are told in whole ticks, rounded down.
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

_Figure = TypeVar("_Figure")


@dataclass(frozen=True)
class Held:
    """What a tree holds at a moment."""

    processes: int
    threads: int
    descriptors: int

    def exceeds(self, other: Held) -> bool:
        """Tell whether there is more of anything than in `other`."""
        return self.processes > other.processes or self.threads > other.threads or self.descriptors > other.descriptors


def members(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, zombies too; none if it has gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def zombies(pid: int) -> list[int]:
    """Return the descendants that have ended and were not reaped."""
    found = _each(pid, lambda member: (member.pid, member.status()))
    return [member for member, status in found if status == psutil.STATUS_ZOMBIE]


def stands_still(pid: int) -> bool:
    """Tell whether every process of the tree is stopped."""
    return all(status == psutil.STATUS_STOPPED for status in _each(pid, psutil.Process.status))


def sleeps(pid: int) -> bool:
    """Tell whether no thread of the tree runs or wants to run at this moment."""
    states = _each(pid, lambda member: {_state(member.pid, thread.id) for thread in member.threads()})
    return all(state == "S" for found in states for state in found)


def groups(pid: int) -> dict[int, int]:
    """Return each member's process group."""
    return dict(_each(pid, lambda member: (member.pid, os.getpgid(member.pid))))


def held(pid: int) -> Held:
    """Return how many processes, threads and descriptors the tree has."""
    found = _each(pid, lambda member: (member.num_threads(), member.num_fds()))
    return Held(len(members(pid)), sum(threads for threads, _ in found), sum(count for _, count in found))


def descriptor_limits(pid: int) -> set[tuple[int, int]]:
    """Return the soft and hard limits of open descriptors that there are in the tree."""
    return set(_each(pid, lambda member: member.rlimit(psutil.RLIMIT_NOFILE)))


def memory_bytes(pid: int) -> tuple[int, int]:
    """Return the tree's proportional set size and its mapped memory."""
    found = _each(pid, psutil.Process.memory_full_info)
    return sum(info.pss for info in found), sum(info.vms for info in found)


def own_memory_bytes(pid: int) -> int:
    """Return what the tree holds of memory that is no part of a file; pages that processes share count once."""
    return sum(_each(pid, lambda member: _rollup_bytes(member.pid)))


def cpu_s(pid: int) -> float:
    """Return the CPU time of the tree so far, of the children that were reaped too; never more than the truth."""
    own = sum(times.user + times.system for times in _each(pid, psutil.Process.cpu_times))
    reaped = sum(times.children_user + times.children_system for times in _each(pid, psutil.Process.cpu_times))
    return own + reaped


def voluntary_switches(pid: int) -> int:
    """Return the voluntary context switches of the tree's main threads: less than or equal to the truth."""
    return sum(switches.voluntary for switches in _each(pid, psutil.Process.num_ctx_switches))


def _rollup_bytes(process: int) -> int:
    try:
        said = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0  # it has ended meanwhile
    lines = (line.split() for line in said.splitlines())
    return sum(int(words[1]) * 1_024 for words in lines if words[0] in {"Pss_Anon:", "Pss_Shmem:"})


def _state(process: int, thread: int) -> str:
    try:
        said = Path(f"/proc/{process}/task/{thread}/stat").read_text(encoding="utf-8")
    except OSError:
        return "S"  # it has ended meanwhile
    return said.rpartition(")")[2].split()[0]


def _each(pid: int, figure: Callable[[psutil.Process], _Figure]) -> list[_Figure]:
    """Return a figure of each member that still has one."""
    found = []
    for member in members(pid):
        try:
            found.append(figure(member))
        except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):  # gone, or a zombie without figures
            continue
    return found
