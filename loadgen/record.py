"""From counts to the load record, `echobench.load/1`, and onto the disk."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from harness.schema import LOAD_SCHEMA, Fairness, Generator, LoadRecord, LoadWindow, Pauses, Summary, WorkerProcess
from loadgen.conductor import Windowed
from loadgen.dial import CONNECT_TIMEOUT_S, HANDSHAKE_TIMEOUT_S
from loadgen.doubts import doubts
from loadgen.histogram import Distribution
from loadgen.options import Options
from loadgen.tally import NS_PER_S, ConnectTimes


class Result(Windowed, Protocol):
    """What a window's record is made of: of one process (`Measured`) or of several (`loadgen.merge.Merged`)."""

    @property
    def busy_fraction(self) -> float:
        """The part of the time in which the generator did not wait; of several processes, the busiest one's."""
        ...

    @property
    def cpu_ns(self) -> int:
        """The CPU time used."""
        ...

    @property
    def pauses(self) -> Pauses:
        """When the machine did not run the generator."""
        ...

    @property
    def fairness(self) -> Fairness:
        """How evenly the connections were served."""
        ...


def window_record(measured: Result, timeout_s: float) -> LoadWindow:
    """Return a window as stored. `bytes_per_s` counts whole replies as they are on the wire."""
    tally = measured.tally
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
        "bytes_per_s": tally.received_bytes * NS_PER_S / window_ns,
        "connect_time_ns": _ranked(tally.connect_time, tally.unconnected, timeout_s),
        "handshake_time_ns": _ranked(tally.handshake_time, tally.unshaken, timeout_s),
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
        "fairness": measured.fairness,
        "busy_fraction": measured.busy_fraction,
        "cpu_s": measured.cpu_ns / NS_PER_S,
        "pauses": measured.pauses,
        "warnings": [],
    }
    if (sweep := tally.load.sweep) is not None:
        record["sweep"] = sweep
    record["warnings"] = doubts(record)
    return record


def _ranked(times: Distribution, failed: int, timeout_s: float) -> Summary | None:
    """Return the times of a window's connects, or handshakes, if any were begun; those that failed are infinite."""
    return times.summary(failed, timeout_s) if times.count or failed else None


def load_record(
    options: Options,
    connections: int,
    times: ConnectTimes,
    requests_total: int,
    windows: list[LoadWindow],
    *,
    workers: list[WorkerProcess] | None = None,
) -> LoadRecord:
    """Return the record of a whole run, by this process or by `workers`."""
    return {
        "schema": LOAD_SCHEMA,
        "target": options.target.url,
        "transport": options.target.transport,
        "connections": max(0, connections - options.idle),
        "idle": options.idle,
        "mode": options.mode,
        "pipeline": options.pipeline,
        "payload": options.payload,
        "timeout_s": options.timeout_s,
        "seed": options.seed,
        "spin": options.spin,
        "requests_total": requests_total,
        "generator": _generator(workers),
        "connect_time_ns": times.connect.summary(0, CONNECT_TIMEOUT_S),
        "handshake_time_ns": times.handshake.summary(0, HANDSHAKE_TIMEOUT_S) if times.handshake.count else None,
        "windows": windows,
    }


def _generator(workers: list[WorkerProcess] | None) -> Generator:
    cpus = os.sched_getaffinity(0) if workers is None else {cpu for worker in workers for cpu in worker["cpus"]}
    generator: Generator = {
        "processes": 1 if workers is None else len(workers),
        "cpus": sorted(cpus),
        "python": platform.python_version(),
        "locust": version("locust"),
    }
    if workers is not None:
        generator["workers"] = workers
    return generator


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
