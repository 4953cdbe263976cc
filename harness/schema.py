"""The words that all parts of echobench share: records, loads, verdicts, warnings, and the rules of a percentile.

Standard library only, no I/O, no clock. Every stored or printed document carries one of the schema names below;
`require_schema` refuses a document of another version with a sentence.

The shapes of the documents are the `TypedDict`s in this file and the prose in `results/README.md`.

Rules of a percentile, in one place:
* it is shown only when about ten samples lie beyond it (p99 from 1,000, p99.9 from 10,000): `SAMPLES_NEEDED`;
* unanswered requests rank as infinite: where the rank of a percentile falls among them it reads `> 1 s`, the time-out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NotRequired, TypedDict, get_origin, get_type_hints

SERVER_SCHEMA = "echobench.server/1"
LIST_SCHEMA = "echobench.list/1"
LOAD_SCHEMA = "echobench.load/1"
CELL_SCHEMA = "echobench.cell/1"
RUN_SCHEMA = "echobench.run/1"
CALIBRATION_SCHEMA = "echobench.calibration/1"

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
SAMPLES_NEEDED: Mapping[str, int] = {"p50": 20, "p90": 100, "p99": 1_000, "p99.9": 10_000, "p99.99": 100_000}

# The range and the resolution of every histogram on file (HdrHistogram): 1 us to 1 h, 3 significant digits.
HISTOGRAM_LOWEST_NS = 1_000
HISTOGRAM_HIGHEST_NS = 3_600_000_000_000
HISTOGRAM_DIGITS = 3

GENERATOR_BUSY = 0.9
MAX_RATE_PER_S = 1_000_000
MAX_SWEEP_STEPS = 50
SWEEP_STEPS = frozenset(str(number) for number in range(1, MAX_SWEEP_STEPS + 1))
JAIN_FAIR = 0.9


class SchemaError(ValueError):
    """A document is not of the schema that its reader knows."""


class LimitedBy(StrEnum):
    """The verdict of a window: what kept the throughput from being higher."""

    GENERATOR = "generator"
    SERVER = "server"
    CONCURRENCY = "concurrency"
    OFFERED_LOAD = "offered_load"
    UNDETERMINED = "undetermined"


class WarningKind(StrEnum):
    """A doubt about a window, stored and shown wherever its numbers are."""

    SCHEDULE_MISSED = "schedule_missed"
    ERRORS = "errors"
    UNANSWERED = "unanswered"
    COUNT_MISMATCH = "count_mismatch"
    STALLED_CONNECTIONS = "stalled_connections"
    UNFAIR = "unfair"
    KERNEL_DROPS = "kernel_drops"
    STEAL = "steal"
    PAUSES = "pauses"
    SHORT = "short"
    SERVER_DIED = "server_died"
    NEAR_CEILING = "near_ceiling"


class ErrorKind(StrEnum):
    """How a request or a connection failed, as the load generator counts it."""

    CONNECT = "connect"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    CORRUPT = "corrupt"
    PROTOCOL = "protocol"


class WarningRecord(TypedDict):
    """A warning as stored: its kind and the figures that gave rise to it (units in their names)."""

    kind: str
    figures: dict[str, float | int | str]


def warning(kind: WarningKind, **figures: float | int | str) -> WarningRecord:
    """Build the stored form of a warning; figures carry their unit in their name."""
    return {"kind": kind.value, "figures": dict(figures)}


class SweepStep(TypedDict):
    """Which step of a load sweep a window is: `step` of `of`, at `fraction` of the closed throughput before it."""

    step: int
    of: int
    fraction: float


@dataclass(frozen=True)
class Load:
    """One load as it is asked for: `closed`, `open:RATE`, `open:RATE:constant` or `sweep:N`.

    Open load is Poisson unless `constant`, at RATE requests/s in total. A sweep stands for N windows of open load at
    evenly spaced parts of the throughput of the closed window before it, which is only known then: what each of them
    became is an open load with `step` and `of`. `steps` is N for a sweep, 0 for others.
    """

    kind: Literal["closed", "open", "sweep"]
    rate_per_s: float = 0.0
    arrivals: Literal["poisson", "constant"] = "poisson"
    steps: int = 0
    step: int = 0
    of: int = 0

    @classmethod
    def parse(cls, text: str) -> Load:
        """Read a load as written on a command line or in a plan.

        Raises ValueError with one sentence that names the text and the forms there are.
        """
        kind, *rest = text.strip().split(":")
        if kind == "closed" and not rest:
            return cls("closed")
        if kind == "open" and len(rest) in {1, 2} and rest[1:] in ([], ["constant"], ["poisson"]):
            rate = _positive(rest[0])
            if rate is not None and rate <= MAX_RATE_PER_S:
                return cls("open", rate, "constant" if rest[1:] == ["constant"] else "poisson")
        if kind == "sweep" and len(rest) == 1 and rest[0] in SWEEP_STEPS:
            return cls("sweep", steps=int(rest[0]))
        raise ValueError(f"load {text!r} is not one of {LOAD_FORMS}")

    def __str__(self) -> str:
        """Write the load as it is read."""
        if self.kind == "closed":
            return "closed"
        if self.kind == "sweep":
            return f"sweep:{self.steps}"
        suffix = ":constant" if self.arrivals == "constant" else ""
        return f"open:{self.rate_per_s:.12g}{suffix}"

    @property
    def windows(self) -> int:
        """Return how many windows the load becomes."""
        return self.steps or 1

    @property
    def sweep(self) -> SweepStep | None:
        """Return which step of a sweep the load is, None for one that stands alone."""
        if not self.of:
            return None
        return {"step": self.step, "of": self.of, "fraction": sweep_fraction(self.step, self.of)}


LOAD_FORMS = (
    f"closed, open:RATE, open:RATE:constant (RATE in requests/s, over 0 and up to {MAX_RATE_PER_S:,}), or sweep:N "
    f"(N steps, 1 to {MAX_SWEEP_STEPS}, of the closed window before it)"
)


def sweep_fraction(step: int, of: int) -> float:
    """Return at which part of the capacity a step of a sweep lies: in the middle of its N-th, (2k - 1) / 2N."""
    return (2 * step - 1) / (2 * of)


def require_capacity(loads: Sequence[Load]) -> None:
    """Raise ValueError with a sentence where a sweep has no closed window before it to take its steps of."""
    for place, load in enumerate(loads):
        if load.kind == "sweep" and all(before.kind != "closed" for before in loads[:place]):
            raise ValueError(f"load {load} needs a closed window before it: its steps are parts of what that measures")


def window_names(loads: Sequence[str]) -> list[str]:
    """Return what the windows of these loads are called before their rates are known: `closed`, `sweep 2 of 5`."""
    names: list[str] = []
    for text in loads:
        steps = Load.parse(text).steps
        names += [sweep_name(step, steps) for step in range(1, steps + 1)] if steps else [text]
    return names


def sweep_name(step: int, of: int) -> str:
    """Return what a step of a sweep is called."""
    return f"sweep {step} of {of}"


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


# "p99.9" is no identifier, hence the functional form. A percentile is null where the samples can't carry it and the
# string "> 1 s" (the time-out) where unanswered requests reach its rank; min, mean and max are of the answered.
Summary = TypedDict(
    "Summary",
    {
        "count": int,
        "min": int | None,
        "mean": float | None,
        "p50": int | str | None,
        "p90": int | str | None,
        "p99": int | str | None,
        "p99.9": int | str | None,
        "p99.99": int | str | None,
        "max": int | None,
    },
)


def percentile_rank(quantile: float, samples: int) -> int:
    """Return the 1-based rank of a quantile among `samples` values: ceil(q n), numpy's `inverted_cdf`."""
    return max(1, math.ceil(round(quantile * samples, 9)))


