"""One cell with known answers: the shapes of the schema, its figures and histograms drawn with a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from harness.schema import (
    CELL_SCHEMA,
    HISTOGRAM_DIGITS,
    HISTOGRAM_HIGHEST_NS,
    HISTOGRAM_LOWEST_NS,
    LOAD_SCHEMA,
    QUANTILES,
    Cell,
    CellWindow,
    LimitedBy,
    Load,
    LoadRecord,
    LoadWindow,
    Summary,
    WarningKind,
    WarningRecord,
    over_timeout,
    percentile_rank,
    percentile_state,
    warning,
)

Ints = npt.NDArray[np.int64]

TIMEOUT_S = 1.0
WINDOW_S = 1.5
BASELINE_BYTES = 9_000_000
DRAWN = 6_000  # values of a closed window that are drawn; nothing reads its times


@dataclass(frozen=True)
class CannedModel:
    """What a model is to show; noise is the standard deviation of a round's log-figures."""

    name: str
    throughput_per_s: float = 40_000.0
    noise: float = 0.02
    service_ns: float = 150_000.0
    cpu_us: float = 18.0
    system_share: float = 0.7
    bytes_per_connection: float = 4_000.0
    unanswered_share: float = 0.0
    keeps_up_to: float = 1.0  # the part of its capacity beyond which a sweep's schedule is missed
    closed_verdict: LimitedBy = LimitedBy.SERVER
    open_verdict: LimitedBy = LimitedBy.OFFERED_LOAD
    warnings: tuple[WarningRecord, ...] = ()
    failed_rounds: tuple[int, ...] = ()
    python: str = "3.11.7"
    gil: bool | None = None
    accounting_cores: float | None = None
    unavailable: tuple[tuple[str, str], ...] = ()
    failure: str = "the server was not ready within 15 s; it wrote nothing to stderr"


@dataclass(frozen=True)
class Times:
    """The raw times of one window (ns), and how many requests were never answered."""

    response_time: Ints
    service_time: Ints
    unanswered: int


@dataclass(frozen=True)
class Draw:
    """Where a cell's figures come from: its round, the round's drift of the machine, and the random numbers."""

    round: int
    drift: float
    rng: np.random.Generator

    def noisy(self, sigma: float) -> float:
        """Return a factor around 1."""
        return float(np.exp(self.rng.normal(0, sigma)))


def make_cell(model: CannedModel, scenario: dict[str, Any], draw: Draw) -> tuple[Cell, list[Times]]:
    """Return a cell that shows what the model is to show, and the raw times behind its histograms."""
    if draw.round in model.failed_rounds:
        return _cell(model, scenario, draw, None, []), []
    made: list[tuple[LoadWindow, Times]] = []
    payload = int(scenario["payload"]) if scenario["payload"].isdecimal() else 64
    for text in scenario["loads"]:
        made += [
            _window(model, load, draw, payload) for load in _steps(Load.parse(text), [window for window, _ in made])
        ]
    record = _record(scenario, [window for window, _ in made])
    watched = [_watched(model, window, draw, scenario) for window, _ in made]
    return _cell(model, scenario, draw, record, watched), [times for _, times in made]


def _cell(
    model: CannedModel, scenario: dict[str, Any], draw: Draw, record: LoadRecord | None, windows: list[CellWindow]
) -> Cell:
    measured = record is not None
    connected = BASELINE_BYTES + model.bytes_per_connection * scenario["connections"]
    return {
        "schema": CELL_SCHEMA,
        "scenario": scenario,
        "round": draw.round,
        "started": f"2026-01-02T03:{draw.round:02d}:00Z",
        "server": {
            "command": ["python", "-m", "servers", "--model", model.name],
            "ready": _ready(model) if measured else None,
            "stopped": {"event": "stopped", "messages": 1} if measured else None,
            "exit_code": 0 if measured else 1,
            "stderr_tail": "",
        },
        "load": record,
        "windows": windows,
        "memory": {
            "baseline_pss_bytes": BASELINE_BYTES if measured else None,
            "connected_pss_bytes": round(connected) if measured else None,
            "baseline_own_pss_bytes": BASELINE_BYTES // 2 if measured else None,
            "connected_own_pss_bytes": round(connected) - BASELINE_BYTES // 2 if measured else None,
            "bytes_per_connection": model.bytes_per_connection if measured else None,
        },
        "series": {"every_s": 0.1},
        "outcome": "measured" if measured else "failed",
        "failure": None if measured else model.failure,
    }


