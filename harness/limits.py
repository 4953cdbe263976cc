"""What the limits of this machine allow, worked out before a cell is started: figures in, a sentence out.

A cell that meets a limit half-way measures the limit: connections are refused, the kernel ends processes for their
memory, and what is stored looks like a slow server. So what a cell takes is estimated, and one that can't be is named
with its reason and never started. Where a limit is not known, nothing is held against it.

Descriptors, ports, processes and threads are counted exactly, with a little reserve. Memory is an estimate from what
connections were measured to take (`docs/performance.md`), the kernel's part of them included; it leaves a tenth of the
free memory alone, since a machine without any doesn't measure either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.obstacles import flags_with_values
from harness.scenario import Scenario
from harness.schema import parse_payload

# What a side opens besides its connections: the load generator's is its own figure; a server has some ten of its own.
GENERATOR_DESCRIPTORS = 64
SERVER_DESCRIPTORS = 16
SELECT_DESCRIPTORS = 1_024  # numbered from 0, so the greatest that select() takes is 1,023
OTHER_TASKS = 64  # the harness, the load generator with its threads, what else may start meanwhile
MAPPINGS_OF_A_THREAD = 2  # its stack and the guard page under it
OTHER_MAPPINGS = 1_000  # of an interpreter with its libraries
SOURCE_ADDRESSES = 1_000  # of the load generator on the loopback
MEMORY_SHARE = 0.9
KIB = 1_024


@dataclass(frozen=True)
class Need:
    """What a model takes a connection: a process or thread of its own, and how much memory over which transport."""

    own: str | None
    kib: Mapping[str, int]


# A model that is not listed is taken for one that holds no more than its sockets.
NEEDS = {
    "fork": Need("process", {"tcp": 1_700, "udp": 1_800, "ws": 2_700}),
    "thread": Need("thread", {"tcp": 80, "udp": 80, "ws": 100}),
    "hybrid": Need(None, {"tcp": 30, "udp": 10, "ws": 50}),
}
PLAIN = Need(None, {"tcp": 25, "udp": 10, "ws": 40})


@dataclass(frozen=True)
class Room:
    """How much of something is left, and what says so."""

    left: int
    by: str


@dataclass(frozen=True)
class Limits:
    """What there is for a cell; None where it is not known, or has no limit.

    `open_files` and `mappings` (of memory) are a process's, `ports` an address's; `tasks` are processes and threads
    together, as the kernel counts them.
    """

    open_files: int | None = None
    ports: int | None = None
    tasks: Room | None = None
    mappings: int | None = None
    memory_bytes: Room | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)


NO_LIMITS = Limits()


def why_not(scenario: Scenario, limits: Limits, server_cpus: int, *, ours: bool = True) -> str | None:
    """Return why this machine can't have a scenario, as one sentence; None where nothing stands against it.

    `server_cpus` is how many CPUs the server may use, which decides over the workers of `hybrid`. Of a server that is
    not `ours` nothing is known: the load generator's side alone is looked at.
    """
    checks: list[Callable[[], str | None]] = [lambda: _generator_descriptors(scenario, limits)]
    if ours:
        checks += [
            lambda: _ports(scenario, limits),
            lambda: _select(scenario),
            lambda: _server_descriptors(scenario, limits, server_cpus),
            lambda: _tasks(scenario, limits),
            lambda: _mappings(scenario, limits, server_cpus),
            lambda: _memory(scenario, limits),
        ]
    return next((sentence for check in checks if (sentence := check()) is not None), None)


def _clients(scenario: Scenario) -> int:
    """Return how many connections, or peers over UDP, there are at the same time."""
    return scenario.connections + scenario.idle


def _need(scenario: Scenario) -> Need:
    inner = dict(flags_with_values(scenario.options)).get("--inner")
    return NEEDS.get(inner or scenario.model, NEEDS.get(scenario.model, PLAIN))


def _share(scenario: Scenario, server_cpus: int) -> int:
    """Return how many connections one process of the server has, where they are spread evenly over its workers."""
    workers = scenario.workers or max(2, server_cpus)
    return -(-_clients(scenario) // workers) if scenario.model == "hybrid" else _clients(scenario)


def _generator_descriptors(scenario: Scenario, limits: Limits) -> str | None:
    needed = _clients(scenario) + GENERATOR_DESCRIPTORS
    if limits.open_files is None or needed <= limits.open_files:
        return None
    return (
        f"{_clients(scenario):,} connections take {needed:,} descriptors of the load generator, and a process may open "
        f"{limits.open_files:,}: {_raise_descriptors(needed)}"
    )


def _raise_descriptors(needed: int) -> str:
    return f"raise the hard limit (ulimit -Hn {needed} as root), or ask for fewer connections"


def _ports(scenario: Scenario, limits: Limits) -> str | None:
    if limits.ports is None or _clients(scenario) <= limits.ports * SOURCE_ADDRESSES:
        return None
    return (
        f"{_clients(scenario):,} connections need as many local ports, and {SOURCE_ADDRESSES:,} loopback addresses "
        f"have {limits.ports:,} each: widen net.ipv4.ip_local_port_range, or ask for fewer connections"
    )


def _sockets(scenario: Scenario, server_cpus: int) -> int:
    """Return how many sockets of connections the process holds that holds most of them."""
    if _need(scenario).own == "process" or (scenario.transport == "udp" and _need(scenario).own is None):
        return 0
    return _share(scenario, server_cpus)


def _select(scenario: Scenario) -> str | None:
    needed = _sockets(scenario, 1) + SERVER_DESCRIPTORS
    if ("--selector", "select") not in flags_with_values(scenario.options) or needed <= SELECT_DESCRIPTORS:
        return None
    return (
        f"{_clients(scenario):,} connections take {needed:,} descriptors of the server, and select() takes none over "
        f"{SELECT_DESCRIPTORS - 1:,}: use another selector, or ask for fewer connections"
    )


def _server_descriptors(scenario: Scenario, limits: Limits, server_cpus: int) -> str | None:
    needed = _sockets(scenario, server_cpus) + SERVER_DESCRIPTORS
    if limits.open_files is None or needed <= limits.open_files:
        return None
    return (
        f"{_clients(scenario):,} connections take {needed:,} descriptors of a process of the server, which may open "
        f"{limits.open_files:,}: {_raise_descriptors(needed)}"
    )


def _tasks(scenario: Scenario, limits: Limits) -> str | None:
    own, needed = _need(scenario).own, _clients(scenario) + OTHER_TASKS
    if own is None or limits.tasks is None or needed <= limits.tasks.left:
        return None
    return (
        f"{scenario.model} takes a {own} a connection, {_clients(scenario):,} in all, and {limits.tasks.by} leaves "
        f"room for {limits.tasks.left:,}: raise it, or ask for fewer connections"
    )


def _mappings(scenario: Scenario, limits: Limits, server_cpus: int) -> str | None:
    threads = _share(scenario, server_cpus)
    needed = MAPPINGS_OF_A_THREAD * threads + OTHER_MAPPINGS
    if _need(scenario).own != "thread" or limits.mappings is None or needed <= limits.mappings:
        return None
    return (
        f"the stacks of {threads:,} threads take {needed:,} mappings of memory, and vm.max_map_count is "
        f"{limits.mappings:,}: raise it, or ask for fewer connections"
    )


def needed_bytes(scenario: Scenario) -> int:
    """Return the memory that the connections of a scenario take, and the payloads that are under way on both sides."""
    longest_bytes = max(share.size_bytes for share in parse_payload(scenario.payload))
    under_way = 2 * longest_bytes * scenario.connections * scenario.pipeline
    return _clients(scenario) * _connection_bytes(scenario) + under_way


def _connection_bytes(scenario: Scenario) -> int:
    sizes = _need(scenario).kib
    return KIB * sizes.get(scenario.transport, max(sizes.values()))


def _memory(scenario: Scenario, limits: Limits) -> str | None:
    room, needed = limits.memory_bytes, needed_bytes(scenario)
    if room is None or needed <= MEMORY_SHARE * room.left:
        return None
    each = _connection_bytes(scenario)
    return (
        f"{_clients(scenario):,} connections of {scenario.model} over {scenario.transport} take about {_size(needed)} "
        f"of memory ({_size(each)} each, and their payloads), and {room.by} leaves {_size(room.left)}, of which "
        "a tenth is let alone: ask for fewer connections"
    )


def _size(count: float) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1_000:.0f} kB"


def describe(limits: Limits) -> str:
    """Return the limits as one line that is said before a run."""
    return "this machine allows " + ", ".join(_described(limits))


def _described(limits: Limits) -> Iterator[str]:
    yield "any number of descriptors" if limits.open_files is None else f"{limits.open_files:,} descriptors a process"
    if limits.tasks is not None:
        yield f"{limits.tasks.left:,} more processes and threads ({limits.tasks.by})"
    if limits.ports is not None:
        yield f"{limits.ports:,} ports an address"
    if limits.memory_bytes is not None:
        yield f"{_size(limits.memory_bytes.left)} of memory ({limits.memory_bytes.by})"
