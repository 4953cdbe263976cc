"""From readings at both ends of a window to the figures that are stored with it. Pure functions.

* CPU seconds are those between the two readings. The readings stand at the window's ends to a fraction of a
  millisecond; where the harness was late, rates are taken over the time that was really read, so that a late reading
  makes a figure less exact but not wrong.
* CPU microseconds a request are cores used x window / replies received in the window: right also when the load
  generator is the limit.
* Idle and busy fractions are of the time that the CPUs had, the window less what the hypervisor took.

* Memory, processes, threads and open files are those with all connections up, as read before a window, not in it.
* The kernel's counters are changes over the window; `..._connecting`, with the first window, are those before it. Those
  of the listen queue and of UDP receive buffers give rise to a warning. Retransmitted segments are context only: they
  are counted for the whole network namespace, every download of the machine adds to them, and over loopback nothing is
  lost on the way. What a socket dropped is forgotten with it: a server that ends a peer in a window may hide some.

A figure that can't be had (an end that was not read, a tree that was gone) is null, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.machine import MachineState
from harness.memory import TreeMemory
from harness.pinning import Pinning
from harness.procfs import TICKS_PER_S
from harness.proctree import ThreadTimes, TreeCpu
from harness.sampler import Accounts, End
from harness.schema import CellWindow, LoadRecord, LoadWindow, Memory
from harness.verdict import Resources, ServerLife, limited_by, merged_warnings

LISTEN_COUNTERS = ("listen_overflows", "listen_drops")
DROP_COUNTERS = (*LISTEN_COUNTERS, "udp_drops")
MAX_MOVED_NS = 10_000_000
SERVER_FIGURES = (
    "cpu_s",
    "cpu_user_s",
    "cpu_system_s",
    "cpu_us_per_request",
    "cores_used",
    "idle_fraction",
    "busiest_thread_share",
    "read_late_ns",
)
LOADGEN_FIGURES = ("cpu_s", "cpu_user_s", "cpu_system_s", "cpu_us_per_request", "cores_used", "idle_fraction")


@dataclass(frozen=True)
class WindowFigures:
    """The figures of one window, by side; `resources` are those that the verdict asks for, but for the drops."""

    server: dict[str, Any]
    loadgen: dict[str, Any]
    kernel: dict[str, Any]
    steal_s: float | None
    resources: Resources


def cell_windows(record: LoadRecord, accounts: Accounts, pinning: Pinning, life: ServerLife) -> list[CellWindow]:
    """Return what the harness measured over each window of a load record, with verdict and warnings."""
    windows: list[CellWindow] = []
    for index, window in enumerate(record["windows"]):
        opening, closing = accounts.openings.get(index), accounts.closings.get(index)
        figures = window_figures(window, opening, closing, pinning)
        kernel = figures.kernel | (lost_before(accounts.machine_before, opening) if index == 0 else {})
        drops = {name: count for name, count in kernel.items() if name.startswith(DROP_COUNTERS)}
        resources = replace(figures.resources, kernel_drops=drops)
        windows.append(
            {
                "server": figures.server | held(accounts.connected_memory) | {"cpus": list(pinning.server_cpus)},
                "loadgen": figures.loadgen | {"cpus": list(pinning.loadgen_cpus)},
                "kernel": kernel,
                "steal_s": figures.steal_s,
                "limited_by": limited_by(window, resources).value,
                "warnings": merged_warnings(window, resources, life),
            }
        )
    return windows


def lost_before(before: MachineState | None, opening: End | None) -> dict[str, int]:
    """Return what the kernel lost while the connections came up: a full listen queue shows then or never."""
    if before is None or opening is None:
        return {}
    changes = _counter_changes(before.counters, opening.machine.counters)
    return {f"{name}_connecting": changes[name] for name in LISTEN_COUNTERS if name in changes}


def window_figures(window: LoadWindow, opening: End | None, closing: End | None, pinning: Pinning) -> WindowFigures:
    """Return the figures of one window; all are null when one of its ends was not read where the record has it."""
    if opening is None or closing is None or not _is_of(window, opening, closing):
        nothing = Resources(None, None, None, {})
        return WindowFigures(dict.fromkeys(SERVER_FIGURES), dict.fromkeys(LOADGEN_FIGURES), {}, None, nothing)
    server_cpus = _cpu_time(opening.machine, closing.machine, pinning.server_cpus)
    loadgen_cpus = _cpu_time(opening.machine, closing.machine, pinning.loadgen_cpus)
    both = _cpu_time(opening.machine, closing.machine, {*pinning.server_cpus, *pinning.loadgen_cpus})
    busiest = _busiest_thread_share(opening, closing, server_cpus.stolen_fraction)
    kernel = _counter_changes(opening.machine.counters, closing.machine.counters)
    server = {
        **_tree_figures(window, opening.server, closing.server),
        "idle_fraction": server_cpus.idle_fraction,
        "busiest_thread_share": busiest,
        "read_late_ns": max(end.server.at_monotonic_ns - end.due_monotonic_ns for end in (opening, closing)),
    }
    loadgen = {
        **_tree_figures(window, opening.loadgen, closing.loadgen),
        "idle_fraction": loadgen_cpus.idle_fraction,
    }
    worse_steal = max(server_cpus.stolen_fraction, loadgen_cpus.stolen_fraction)
    share = _share_of_busy(server["cpu_s"], server_cpus)
    resources = Resources(server_cpus.idle_fraction, busiest, worse_steal, kernel_drops={}, server_share_of_busy=share)
    return WindowFigures(server, loadgen, kernel, both.stolen_s, resources)


def _is_of(window: LoadWindow, opening: End, closing: End) -> bool:
    """Tell whether the window was announced as it is recorded."""
    off_ns = (
        opening.due_monotonic_ns - window["opens_monotonic_ns"],
        closing.due_monotonic_ns - window["closes_monotonic_ns"],
    )
    return max(abs(distance) for distance in off_ns) <= MAX_MOVED_NS


@dataclass(frozen=True)
class CpuTime:
    """How some CPUs spent an interval, added up over them."""

    elapsed_s: float
    idle_s: float
    stolen_s: float

    @property
    def stolen_fraction(self) -> float:
        """Return the part of the time that the hypervisor took."""
        return self.stolen_s / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def idle_fraction(self) -> float | None:
        """Return the idle part of the time that was not stolen."""
        had_s = self.elapsed_s - self.stolen_s
        return min(1.0, self.idle_s / had_s) if had_s > 0 else None


def _cpu_time(opening: MachineState, closing: MachineState, cpus: Iterable[int]) -> CpuTime:
    seen = [cpu for cpu in cpus if cpu in opening.cpus and cpu in closing.cpus]
    idle = sum(closing.cpus[cpu].idle - opening.cpus[cpu].idle for cpu in seen)
    stolen = sum(closing.cpus[cpu].stolen - opening.cpus[cpu].stolen for cpu in seen)
    elapsed_s = (closing.at_monotonic_ns - opening.at_monotonic_ns) / 1e9
    return CpuTime(elapsed_s * len(seen), max(0, idle) / TICKS_PER_S, max(0, stolen) / TICKS_PER_S)


def _share_of_busy(server_cpu_s: float | None, cpus: CpuTime) -> float | None:
    """Return the part of the CPUs' busy time that was the server's own."""
    busy_s = cpus.elapsed_s - cpus.stolen_s - cpus.idle_s
    return min(1.0, server_cpu_s / busy_s) if server_cpu_s is not None and busy_s > 0 else None


def _tree_figures(window: LoadWindow, opening: TreeCpu, closing: TreeCpu) -> dict[str, float | None]:
    used_ns = closing.total_ns - opening.total_ns
    elapsed_ns = closing.at_monotonic_ns - opening.at_monotonic_ns
    names = ("cpu_s", "cpu_user_s", "cpu_system_s", "cpu_us_per_request", "cores_used")
    # Less than before is what a tree shows that was gone, or lost a part, at the closing.
    if used_ns < 0 or elapsed_ns <= 0 or not opening.processes or not closing.processes:
        return dict.fromkeys(names)
    cpu_s, cores = used_ns / 1e9, used_ns / elapsed_ns
    user, system = closing.user_ticks - opening.user_ticks, closing.system_ticks - opening.system_ticks
    user_s = cpu_s * user / (user + system) if min(user, system) >= 0 and user + system else None
    system_s = None if user_s is None else cpu_s - user_s
    responses = window["responses"]
    per_request_us = cores * window["window_s"] * 1e6 / responses if responses else None
    return dict(zip(names, (cpu_s, user_s, system_s, per_request_us, cores), strict=True))


def _busiest_thread_share(opening: End, closing: End, stolen_fraction: float) -> float | None:
    had_ns = (closing.thread_times_at_ns - opening.thread_times_at_ns) * (1 - stolen_fraction)
    ran = _ran_ns(opening.thread_times, closing.thread_times)
    return min(1.0, max(ran) / had_ns) if ran and had_ns > 0 else None


def _ran_ns(opening: ThreadTimes, closing: ThreadTimes) -> list[int]:
    return [ran - opening.get(thread, 0) for thread, ran in closing.items()]


def _counter_changes(opening: Mapping[str, int], closing: Mapping[str, int]) -> dict[str, int]:
    return {name: max(0, closing[name] - before) for name, before in opening.items() if name in closing}


def held(memory: TreeMemory | None) -> dict[str, int | None]:
    """Return memory, processes and descriptors in their stored form."""
    names = ("pss_bytes", "rss_bytes", "uss_bytes", "processes", "threads", "open_files")
    return {name: None if memory is None else getattr(memory, name) for name in names}


def memory_figures(baseline: TreeMemory | None, connected: TreeMemory | None, connections: int) -> Memory:
    """Return the memory of a cell: without load, with all connections up, and the growth a connection.

    The growth is that of the pages which no stranger shares: why, stands in `harness.memory`.
    """
    growth = None
    if baseline is not None and connected is not None and connections:
        growth = (connected.own_pss_bytes - baseline.own_pss_bytes) / connections
    return {
        "baseline_pss_bytes": None if baseline is None else baseline.pss_bytes,
        "connected_pss_bytes": None if connected is None else connected.pss_bytes,
        "baseline_own_pss_bytes": None if baseline is None else baseline.own_pss_bytes,
        "connected_own_pss_bytes": None if connected is None else connected.own_pss_bytes,
        "bytes_per_connection": growth,
    }
