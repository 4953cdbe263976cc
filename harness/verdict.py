"""The verdict of a window: what kept its throughput from being higher, and every doubt about its figures.

Pure functions: figures in, an enum member and warnings out.

`limited_by` is the first of these that holds; the order matters, since a saturated generator makes a server look idle:

1. generator: it was busy 90 % of the window, and the server was not full. Throughput is a lower bound then, and no
   statement about the server. *Full* is a server whose CPUs were idle less than 5 %, or with a thread that ran 95 % of
   the time it had: whatever a faster generator would do, it could not get much more of that. (A generator that always
   finds a reply ready is always busy, also when it could go faster: with many servers it handles one reply a time.)
2. server: it had work to do (closed load, or an open one with too few replies in time) and either its CPUs were idle
   less than 10 % of the time they had, or one of its threads ran at least 90 % of it. The time they had is the window
   less what the hypervisor took: by the wall clock, saturated servers on a virtual machine read anything from 0.64 to
   0.91. CPUs that others kept busy say nothing about the server: at least half of the busy time must be its own.
3. concurrency: closed load and neither side at its limit: more connections would give more.
4. offered load: open load, and what was due came back inside the window. Requests that went out late for a moment, as
   when the machine stopped the generator, are warned of (`schedule_missed`); they did not limit the throughput.
5. undetermined, also where the figures that a rule needs could not be had.

The load generator's own warnings (`loadgen/doubts.py`) are taken as they are: it has seen the single requests. Those of
the harness, of what only it can see, are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.schema import (
    ACHIEVED_LEAST,
    GENERATOR_BUSY,
    LimitedBy,
    LoadWindow,
    WarningKind,
    WarningRecord,
    warning,
)

SERVER_IDLE, SERVER_FULL_IDLE = 0.1, 0.05
SHARE_OF_BUSY = 0.5
STEAL = 0.05
CLOSED = "closed"


@dataclass(frozen=True)
class Resources:
    """What the machine gave to the two sides in a window; None where it can't be had.

    `idle_fraction` is of the CPUs that the server may use, `busiest_thread_share` is the server's busiest thread, both
    as parts of the window less stolen time. `steal_fraction` is the worse of the two sides. `kernel_drops` holds the
    kernel's counters of what it dropped. `server_share_of_busy` is the part of the busy time of its CPUs that the
    server's processes used.
    """

    idle_fraction: float | None
    busiest_thread_share: float | None
    steal_fraction: float | None
    kernel_drops: Mapping[str, int]
    server_share_of_busy: float | None = None


@dataclass(frozen=True)
class ServerLife:
    """What is known of the server's whole life, beside all windows."""

    transport: str
    requests_total: int
    messages: int | None
    died: bool


def limited_by(window: LoadWindow, resources: Resources) -> LimitedBy:
    """Return what kept a window's throughput from being higher."""
    closed = window["load"] == CLOSED
    achieved = window["achieved"]
    missed = not closed and achieved is not None and achieved < ACHIEVED_LEAST
    if window["busy_fraction"] >= GENERATOR_BUSY and not _server_used_up(resources, SERVER_FULL_IDLE):
        return LimitedBy.GENERATOR
    saturated = _server_used_up(resources, SERVER_IDLE)
    if saturated and (closed or missed):
        return LimitedBy.SERVER
    if closed:
        return LimitedBy.UNDETERMINED if saturated is None else LimitedBy.CONCURRENCY
    if not missed and not window["unanswered"]:
        return LimitedBy.OFFERED_LOAD
    return LimitedBy.UNDETERMINED


def _server_used_up(resources: Resources, idle_least: float) -> bool | None:
    """Tell whether less than a part of what the server had was idle: of its CPUs, or of its busiest thread's time.

    None where neither figure says so and one is missing.
    """
    idle, busiest, share = resources.idle_fraction, resources.busiest_thread_share, resources.server_share_of_busy
    if busiest is not None and busiest >= 1 - idle_least:
        return True
    if idle is not None and idle < idle_least:
        return True if share is None or share >= SHARE_OF_BUSY else None
    return None if idle is None or busiest is None else False


def merged_warnings(window: LoadWindow, resources: Resources, life: ServerLife) -> list[WarningRecord]:
    """Return all warnings of a window, one of each kind, in the order of the kinds."""
    own = [steal(resources), kernel_drops(resources), count_mismatch(life), server_died(life)]
    by_kind: dict[str, WarningRecord] = {}
    for record in _present([*window["warnings"], *own]):
        by_kind.setdefault(record["kind"], record)
    order = {kind.value: number for number, kind in enumerate(WarningKind)}
    return sorted(by_kind.values(), key=lambda record: order.get(record["kind"], len(order)))


def _present(records: Iterable[WarningRecord | None]) -> Iterable[WarningRecord]:
    return (record for record in records if record is not None)


def steal(resources: Resources) -> WarningRecord | None:
    """Doubt a window in which the hypervisor took more than 5 % of the CPUs of either side."""
    fraction = resources.steal_fraction
    return warning(WarningKind.STEAL, fraction=fraction) if fraction is not None and fraction > STEAL else None


def kernel_drops(resources: Resources) -> WarningRecord | None:
    """Doubt a window in which the kernel dropped anything."""
    lost = {name: count for name, count in resources.kernel_drops.items() if count > 0}
    return warning(WarningKind.KERNEL_DROPS, **lost) if lost else None


def count_mismatch(life: ServerLife) -> WarningRecord | None:
    """Doubt all windows of a server that counted other messages than the generator sent requests.

    Over UDP requests may be lost on the way, so only more than were sent is wrong. A server that does not count, or
    did not live to tell, can't be compared.
    """
    if life.messages is None:
        return None
    wrong = life.messages > life.requests_total if life.transport == "udp" else life.messages != life.requests_total
    if not wrong:
        return None
    return warning(WarningKind.COUNT_MISMATCH, server_messages=life.messages, requests_total=life.requests_total)


def server_died(life: ServerLife) -> WarningRecord | None:
    """Doubt all windows of a server that ended before it was told to."""
    return warning(WarningKind.SERVER_DIED) if life.died else None
