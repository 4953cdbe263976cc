"""The documents that are stored, and their versions. The prose is in `results/README.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, get_origin, get_type_hints

from harness.schema.loads import SweepStep, sweep_name
from harness.schema.percentiles import Summary
from harness.schema.words import WarningRecord

SERVER_SCHEMA = "echobench.server/1"
LIST_SCHEMA = "echobench.list/1"
LOAD_SCHEMA = "echobench.load/1"
CELL_SCHEMA = "echobench.cell/1"
RUN_SCHEMA = "echobench.run/1"
CALIBRATION_SCHEMA = "echobench.calibration/1"


class SchemaError(ValueError):
    """A document is not of the schema that its reader knows."""


class Fairness(TypedDict):
    """How evenly the connections were served: Jain's index over replies a connection, the least and the most."""

    jain: float | None
    min: int
    max: int
    stalled_connections: int


class Pauses(TypedDict):
    """Moments in which the machine did not run the generator."""

    count: int
    total_ns: int
    max_ns: int


class Second(TypedDict):
    """One second of a window, as told while it runs."""

    index: int
    responses: int
    p50_ns: int | None
    p99_ns: int | None
    errors: int


class WorkerWindow(TypedDict):
    """One worker's part of a window that several processes carried; `worker` is its number in `generator`."""

    worker: int
    due: int
    responses: int
    answered: int
    unanswered: int
    busy_fraction: float
    cpu_s: float
    opened_late_ns: int


class LoadWindow(TypedDict):
    """One window as the load generator saw it. `histograms` holds the standard compressed HdrHistogram encoding.

    A window of a sweep has its real load, `open:RATE`, and which step it is. Where several processes carried it, its
    counts and histograms are the sums of theirs, `busy_fraction` is that of the busiest, and `workers` names them.
    """

    load: str
    sweep: NotRequired[SweepStep]
    opens_monotonic_ns: int
    closes_monotonic_ns: int
    connect_time_ns: NotRequired[Summary | None]  # of connections made inside the window (churn)
    handshake_time_ns: NotRequired[Summary | None]  # of the handshakes over them, where the transport has one
    window_s: float
    due: int
    sent: int
    responses: int
    answered: int
    unanswered: int
    achieved: float | None
    throughput_per_s: float
    bytes_per_s: float
    errors: dict[str, int]
    lost: int
    duplicates: int
    reordered: int
    late: int
    response_time_ns: Summary
    service_time_ns: Summary
    send_lateness_ns: Summary | None
    histograms: dict[str, str]
    per_second: list[Second]
    fairness: Fairness
    busy_fraction: float
    cpu_s: float
    pauses: Pauses
    workers: NotRequired[list[WorkerWindow]]
    warnings: list[WarningRecord]


class WorkerProcess(TypedDict):
    """One of several processes that carried the load: what it ran on, and what it did in its whole life."""

    worker: int
    host: str
    pid: int
    cpus: list[int]
    connections: int
    requests_total: int


class Generator(TypedDict):
    """What the load generator ran on; `processes` counts those that carry load."""

    processes: int
    cpus: list[int]
    python: str
    locust: str
    workers: NotRequired[list[WorkerProcess]]


class LoadRecord(TypedDict):
    """The load generator's record of all windows, `echobench.load/1`."""

    schema: str
    target: str
    transport: str
    connections: int
    idle: NotRequired[int]
    mode: str
    pipeline: int
    payload: str
    timeout_s: float
    seed: int
    spin: bool
    requests_total: int
    generator: Generator
    connect_time_ns: Summary
    handshake_time_ns: Summary | None
    windows: list[LoadWindow]


class CellWindow(TypedDict):
    """What the harness measured over exactly one window of the load record, with the verdict.

    `server`, `loadgen` and `kernel` map a figure's name (unit in it) to its value, null where it can't be had.
    `unavailable` says why, by its place and name: `server.pss_bytes`. `accounting` is what reading all this cost the
    harness itself: `cpu_s`, and `cores_used` over the window. `warnings` holds all of the window's warnings, the load
    generator's among them.
    """

    server: dict[str, Any]
    loadgen: dict[str, Any]
    kernel: dict[str, Any]
    steal_s: float | None
    accounting: NotRequired[dict[str, Any] | None]
    unavailable: NotRequired[dict[str, str]]
    limited_by: str
    warnings: list[WarningRecord]


class ServerOutcome(TypedDict):
    """The server of a cell: how it was started, what it said, how it ended."""

    command: list[str]
    ready: dict[str, Any] | None
    stopped: dict[str, Any] | None
    exit_code: int | None
    stderr_tail: str


class Usage(TypedDict):
    """What a program and all that it waited for had used when it had ended, by the kernel's own count."""

    cpu_user_s: float
    cpu_system_s: float
    voluntary_switches: int
    involuntary_switches: int


class Memory(TypedDict):
    """Memory of the server's tree: ready without load, then with all connections up.

    PSS (each shared page divided by its sharers), RSS and USS. The `own` figures leave out the pages of files, which a
    program outside the tree may share; `bytes_per_connection` is the growth of those.
    """

    baseline_pss_bytes: int | None
    connected_pss_bytes: int | None
    baseline_own_pss_bytes: NotRequired[int | None]
    connected_own_pss_bytes: NotRequired[int | None]
    baseline_rss_bytes: NotRequired[int | None]
    connected_rss_bytes: NotRequired[int | None]
    baseline_uss_bytes: NotRequired[int | None]
    connected_uss_bytes: NotRequired[int | None]
    bytes_per_connection: float | None


class Cell(TypedDict):
    """One scenario in one round, `echobench.cell/1`. `scenario` holds every key of a plan's matrix.

    `usage` is the whole life of `server` and `loadgen`, null where they did not end as they should; `accounting` the
    CPU seconds that the harness used for reading all figures, and over which time. `unavailable` says why a figure of
    `memory`, `series` or `usage` is null, by its place and name: `memory.baseline_pss_bytes`.
    """

    schema: str
    scenario: dict[str, Any]
    round: int
    started: str
    server: ServerOutcome
    load: LoadRecord | None
    windows: list[CellWindow]
    memory: Memory
    series: dict[str, Any]
    usage: NotRequired[dict[str, Usage | None]]
    accounting: NotRequired[dict[str, float]]
    unavailable: NotRequired[dict[str, str]]
    outcome: Literal["measured", "failed"]
    failure: str | None


def required_keys(shape: Any) -> frozenset[str]:
    """Return the keys that a document of a shape must have.

    Where annotations are only evaluated when asked for, as here, `__required_keys__` counts `NotRequired` ones too.
    """
    hints = get_type_hints(shape, include_extras=True)
    return frozenset(name for name, hint in hints.items() if get_origin(hint) is not NotRequired)


def require_schema(document: Mapping[str, Any], known: str, place: str) -> None:
    """Refuse a document whose schema is not `known`.

    Raises SchemaError with a sentence that names the place, what stands there and what was expected.
    """
    found = document.get("schema")
    if found != known:
        raise SchemaError(f"{place} is of schema {found!r}; this version of echobench reads {known!r}")


def window_name(window: LoadWindow) -> str:
    """Return what a window is called: the same in every round, also where its rate is not."""
    sweep = window.get("sweep")
    return sweep_name(sweep["step"], sweep["of"]) if sweep else window["load"]