def percentile_state(name: str, answered: int, unanswered: int) -> Literal["value", "short", "censored"]:
    """Tell whether a percentile can be shown: its samples are too few, its rank is unanswered, or it has a value."""
    samples = answered + unanswered
    if samples < SAMPLES_NEEDED[name]:
        return "short"
    return "value" if percentile_rank(QUANTILES[name], samples) <= answered else "censored"


def over_timeout(timeout_s: float) -> str:
    """Return what a percentile reads whose rank was never answered: `> 1 s`."""
    return f"> {timeout_s:g} s"


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
    `warnings` holds all of the window's warnings, the load generator's among them.
    """

    server: dict[str, Any]
    loadgen: dict[str, Any]
    kernel: dict[str, Any]
    steal_s: float | None
    limited_by: str
    warnings: list[WarningRecord]


class ServerOutcome(TypedDict):
    """The server of a cell: how it was started, what it said, how it ended."""

    command: list[str]
    ready: dict[str, Any] | None
    stopped: dict[str, Any] | None
    exit_code: int | None
    stderr_tail: str


class Memory(TypedDict):
    """Proportional set size of the server's tree: ready without load, then with all connections up.

    The `own` figures leave out the pages of files, which a program outside the tree may share; `bytes_per_connection`
    is the growth of those.
    """

    baseline_pss_bytes: int | None
    connected_pss_bytes: int | None
    baseline_own_pss_bytes: NotRequired[int | None]
    connected_own_pss_bytes: NotRequired[int | None]
    bytes_per_connection: float | None


class Cell(TypedDict):
    """One scenario in one round, `echobench.cell/1`. `scenario` holds every key of a plan's matrix."""

    schema: str
    scenario: dict[str, Any]
    round: int
    started: str
    server: ServerOutcome
    load: LoadRecord | None
    windows: list[CellWindow]
    memory: Memory
    series: dict[str, Any]
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


def total_errors(errors: Mapping[str, int]) -> int:
    """Return the number of errors of all kinds."""
    return sum(errors.values())


def describe_warning(record: WarningRecord) -> str:
    """Return a warning as a short phrase: its kind in words, then its figures."""
    words = record["kind"].replace("_", " ")
    figures = ", ".join(_figure(name, value) for name, value in record["figures"].items())
    return f"{words} ({figures})" if figures else words


def _figure(name: str, value: float | str) -> str:
    if name.endswith("_per_s") and not isinstance(value, str):
        return f"{name.removesuffix('_per_s').replace('_', ' ')} {value:,.0f}/s"
    if name.endswith("_ns") and not isinstance(value, str):
        return f"{name.removesuffix('_ns').replace('_', ' ')} {value / 1e6:.3g} ms"
    if isinstance(value, str):
        return f"{name.replace('_', ' ')} {value}"
    return f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value:.4g}"
