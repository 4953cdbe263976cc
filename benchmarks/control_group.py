"""A control group of our own, whose counter says what all processes in it have used: a source beside the accounting.

It takes a control group that this user may make: root, and cpuacct (version 1) or version 2 mounted.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

EVERY_S = 0.005
_PLACES = (
    Path("/sys/fs/cgroup/cpuacct"),
    Path("/sys/fs/cgroup/cpu,cpuacct"),
    Path("/sys/fs/cgroup/unified"),
    Path("/sys/fs/cgroup"),
)
_EMPTY_S = 5.0


@dataclass
class ControlGroup:
    """A control group of our own, and what its counter said when."""

    folder: Path
    at_ns: list[int] = field(default_factory=list)
    used_ns: list[int] = field(default_factory=list)

    def read(self) -> None:
        """Note the counter."""
        version_1 = self.folder / "cpuacct.usage"
        if version_1.exists():
            used_ns = int(version_1.read_text())
        else:
            used_ns = int((self.folder / "cpu.stat").read_text().split()[1]) * 1000
        self.at_ns.append(time.monotonic_ns())
        self.used_ns.append(used_ns)

    def between(self, opens_ns: int, closes_ns: int) -> float:
        """Return the CPU seconds between two instants."""
        opened, closed = np.interp([opens_ns, closes_ns], self.at_ns, self.used_ns)
        return float(closed - opened) / 1e9


@contextlib.contextmanager
def control_group() -> Iterator[ControlGroup | None]:
    """Make a control group, read its counter until the block ends, and remove it; None where none can be made."""
    folder = _make_folder()
    if folder is None:
        yield None
        return
    group, ended = ControlGroup(folder), threading.Event()

    def read_on() -> None:
        while not ended.wait(EVERY_S):
            group.read()

    reader = threading.Thread(target=read_on, daemon=True)
    reader.start()
    try:
        yield group
    finally:
        ended.set()
        reader.join()
        _remove(folder)


def _remove(folder: Path) -> None:
    deadline_s = time.monotonic() + _EMPTY_S
    while (folder / "cgroup.procs").read_text() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    folder.rmdir()


def _make_folder() -> Path | None:
    for place in _PLACES:
        folder = place / f"echobench-{os.getpid()}-{time.monotonic_ns()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            if (folder / "cpuacct.usage").exists() or (folder / "cpu.stat").exists():
                return folder
            folder.rmdir()
    return None