def _ready(model: CannedModel) -> dict[str, Any]:
    ready = {"event": "ready", "model": model.name, "python": model.python}
    return ready if model.gil is None else ready | {"gil": model.gil}


def _record(scenario: Mapping[str, Any], windows: list[LoadWindow]) -> LoadRecord:
    return {
        "schema": LOAD_SCHEMA,
        "target": "tcp://127.0.0.1:9000",
        "transport": scenario["transport"],
        "connections": scenario["connections"],
        "mode": scenario["mode"],
        "pipeline": scenario["pipeline"],
        "payload": scenario["payload"],
        "timeout_s": TIMEOUT_S,
        "seed": 1,
        "spin": False,
        "requests_total": sum(window["due"] for window in windows),
        "generator": {"processes": 1, "cpus": [1], "python": "3.11.7", "locust": "2.47.0"},
        "connect_time_ns": summary(np.full(64, 90_000), 0),
        "handshake_time_ns": None,
        "windows": windows,
    }


def _steps(load: Load, before: list[LoadWindow]) -> list[Load]:
    """Return the load, or those of a sweep: parts of the closed window before it."""
    closed = [window["throughput_per_s"] for window in before if window["load"] == "closed"]
    steps = range(1, load.steps + 1)
    return [
        Load("open", round(closed[-1] * (2 * step - 1) / (2 * load.steps), 1), step=step, of=load.steps)
        for step in steps
    ] or [load]


def _window(model: CannedModel, load: Load, draw: Draw, payload_bytes: int) -> tuple[LoadWindow, Times]:
    closed = load.kind == "closed"
    throughput = model.throughput_per_s * draw.drift * draw.noisy(model.noise)
    due = round(throughput * WINDOW_S) if closed else int(draw.rng.poisson(load.rate_per_s * WINDOW_S))
    idle = 1 if closed or not load.of else 1 - load.rate_per_s / throughput
    level_ns = 64 / throughput * 1e9 if closed else model.service_ns * draw.noisy(model.noise) / max(0.05, idle)
    times = _times(model, due, level_ns, draw)
    answered = due - times.unanswered
    response, service = times.response_time, times.service_time
    lateness = summary(draw.rng.exponential(30_000, len(response)).astype(np.int64), 0)
    verdict = model.closed_verdict if closed else model.open_verdict
    window: LoadWindow = {
        "load": str(load),
        "opens_monotonic_ns": 1_000_000_000,
        "closes_monotonic_ns": 1_000_000_000 + round(WINDOW_S * 1e9),
        "window_s": WINDOW_S,
        "due": due,
        "sent": due,
        "responses": answered,
        "answered": answered,
        "unanswered": times.unanswered,
        "achieved": answered / due,
        "throughput_per_s": answered / WINDOW_S,
        "bytes_per_s": payload_bytes * answered / WINDOW_S,
        "errors": {"timeout": times.unanswered} if times.unanswered else {},
        "lost": 0,
        "duplicates": 0,
        "reordered": 0,
        "late": 0,
        "response_time_ns": summary(response, times.unanswered),
        "service_time_ns": summary(service, times.unanswered),
        "send_lateness_ns": None if closed else lateness,
        "histograms": {"response_time_ns": encode(response), "service_time_ns": encode(service)},
        "per_second": [],
        "fairness": {"jain": 0.99, "min": 10, "max": 20, "stalled_connections": 0},
        "busy_fraction": 0.97 if verdict is LimitedBy.GENERATOR else 0.6,
        "cpu_s": 1.0,
        "pauses": {"count": 2, "total_ns": 900_000, "max_ns": 600_000},
        "warnings": [],
    }
    if (sweep := load.sweep) is not None:
        window["sweep"] = sweep
    return window, times


