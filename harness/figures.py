"""From readings at both ends of a window to its figures, and why one is missing. Pure functions.

* CPU seconds are those between the two readings. The readings stand at the window's ends to a fraction of a
  millisecond; where the harness was late, rates are taken over the time that was really read, so that a late reading
  makes a figure less exact but not wrong.
* CPU microseconds a request are cores used x window / replies received in the window: right also when the load
  generator is the limit.
* Idle and busy fractions are of the time that the CPUs had, the window less what the hypervisor took.
* Context switches are counted by thread, and a thread that ends takes its count with it.

A figure that can't be had (an end that was not read, a tree that was gone) is None, never 0, and has its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.accounts import End
from harness.cputime import TreeCpu
from harness.machine import MachineState
from harness.pinning import Pinning
from harness.procfs import TICKS_PER_S
from harness.schema import LoadWindow
from harness.threads import SWITCHES_THREADS_MOST, Threads
from harness.verdict import Resources

MAX_MOVED_NS = 10_000_000
CPU_FIGURES = ("cpu_s", "cpu_user_s", "cpu_system_s", "cpu_us_per_request", "cores_used")
SWITCHES = ("voluntary_switches", "involuntary_switches")
SERVER_FIGURES = (
    *CPU_FIGURES,
    *SWITCHES,
    "idle_fraction",
    "stolen_s",
    "busiest_thread_share",
    "unsettled_ends",
    "read_late_ns",
)
LOADGEN_FIGURES = (*CPU_FIGURES, *SWITCHES, "idle_fraction", "stolen_s")

ALL_STOLEN = "the hypervisor took all of the time of these CPUs, or the kernel does not show them"
NO_TICK = "no tick of the kernel fell on the tree in the window, so the split is not known"
NO_REPLY = "no reply was received in the window"
NO_TIME = "both ends of the window were read at the same instant"
PART_LOST = "processes left the tree in the window with the time that they had used: their parents ended before them"
TOO_MANY_THREADS = f"trees of more than {SWITCHES_THREADS_MOST:,} threads are not asked for their switches"

Values = dict[str, Any]
Reasons = dict[str, str]


@dataclass(frozen=True)
class WindowFigures:
    """The figures of one window, by side; `resources` are those that the verdict asks for, but for the drops.

    `unavailable` says why a figure is None: `server.cpu_s`.
    """

    server: Values
    loadgen: Values
    kernel: dict[str, int]
    steal_s: float | None
    resources: Resources
    accounting: Values | None = None
    unavailable: Reasons = field(default_factory=dict)


def window_figures(window: LoadWindow, opening: End | None, closing: End | None, pinning: Pinning) -> WindowFigures:
    """Return the figures of one window; all are None when one of its ends was not read where the record has it."""
    if opening is None or closing is None:
        return _nothing(f"the {'opening' if opening is None else 'closing'} of the window was not read")
    if not _is_of(window, opening, closing):
        return _nothing("the window was not where it had been announced")
    server, loadgen = Side(window, opening, closing, "server"), Side(window, opening, closing, "loadgen")
    server_cpus = cpu_time(opening.machine, closing.machine, pinning.server_cpus)
    loadgen_cpus = cpu_time(opening.machine, closing.machine, pinning.loadgen_cpus)
    both = cpu_time(opening.machine, closing.machine, {*pinning.server_cpus, *pinning.loadgen_cpus})
    for side, cpus in ((server, server_cpus), (loadgen, loadgen_cpus)):
        side.take_cpu()
        side.take_switches()
        side.take({"idle_fraction": cpus.idle_fraction, "stolen_s": cpus.stolen_s}, ALL_STOLEN)
    server.take_busiest(server_cpus.stolen_fraction)
    server.values |= {
        "unsettled_ends": sum(not end.server.settled for end in (opening, closing)),
        "read_late_ns": max(end.server.at_monotonic_ns - end.due_monotonic_ns for end in (opening, closing)),
    }
    worse_steal = max(server_cpus.stolen_fraction, loadgen_cpus.stolen_fraction)
    share = _share_of_busy(server.values["cpu_s"], server_cpus)
    busiest = server.values["busiest_thread_share"]
    return WindowFigures(
        server.values,
        loadgen.values,
        counter_changes(opening.machine.counters, closing.machine.counters),
        both.stolen_s,
        Resources(server_cpus.idle_fraction, busiest, worse_steal, kernel_drops={}, server_share_of_busy=share),
        _accounting(window, opening, closing),
        server.unavailable | loadgen.unavailable,
    )


def _nothing(why: str) -> WindowFigures:
    server, loadgen = dict.fromkeys(SERVER_FIGURES), dict.fromkeys(LOADGEN_FIGURES)
    names = [*(f"server.{name}" for name in server), *(f"loadgen.{name}" for name in loadgen), "steal_s", "accounting"]
    nothing = Resources(None, None, None, {})
    return WindowFigures(server, loadgen, {}, None, nothing, unavailable=dict.fromkeys(names, why))


def _is_of(window: LoadWindow, opening: End, closing: End) -> bool:
    """Tell whether the window was announced as it is recorded."""
    off_ns = (
        opening.due_monotonic_ns - window["opens_monotonic_ns"],
        closing.due_monotonic_ns - window["closes_monotonic_ns"],
    )
    return max(abs(distance) for distance in off_ns) <= MAX_MOVED_NS


def _accounting(window: LoadWindow, opening: End, closing: End) -> Values:
    """Return what the readings themselves cost, those just before the opening and after the closing included."""
    spent_s = closing.spent_s - opening.spent_s
    return {"cpu_s": spent_s, "cores_used": spent_s / window["window_s"]}


class Side:
    """The figures of one side, as they are taken one after the other, each with its reason where it is None."""

    def __init__(self, window: LoadWindow, opening: End, closing: End, name: str) -> None:
        self.values: Values = {}
        self.unavailable: Reasons = {}
        self._window = window
        self._ends = opening, closing
        self._name = name

    def take(self, figures: Values, why_none: str) -> None:
        """Keep figures, and the reason of those that are None."""
        self.values |= figures
        self.unavailable |= {f"{self._name}.{name}": why_none for name, value in figures.items() if value is None}

    def take_cpu(self) -> None:
        """Take what the tree used between the two readings."""
        opening, closing = (end.server if self._name == "server" else end.loadgen for end in self._ends)
        used_ns, elapsed_ns = closing.total_ns - opening.total_ns, closing.at_monotonic_ns - opening.at_monotonic_ns
        why = _why_no_cpu(opening, closing)
        if why is not None:
            self.take(dict.fromkeys(CPU_FIGURES), why)
            return
        cpu_s, cores = used_ns / 1e9, used_ns / elapsed_ns
        user_ns = closing.user_sampled_ns - opening.user_sampled_ns
        system_ns = closing.system_sampled_ns - opening.system_sampled_ns
        user_s = cpu_s * user_ns / (user_ns + system_ns) if min(user_ns, system_ns) >= 0 < user_ns + system_ns else None
        responses = self._window["responses"]
        per_request_us = cores * self._window["window_s"] * 1e6 / responses if responses else None
        self.take({"cpu_s": cpu_s, "cores_used": cores}, "")
        self.take({"cpu_user_s": user_s, "cpu_system_s": None if user_s is None else cpu_s - user_s}, NO_TICK)
        self.take({"cpu_us_per_request": per_request_us}, NO_REPLY)

    def take_switches(self) -> None:
        """Take the context switches of all threads."""
        before, after = (end.server_threads if self._name == "server" else end.loadgen_threads for end in self._ends)
        ended = len(before.keys() - after.keys())
        if ended:
            what = "a thread" if ended == 1 else f"{ended:,} threads"
            self.take(dict.fromkeys(SWITCHES), f"{what} ended in the window: the count went with it")
            return
        figures = {name: _total(name, after, before) for name in SWITCHES}
        self.take(figures, TOO_MANY_THREADS if after else "the process tree was gone")

    def take_busiest(self, stolen_fraction: float) -> None:
        """Take how much of the time that it had the server's busiest thread ran."""
        opening, closing = self._ends
        had_ns = (closing.threads_at_ns - opening.threads_at_ns) * (1 - stolen_fraction)
        ran_ns = [thread.ran_ns - _ran_before(key, opening) for key, thread in closing.server_threads.items()]
        share = min(1.0, max(ran_ns) / had_ns) if ran_ns and had_ns > 0 else None
        self.take({"busiest_thread_share": share}, ALL_STOLEN if ran_ns else "the process tree was gone")


