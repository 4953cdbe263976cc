"""What the sampler has read of one cell, raw; `accounting` makes figures of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.cputime import TreeCpu
from harness.machine import MachineState
from harness.memory import TreeMemory
from harness.threads import Threads

SERIES_EVERY_S = 0.1


@dataclass(frozen=True)
class End:
    """Everything that was read at one end of a window.

    `spent_s` is the CPU time that the sampler had used itself: before its first reading for an opening, after its last
    for a closing.
    """

    due_monotonic_ns: int
    server: TreeCpu
    loadgen: TreeCpu
    machine: MachineState
    server_threads: Threads
    loadgen_threads: Threads
    threads_at_ns: int
    spent_s: float = 0.0


@dataclass(frozen=True)
class HeldMemory:
    """What both sides held at a reading; None where there was none."""

    server: TreeMemory | None = None
    loadgen: TreeMemory | None = None


@dataclass
class Series:
    """The time series, a list a column: when, CPU seconds since each program's start, the server's processes, memory.

    The resident sets are None where the tree was too large to read them that often.
    """

    slowest_every_s: float = SERIES_EVERY_S
    monotonic_ns: list[int] = field(default_factory=list)
    server_cpu_s: list[float] = field(default_factory=list)
    loadgen_cpu_s: list[float] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    server_rss_bytes: list[int | None] = field(default_factory=list)
    loadgen_rss_bytes: list[int | None] = field(default_factory=list)

    def add(
        self, server: TreeCpu, loadgen: TreeCpu, server_rss_bytes: int | None, loadgen_rss_bytes: int | None
    ) -> None:
        """Append one sample."""
        self.monotonic_ns.append(server.at_monotonic_ns)
        self.server_cpu_s.append(round(server.total_ns / 1e9, 6))
        self.loadgen_cpu_s.append(round(loadgen.total_ns / 1e9, 6))
        self.processes.append(server.processes)
        self.threads.append(server.threads)
        self.server_rss_bytes.append(server_rss_bytes)
        self.loadgen_rss_bytes.append(loadgen_rss_bytes)

    def as_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        columns = dict(vars(self))
        return {"every_s": columns.pop("slowest_every_s"), **columns}


@dataclass
class Accounts:
    """The machine before any connection, both ends by window, memory, the time series, and what reading all this cost.

    `memory` is the last reading with all connections up, `window_memory` the last before each window.
    """

    openings: dict[int, End] = field(default_factory=dict)
    closings: dict[int, End] = field(default_factory=dict)
    machine_before: MachineState | None = None
    memory: HeldMemory = HeldMemory()
    window_memory: dict[int, HeldMemory] = field(default_factory=dict)
    series: Series = field(default_factory=Series)
    spent_s: float = 0.0
    lived_s: float = 0.0
