"""From counts to the load record, `echobench.load/1`, and onto the disk."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

from harness.schema import LOAD_SCHEMA, LoadRecord, LoadWindow
from loadgen.conductor import Measured
from loadgen.dial import CONNECT_TIMEOUT_S
from loadgen.doubts import doubts
from loadgen.histogram import Distribution
from loadgen.options import Options
from loadgen.tally import NS_PER_S


def window_record(measured: Measured, timeout_s: float, reply_bytes: int) -> LoadWindow:
    """Return a window as stored. `bytes_per_s` counts whole replies as they are on the wire."""
    tally, opened, closed = measured.tally, measured.opened, measured.closed
    window_ns = tally.closes_ns - tally.opens_ns
    service = tally.service if tally.load.kind == "open" else tally.response
    lateness = tally.lateness if tally.load.kind == "open" else None
    histograms = {"response_time_ns": tally.response.encode(), "service_time_ns": service.encode()}
    if lateness is not None:
        histograms["send_lateness_ns"] = lateness.encode()
    record: LoadWindow = {
        "load": str(tally.load),
        "opens_monotonic_ns": tally.opens_ns,
        "closes_monotonic_ns": tally.closes_ns,
        "window_s": window_ns / NS_PER_S,
        "due": tally.due,
        "sent": tally.due - tally.unsent,
        "responses": tally.responses,
        "answered": tally.answered,
        "unanswered": tally.unanswered,
        "achieved": tally.answered_in_time / tally.due if tally.due else None,
        "throughput_per_s": tally.responses * NS_PER_S / window_ns,
        "bytes_per_s": tally.responses * reply_bytes * NS_PER_S / window_ns,
        "errors": {kind.value: count for kind, count in sorted(tally.errors.items())},
        "lost": tally.lost,
        "duplicates": tally.duplicates,
        "reordered": tally.reordered,
        "late": tally.late,
        "response_time_ns": tally.response.summary(tally.unanswered, timeout_s),
        "service_time_ns": service.summary(tally.unanswered, timeout_s),
        "send_lateness_ns": None if lateness is None else lateness.summary(tally.unsent, timeout_s),
        "histograms": histograms,
        "per_second": tally.seconds,
        "fairness": tally.fairness(measured.connections),
        "busy_fraction": min(1.0, max(0.0, 1 - (closed.idle_ns - opened.idle_ns) / (closed.at_ns - opened.at_ns))),
        "cpu_s": (closed.cpu_ns - opened.cpu_ns) / NS_PER_S,
        "pauses": {
            "count": closed.pauses - opened.pauses,
            "total_ns": closed.paused_ns - opened.paused_ns,
            "max_ns": measured.longest_pause_ns,
        },
        "warnings": [],
    }
    record["warnings"] = doubts(record)
    return record


def load_record(
    options: Options, connections: int, connect_time: Distribution, requests_total: int, windows: list[LoadWindow]
) -> LoadRecord:
    """Return the record of a whole run."""
    return {
        "schema": LOAD_SCHEMA,
        "target": options.target.url,
        "transport": options.target.transport,
        "connections": connections,
        "mode": "persistent",
        "pipeline": options.pipeline,
        "payload": options.payload,
        "timeout_s": options.timeout_s,
        "seed": options.seed,
        "spin": options.spin,
        "requests_total": requests_total,
        "generator": {
            "processes": 1,
            "cpus": sorted(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "locust": version("locust"),
        },
        "connect_time_ns": connect_time.summary(0, CONNECT_TIMEOUT_S),
        "handshake_time_ns": None,
        "windows": windows,
    }


def write_record(record: LoadRecord, path: Path) -> None:
    """Write a record so that a reader finds the whole of it or nothing; raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
