"""CPU of a forking server under churn: what a cell says, beside what the kernel's control group counted.

    python -m benchmarks accounting [--rounds 7] [--seconds 1.5]

Under churn most of a forking server's CPU time was used by children that have ended. The cell adds up live processes
and reaped children at both ends of its window. A control group counts the same in another way: every nanosecond that a
process in it ran, whoever it was. Its counter is read every few milliseconds while the cell is measured, and
interpolated to the window's ends.

It takes a control group that this user may make: root, and cpuacct (version 1) or version 2 mounted.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import programs

MAY_DIFFER, CONNECTIONS_LEAST_PER_S = 0.03, 300
EVERY_S = 0.005
_PLACES = (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup"))


def run(rounds: int, seconds: float) -> str:
    """Measure and return the table as Markdown."""
    lines = [
        programs.header(f"CPU of fork under churn, closed load in 8 slots, windows of {seconds:g} s"),
        "| round | connections/s | CPU of the cell | CPU of the control group | ratio |",
        "|---:|---:|---:|---:|---:|",
    ]
    ratios = []
    for number in range(1, rounds + 1):
        with control_group() as group:
            window, cpu_s = _cell(group, seconds, number)
            counted_s = group.between(window["opens_monotonic_ns"], window["closes_monotonic_ns"])
        ratios.append(cpu_s / counted_s)
        rate = window["throughput_per_s"]
        lines.append(f"| {number} | {rate:,.0f} | {cpu_s:.3f} s | {counted_s:.3f} s | {ratios[-1]:.3f} |")
    lines += [
        "",
        f"Median of the ratios {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}. Expected: "
        f"within {MAY_DIFFER:.0%}, at {CONNECTIONS_LEAST_PER_S} connections/s or more.",
    ]
    return "\n".join(lines)


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
def control_group() -> Iterator[ControlGroup]:
    """Make a control group, read its counter until the block ends, and remove it."""
    folder = _make_folder()
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
        folder.rmdir()


def _make_folder() -> Path:
    for place in _PLACES:
        folder = place / f"echobench-{os.getpid()}-{time.monotonic_ns()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            if (folder / "cpuacct.usage").exists() or (folder / "cpu.stat").exists():
                return folder
            folder.rmdir()
    raise SystemExit("no control group with a CPU counter can be made here: it takes root")


def _cell(group: ControlGroup, seconds: float, seed: int) -> tuple[dict[str, Any], float]:
    """Measure a cell whose server runs in the group; return the load's window and the cell's CPU seconds of it."""
    server = f"cd {programs.HERE.parent}; exec {sys.executable} -m servers --model fork --transport tcp"
    command = json.dumps(["sh", "-c", f"echo $$ > {group.folder}/cgroup.procs; {server}"])
    plan = f"""
name = "churn"
rounds = 1
seed = {seed}
[defaults]
connections = 8
mode = "churn"
warmup_s = 0.5
window_s = {seconds}
loads = ["closed"]
pin = "{programs.SERVER_CPU}:{programs.CLIENT_CPU}"
[matrix]
model = ["forking"]
transport = ["tcp"]
[servers.forking]
command = {command}
transports = ["tcp"]
"""
    cell = programs.only_cell(plan)
    return cell["load"]["windows"][0], float(cell["windows"][0]["server"]["cpu_s"])
