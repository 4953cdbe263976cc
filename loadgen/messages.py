"""What a master and its workers say to each other, beside what Locust says between them.

Every message is a frozen record of plain values, sent as one kind of Locust message (`KIND`) with the record's name in
it. Locust packs them with msgpack and keeps the order of messages between any two processes: so what a worker sent
before its last word has arrived when that does, and nothing of one test can arrive in the next.

A course of messages: the master greets every worker when a test starts (`Greeting`), each worker presents itself
(`Here`) and tells of its connections (`Connected`, again when it has more). For each window the master sends a
`WindowOrder`; a worker tells of every second of it (`SecondReport`) and, when it has fallen silent, of the whole
(`WindowReport`). A window without a length is ended by a `Close`. `Finish` makes the workers take leave: they bring
Locust's statistics up to date and say `Finished`. A worker that can't go on says `Failed`.

Times are those of the master's monotonic clock. A worker on the same machine has the same clock (`clock_name`) and uses
them as they are. One elsewhere takes the moment at which a message arrived for the moment at which it was sent
(`sent_ns`): its windows open and close later by the time the message took, on a local network well under a millisecond.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from time import monotonic_ns as clock
from typing import Any

from harness.schema import Pauses

KIND = "echobench"
Packed = dict[str, Any]  # a distribution, see `loadgen.merge`


@dataclass(frozen=True)
class Greeting:
    """To a worker: its place among how many, and who conducts."""

    place: int
    workers: int
    master_pid: int
    clock_name: str


@dataclass(frozen=True)
class Here:
    """From a worker: where it runs. A pid says something to those of the same `pid_space` only."""

    host: str
    pid: int
    pid_space: str
    cpus: list[int]


@dataclass(frozen=True)
class Connected:
    """From a worker: its users so far, those that are connected and active, how the others failed, what was said."""

    users_seen: int
    users_connected: int
    active: int
    errors: dict[str, int]
    said: str | None


@dataclass(frozen=True)
class WindowOrder:
    """To all workers: begin a load at `starts_ns`, measure it, fall silent. `connections` are those of each place."""

    index: int
    load: dict[str, Any]
    starts_ns: int
    opens_ns: int
    closes_ns: int
    connections: list[int]
    sent_ns: int
    clock_name: str


@dataclass(frozen=True)
class Close:
    """To all workers: the window closes at this time."""

    closes_ns: int
    sent_ns: int
    clock_name: str


@dataclass(frozen=True)
class Finish:
    """To all workers: there will be no further window."""


@dataclass(frozen=True)
class SecondReport:
    """From a worker: one second of a window."""

    window: int
    second: int
    errors: int
    responses: Packed


@dataclass(frozen=True)
class WindowReport:
    """From a worker: a window, its counts by their names in `WindowTally`, and what it took to measure it.

    `by_connection` are three arrays of 64-bit integers, as in `ConnectionCounts`; `opened_late_ns` is how much later
    than ordered the worker found the window open.
    """

    index: int
    counts: dict[str, int]
    distributions: dict[str, Packed]
    errors: dict[str, int]
    by_connection: list[bytes]
    busy_fraction: float
    cpu_ns: int
    pauses: Pauses
    opened_late_ns: int
    any_lives: bool
    said: str | None


@dataclass(frozen=True)
class Finished:
    """From a worker: all is told; what it did in its whole life."""

    requests_total: int
    connect_time: Packed
    handshake_time: Packed


@dataclass(frozen=True)
class Failed:
    """From a worker: it can't go on, and why."""

    sentence: str


Message = Greeting | Here | Connected | WindowOrder | Close | Finish | SecondReport | WindowReport | Finished | Failed
_NAMES: Mapping[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Greeting,
        Here,
        Connected,
        WindowOrder,
        Close,
        Finish,
        SecondReport,
        WindowReport,
        Finished,
        Failed,
    )
}


def encode(message: Message) -> dict[str, Any]:
    """Return a message as data that msgpack takes."""
    return {"name": type(message).__name__, "fields": asdict(message)}


def decode(data: Mapping[str, Any]) -> Message:
    """Return the message that `encode` was given."""
    return _NAMES[data["name"]](**data["fields"])


@cache
def clock_name() -> str:
    """Return what tells this process's monotonic clock from others: the boot, and the namespace of its clocks."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {_namespace('time')}"


def here() -> Here:
    """Return where this process runs."""
    return Here(
        socket.gethostname(), os.getpid(), f"{clock_name()} {_namespace('pid')}", sorted(os.sched_getaffinity(0))
    )


def behind_ns(order: WindowOrder | Close) -> int:
    """Return what must be added to an order's times to have them in this process's clock; call it on arrival."""
    return 0 if order.clock_name == clock_name() else clock() - order.sent_ns


def _namespace(kind: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except OSError:  # a kernel without namespaces of this kind
        return ""
