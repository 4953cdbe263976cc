"""The limits of this machine and of this process, read from the system; `limits.py` says what follows from them.

A limit that is not there, or can't be read, is None: this kernel has none, or some container hides it. Of several
limits on one thing the narrowest counts, by what is left of it. Control groups (both versions) limit processes and
memory at every level from this process's own group up.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from harness.limits import Limits, Room

KIB = 1_024
UNLIMITED_BYTES = 1 << 60  # version 1 writes "no limit" as a number near 2**63
FIRST_GROUPS = Path("/sys/fs/cgroup")


def read_limits() -> Limits:
    """Return what this machine and this process's own limits leave for a cell."""
    groups = list(_control_groups())
    tasks = [_user_tasks(), *_kernel_tasks(), *(_group_room(group, "pids.max", "pids.current") for group in groups)]
    memory = [_available_memory(), *(_group_memory(group) for group in groups)]
    return Limits(
        open_files=_limit(resource.RLIMIT_NOFILE),
        ports=_ports(),
        tasks=_narrowest(tasks),
        mappings=_number(Path("/proc/sys/vm/max_map_count")),
        memory_bytes=_narrowest(memory),
    )


def _narrowest(rooms: list[Room | None]) -> Room | None:
    return min((room for room in rooms if room is not None), key=lambda room: room.left, default=None)


def _limit(kind: int) -> int | None:
    """Return a hard limit: the programs raise their soft ones to it."""
    _, hard = resource.getrlimit(kind)
    return None if hard in (resource.RLIM_INFINITY, -1) else hard


def _ports() -> int | None:
    text = _text(Path("/proc/sys/net/ipv4/ip_local_port_range"))
    if text is None:
        return None
    least, most = text.split()
    return int(most) - int(least) + 1


def _user_tasks() -> Room | None:
    """Return what RLIMIT_NPROC leaves; it does not bind root."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() == 0 or soft in (resource.RLIM_INFINITY, -1):
        return None
    mine = [folder for folder in Path("/proc").glob("[0-9]*") if _is_mine(folder)]
    return Room(max(0, soft - sum(_count(folder / "task") for folder in mine)), "the limit of processes (ulimit -u)")


def _is_mine(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.getuid()
    except OSError:
        return False  # it ended meanwhile


def _count(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0  # it ended meanwhile


def _kernel_tasks() -> Iterator[Room | None]:
    load = _text(Path("/proc/loadavg"))  # 0.10 0.20 0.30 1/234 5678: of 234 tasks one runs
    present = 0 if load is None else int(load.split()[3].partition("/")[2])
    for name in ("pid_max", "threads-max"):
        allowed = _number(Path("/proc/sys/kernel") / name)
        yield None if allowed is None else Room(max(0, allowed - present), f"kernel.{name}")


def _control_groups() -> Iterator[Path]:
    """Yield the folders of this process's control groups with their parents, of every hierarchy."""
    for line in (_text(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        mount = FIRST_GROUPS / controllers if controllers else FIRST_GROUPS
        own = mount / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount) and folder.is_dir())


def _group_room(group: Path, limit: str, used: str) -> Room | None:
    allowed = _number(group / limit)  # "max" where there is no limit
    present = _number(group / used)
    if allowed is None or present is None or allowed > UNLIMITED_BYTES:
        return None
    return Room(max(0, allowed - present), f"the control group's {limit}")


def _group_memory(group: Path) -> Room | None:
    """Return what a group's memory limit leaves; what it holds of files gives way to processes."""
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        room = _group_room(group, limit, used)
        if room is not None:
            return Room(room.left + _inactive_file_bytes(group), room.by)
    return None


def _inactive_file_bytes(group: Path) -> int:
    fields = dict(line.split(" ", 1) for line in (_text(group / "memory.stat") or "").splitlines())
    return max(int(fields.get(name, 0)) for name in ("inactive_file", "total_inactive_file"))


def _available_memory() -> Room | None:
    for line in (_text(Path("/proc/meminfo")) or "").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return Room(int(value.split()[0]) * KIB, "the machine")
    return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isdecimal() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None  # this kernel does not have it, or does not show it
