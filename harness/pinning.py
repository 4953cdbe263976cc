"""Which CPUs each side of a measurement runs on.

Server and load generator that share a CPU measure the scheduler, so by default they are kept apart: the server gets
the first half of the physical cores that this process may use, the load generator, the harness and its sampler the
rest. Threads of one core share its execution units, so a core is only divided when there is no other.

Pinning changes the subject as well: threads that take turns at the interpreter lock run much better on one CPU than
on two, and several processes gain nothing there. So `pin` is a dimension of a plan, `one` (a single CPU for the server)
and `none` are choices, and every cell says which CPUs it ran on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Pinning:
    """The CPUs of the server's tree and those of load generator, harness and sampler."""

    server_cpus: tuple[int, ...]
    loadgen_cpus: tuple[int, ...]
    pinned: bool

    @property
    def text(self) -> str:
        """Return it as a plan writes it: `SERVER:LOADGEN`, or `none`."""
        return f"{cpu_list(self.server_cpus)}:{cpu_list(self.loadgen_cpus)}" if self.pinned else "none"

    @property
    def shared(self) -> bool:
        """Tell whether the two sides may get in each other's way."""
        return not set(self.server_cpus).isdisjoint(self.loadgen_cpus)


def allowed_cpus() -> tuple[int, ...]:
    """Return the CPUs that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))


def parse_pin(text: str) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Read a plan's `pin`: None for auto, one and none, else the CPUs before and after the colon (`0,1:2-3`).

    Raises ValueError when the text is none of these forms.
    """
    if text in {"auto", "one", "none"}:
        return None
    server, colon, loadgen = text.partition(":")
    if not colon:
        raise ValueError(f"pin {text!r} is not auto, one, none or SERVER:LOADGEN")
    return _parse_cpus(server), _parse_cpus(loadgen)


def _parse_cpus(text: str) -> tuple[int, ...]:
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    if not cpus:
        raise ValueError(f"{text!r} names no CPU")
    return tuple(sorted(cpus))


def resolve_pin(text: str, allowed: Sequence[int], cores: Sequence[Sequence[int]] | None = None) -> Pinning:
    """Return the CPUs that a plan's `pin` means on this machine.

    `cores` groups the CPUs by physical core (read from the system by default).
    Raises ValueError when it names a CPU that this process may not use.
    """
    if text == "none":
        return Pinning(tuple(allowed), tuple(allowed), pinned=False)
    named = parse_pin(text)
    if named is None:
        divided = _divide(physical_cores(allowed) if cores is None else cores)
        return replace(divided, server_cpus=divided.server_cpus[:1]) if text == "one" else divided
    unusable = sorted((set(named[0]) | set(named[1])) - set(allowed))
    if unusable:
        raise ValueError(f"pin {text!r} names CPU {unusable[0]}; this process may use {cpu_list(allowed)}")
    return Pinning(*named, pinned=True)


def _divide(cores: Sequence[Sequence[int]]) -> Pinning:
    units = cores if len(cores) > 1 else [[cpu] for cpu in cores[0]]
    if len(units) == 1:
        return Pinning(tuple(units[0]), tuple(units[0]), pinned=True)
    half = len(units) // 2
    server, loadgen = (tuple(sorted(cpu for unit in part for cpu in unit)) for part in (units[:half], units[half:]))
    return Pinning(server, loadgen, pinned=True)


def physical_cores(cpus: Sequence[int]) -> list[list[int]]:
    """Group CPUs by the physical core they belong to, in the order of their numbers."""
    cores: dict[str, list[int]] = {}
    for cpu in cpus:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = siblings.read_text().strip() if siblings.exists() else str(cpu)
        cores.setdefault(core, []).append(cpu)
    return list(cores.values())


def cpu_list(cpus: Sequence[int]) -> str:
    """Write CPUs as the load generator's `--cpus` and the messages take them: `0,1`."""
    return ",".join(str(cpu) for cpu in cpus)


@contextmanager
def running_on(cpus: Sequence[int]) -> Iterator[None]:
    """Keep this thread, and the threads that it starts, on these CPUs meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