def _times(model: CannedModel, due: int, level_ns: float, draw: Draw) -> Times:
    unanswered = round(model.unanswered_share * due)
    count = min(due - unanswered, DRAWN)
    service = (level_ns * np.exp(draw.rng.normal(0, 0.35, count))).astype(np.int64) + 20_000
    queued = draw.rng.exponential(40_000, count) * (draw.rng.random(count) < 0.3)
    stalled = draw.rng.uniform(0, 3e6, count) * (draw.rng.random(count) < 0.004)
    return Times(service + (queued + stalled).astype(np.int64), service, unanswered)


def _watched(model: CannedModel, seen: LoadWindow, draw: Draw, scenario: Mapping[str, Any]) -> CellWindow:
    per_request_us = model.cpu_us / draw.drift * draw.noisy(model.noise / 2)
    cpu_s = per_request_us * seen["responses"] / 1e6
    unanswered = [warning(WarningKind.UNANSWERED, unanswered=seen["unanswered"], due=seen["due"])]
    missed = "sweep" in seen and seen["sweep"]["fraction"] > model.keeps_up_to
    late = [warning(WarningKind.SCHEDULE_MISSED, achieved=0.97)] if missed else []
    return {
        "server": {
            "cpu_s": cpu_s,
            "cpu_user_s": cpu_s * (1 - model.system_share),
            "cpu_system_s": cpu_s * model.system_share,
            "cpu_us_per_request": per_request_us,
            "cores_used": cpu_s / seen["window_s"],
            "idle_fraction": 0.02,
            "busiest_thread_share": 0.97,
            "pss_bytes": BASELINE_BYTES + round(model.bytes_per_connection * scenario["connections"]),
            "processes": 1,
            "cpus": [0, 1] if scenario["pin"] == "none" else [0],
        },
        "loadgen": {"cpu_user_s": 0.8, "cpu_system_s": 0.5, "cpus": [1]},
        "kernel": {"listen_overflows": 0},
        "accounting": None if model.accounting_cores is None else {"cores_used": model.accounting_cores},
        "unavailable": dict(model.unavailable),
        "steal_s": 0.01,
        "limited_by": (model.closed_verdict if seen["load"] == "closed" else model.open_verdict).value,
        "warnings": [*late, *model.warnings, *(unanswered if seen["unanswered"] else [])],
    }


def encode(values_ns: Ints) -> str:
    """Return values as a histogram in the standard compressed encoding."""
    histogram = HdrHistogram(HISTOGRAM_LOWEST_NS, HISTOGRAM_HIGHEST_NS, HISTOGRAM_DIGITS)
    for value, count in zip(*np.unique(values_ns, return_counts=True), strict=True):
        assert histogram.record_value(int(value), int(count))
    return str(histogram.encode().decode("ascii"))


def summary(values_ns: Ints, unanswered: int) -> Summary:
    """Return the summary of raw values, percentiles by the schema's rules."""
    ordered = np.sort(values_ns)
    percentiles: dict[str, Any] = {}
    for name, quantile in QUANTILES.items():
        state = percentile_state(name, len(ordered), unanswered)
        rank = percentile_rank(quantile, len(ordered) + unanswered)
        value = int(ordered[rank - 1]) if state == "value" else None
        percentiles[name] = over_timeout(TIMEOUT_S) if state == "censored" else value
    rest = {"count": len(ordered), "min": int(ordered[0]), "mean": float(ordered.mean()), "max": int(ordered[-1])}
    return Summary(**rest, **percentiles)  # type: ignore[typeddict-item]  # names come from the schema
