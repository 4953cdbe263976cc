"""From what the sampler has read to what is stored with a cell. Pure functions; the figures are made in `figures`.

* Memory, processes, threads and open files are those with all connections up, as read before a window, not in it.
* The kernel's counters are changes over the window; `..._connecting`, with the first window, are those before it. Those
  of the listen queue and of UDP receive buffers give rise to a warning. Retransmitted segments are context only: they
  are counted for the whole network namespace, every download of the machine adds to them, and over loopback nothing is
  lost on the way. So are `namespace_udp_drops`. What a socket dropped is forgotten with it: a server that ends a peer
  in a window may hide some.

A figure that can't be had is null, never 0, and `unavailable` says why, by its name: `server.pss_bytes`.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from harness.accounts import Accounts, End, HeldMemory, Series
from harness.figures import counter_changes, window_figures
from harness.memory import TreeMemory
from harness.pinning import Pinning
from harness.sampler import RSS_PROCESSES_MOST
from harness.schema import CellWindow, LoadRecord, Memory, Usage
from harness.verdict import ServerLife, limited_by, merged_warnings

LISTEN_COUNTERS = ("listen_overflows", "listen_drops")
DROP_COUNTERS = (*LISTEN_COUNTERS, "udp_drops")
HELD = ("pss_bytes", "rss_bytes", "uss_bytes", "processes", "threads", "open_files")
SIZES = ("pss_bytes", "own_pss_bytes", "rss_bytes", "uss_bytes")
NOT_READ = "it was not read: there was no time without a window after connecting, or the processes were gone"


def cell_windows(record: LoadRecord, accounts: Accounts, pinning: Pinning, life: ServerLife) -> list[CellWindow]:
    """Return what the harness measured over each window of a load record, with verdict and warnings."""
    windows: list[CellWindow] = []
    for index, window in enumerate(record["windows"]):
        opening, closing = accounts.openings.get(index), accounts.closings.get(index)
        figures = window_figures(window, opening, closing, pinning)
        memory = accounts.window_memory.get(index, accounts.memory)
        kernel = figures.kernel | (lost_before(accounts, opening) if index == 0 else {})
        drops = {name: count for name, count in kernel.items() if name.startswith(DROP_COUNTERS)}
        resources = replace(figures.resources, kernel_drops=drops)
        windows.append(
            {
                "server": figures.server | held(memory.server) | {"cpus": list(pinning.server_cpus)},
                "loadgen": figures.loadgen | held(memory.loadgen) | {"cpus": list(pinning.loadgen_cpus)},
                "kernel": kernel,
                "steal_s": figures.steal_s,
                "accounting": figures.accounting,
                "unavailable": figures.unavailable | held_unavailable(memory),
                "limited_by": limited_by(window, resources).value,
                "warnings": merged_warnings(window, resources, life),
            }
        )
    return windows


def lost_before(accounts: Accounts, opening: End | None) -> dict[str, int]:
    """Return what the kernel lost while the connections came up: a full listen queue shows then or never."""
    if accounts.machine_before is None or opening is None:
        return {}
    changes = counter_changes(accounts.machine_before.counters, opening.machine.counters)
    return {f"{name}_connecting": changes[name] for name in LISTEN_COUNTERS if name in changes}


def held(memory: TreeMemory | None) -> dict[str, int | None]:
    """Return memory, processes and descriptors in their stored form."""
    return {name: None if memory is None else getattr(memory, name) for name in HELD}


def held_unavailable(memory: HeldMemory) -> dict[str, str]:
    """Return why figures of `held` are null, on both sides."""
    sides = (("server.", memory.server), ("loadgen.", memory.loadgen))
    return {name: why for side, read in sides for name, why in _hidden(side, read, HELD).items()}


def _hidden(prefix: str, memory: TreeMemory | None, names: tuple[str, ...]) -> dict[str, str]:
    why = dict.fromkeys(names, NOT_READ) if memory is None else memory.unavailable
    return {f"{prefix}{name}": why[name] for name in names if name in why}


def memory_figures(baseline: TreeMemory | None, connected: TreeMemory | None, connections: int) -> Memory:
    """Return the memory of a cell: without load, with all connections up, and the growth a connection.

    The growth is that of the pages which no stranger shares: why, stands in `harness.memory`.
    """
    before, after = (None if memory is None else memory.own_pss_bytes for memory in (baseline, connected))
    growth = (after - before) / connections if before is not None and after is not None and connections else None
    sizes = {
        f"{when}_{name}": None if memory is None else getattr(memory, name)
        for when, memory in (("baseline", baseline), ("connected", connected))
        for name in SIZES
    }
    return {**sizes, "bytes_per_connection": growth}  # type: ignore[typeddict-item]  # the names are those of Memory


def cell_unavailable(
    baseline: TreeMemory | None, accounts: Accounts, connections: int, usage: Mapping[str, Usage | None]
) -> dict[str, str]:
    """Return why figures of a cell, beside those of its windows, are null."""
    connected = accounts.memory.server
    reasons = _hidden("memory.baseline_", baseline, SIZES) | _hidden("memory.connected_", connected, SIZES)
    if not connections:
        reasons["memory.bytes_per_connection"] = "no connection is held: each request makes one of its own"
    elif "memory.baseline_own_pss_bytes" in reasons or "memory.connected_own_pss_bytes" in reasons:
        lacking = "baseline" if "memory.baseline_own_pss_bytes" in reasons else "connected"
        reasons["memory.bytes_per_connection"] = f"memory.{lacking}_own_pss_bytes is not known"
    reasons |= _gaps(accounts.series)
    return reasons | {f"usage.{side}": "it did not end as it should" for side, used in usage.items() if used is None}


def _gaps(series: Series) -> dict[str, str]:
    columns = {"server_rss_bytes": series.server_rss_bytes, "loadgen_rss_bytes": series.loadgen_rss_bytes}
    why = f"not read this often where the tree has more than {RSS_PROCESSES_MOST} processes"
    return {f"series.{name}": why for name, column in columns.items() if None in column}


@dataclass(frozen=True)
class Reaped:
    """What the harness's children had used that were waited for so far, with all that they had waited for.

    It is the kernel's own sum, which needs no sampling, of processes that have ended: beside the figures of windows it
    is a second opinion on the whole life of a program, its start included.
    """

    user_s: float
    system_s: float
    voluntary_switches: int
    involuntary_switches: int

    @classmethod
    def now(cls) -> Self:
        """Read it."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(used.ru_utime, used.ru_stime, used.ru_nvcsw, used.ru_nivcsw)

    def since(self, before: Self) -> Usage:
        """Return what was added since an earlier reading."""
        return {
            "cpu_user_s": round(self.user_s - before.user_s, 6),
            "cpu_system_s": round(self.system_s - before.system_s, 6),
            "voluntary_switches": self.voluntary_switches - before.voluntary_switches,
            "involuntary_switches": self.involuntary_switches - before.involuntary_switches,
        }