def _why_no_cpu(opening: TreeCpu, closing: TreeCpu) -> str | None:
    for end, name in ((opening, "opening"), (closing, "closing")):
        if not end.processes:
            return f"the process tree was gone, or not to be seen, at the {name} of the window"
    if closing.at_monotonic_ns <= opening.at_monotonic_ns:
        return NO_TIME
    return PART_LOST if closing.total_ns < opening.total_ns else None


def _ran_before(key: tuple[int, int, int], opening: End) -> int:
    thread = opening.server_threads.get(key)
    return 0 if thread is None else thread.ran_ns


def _total(name: str, after: Threads, before: Threads) -> int | None:
    """Return by how much a count rose over threads, None where there are none or one was not read."""
    counts = [
        *(getattr(thread, name) for thread in after.values()),
        *(None if (count := getattr(thread, name)) is None else -count for thread in before.values()),
    ]
    return sum(counts) if after and None not in counts else None


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


def cpu_time(opening: MachineState, closing: MachineState, cpus: Iterable[int]) -> CpuTime:
    """Return how CPUs spent the time between two readings."""
    seen = [cpu for cpu in cpus if cpu in opening.cpus and cpu in closing.cpus]
    idle = sum(closing.cpus[cpu].idle - opening.cpus[cpu].idle for cpu in seen)
    stolen = sum(closing.cpus[cpu].stolen - opening.cpus[cpu].stolen for cpu in seen)
    elapsed_s = (closing.at_monotonic_ns - opening.at_monotonic_ns) / 1e9
    return CpuTime(elapsed_s * len(seen), max(0, idle) / TICKS_PER_S, max(0, stolen) / TICKS_PER_S)


def _share_of_busy(server_cpu_s: float | None, cpus: CpuTime) -> float | None:
    """Return the part of the CPUs' busy time that was the server's own."""
    busy_s = cpus.elapsed_s - cpus.stolen_s - cpus.idle_s
    return min(1.0, server_cpu_s / busy_s) if server_cpu_s is not None and busy_s > 0 else None


def counter_changes(opening: Mapping[str, int], closing: Mapping[str, int]) -> dict[str, int]:
    """Return by how much counters rose that were there at both readings."""
    return {name: max(0, closing[name] - before) for name, before in opening.items() if name in closing}
