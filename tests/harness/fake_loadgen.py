"""A stand-in for `python -m loadgen`: speaks its contract, sends a few messages, misbehaves as it is told.

Run as a script: `fake_loadgen.py BEHAVIOUR URL options...`. Its behaviours:

good         does everything right                    exit3        ends with exit code 3 and a sentence
dies         is killed in the middle of a window      hangs        never ends
babbles      prints what is no JSON                   secretive    writes no record
future       writes a record of another version       truncated    writes half of a record
partial      writes a record without a key            confused     writes other windows than it was asked for
stepless     writes a step of a sweep without number
floods       fills its stderr while it runs           nonsense     announces a window without its times
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MESSAGE = b"8 bytes."
NOTICE_S = 0.06
ROUND_TRIPS = 20


def say(event: str, **fields: Any) -> None:
    """Print a line of the contract."""
    print(json.dumps({"event": event, **fields}), flush=True)


def summary(count: int) -> dict[str, Any]:
    """Return a made-up summary of times."""
    times = {"min": 20_000, "mean": 90_000.0, "p50": 80_000, "p90": 120_000, "p99": 400_000, "max": 900_000}
    return {"count": count, **times, "p99.9": None, "p99.99": None}


def window_record(load: str, opens_ns: int, closes_ns: int, window_s: float) -> dict[str, Any]:
    """Return a made-up record of a window, as whole as the schema wants it."""
    closed = load == "closed"
    return {
        "load": load,
        "opens_monotonic_ns": opens_ns,
        "closes_monotonic_ns": closes_ns,
        "window_s": window_s,
        "due": 5_000,
        "sent": 5_000,
        "responses": 5_000,
        "answered": 5_000,
        "unanswered": 0,
        "achieved": None if closed else 1.0,
        "throughput_per_s": 5_000 / window_s,
        "bytes_per_s": 40_000 / window_s,
        "errors": {},
        "lost": 0,
        "duplicates": 0,
        "reordered": 0,
        "late": 0,
        "response_time_ns": summary(5_000),
        "service_time_ns": summary(5_000),
        "send_lateness_ns": None if closed else summary(5_000),
        "histograms": {},
        "per_second": [],
        "fairness": {"jain": 0.99, "min": 70, "max": 90, "stalled_connections": 0},
        "busy_fraction": 0.4,
        "cpu_s": 0.1,
        "pauses": {"count": 0, "total_ns": 0, "max_ns": 0},
        "warnings": [],
    }


def record(options: argparse.Namespace, windows: list[dict[str, Any]], requests: int) -> dict[str, Any]:
    """Return a made-up record."""
    return {
        "schema": "echobench.load/1",
        "target": options.url,
        "transport": urlsplit(options.url).scheme,
        "connections": options.connections,
        "mode": "persistent",
        "pipeline": options.pipeline,
        "payload": options.payload,
        "timeout_s": options.timeout,
        "seed": options.seed,
        "spin": options.spin,
        "requests_total": requests,
        "generator": {"processes": 1, "cpus": sorted(os.sched_getaffinity(0)), "python": "3", "locust": "0"},
        "connect_time_ns": summary(options.connections),
        "handshake_time_ns": None,
        "windows": windows,
    }


def connect(options: argparse.Namespace) -> list[socket.socket]:
    """Open all connections."""
    url = urlsplit(options.url)
    assert url.hostname
    assert url.port
    return [socket.create_connection((url.hostname, url.port), timeout=10) for _ in range(options.connections)]


def exchange(connections: list[socket.socket]) -> int:
    """Send some messages on every connection, read their echoes, return how many."""
    for _ in range(ROUND_TRIPS):
        for connection in connections:
            connection.sendall(MESSAGE)
            received = b""
            while len(received) < len(MESSAGE):
                received += connection.recv(100) or sys.exit("the server closed the connection")
    return ROUND_TRIPS * len(connections)


def steps(load: str) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the windows that a load stands for: a sweep's at made-up rates."""
    kind, _, count = load.partition(":")
    if kind != "sweep":
        return [(load, None)]
    made = [
        {"step": step, "of": int(count), "fraction": (2 * step - 1) / (2 * int(count))}
        for step in range(1, int(count) + 1)
    ]
    return [(f"open:{5_000 * sweep['fraction']:.12g}", sweep) for sweep in made]


def measure(options: argparse.Namespace, connections: list[socket.socket]) -> dict[str, Any]:
    """Announce and "measure" all windows."""
    windows: list[dict[str, Any]] = []
    requests = 0
    for index, (load, sweep) in enumerate(step for asked in options.load for step in steps(asked)):
        requests += exchange(connections)
        opens_ns = time.monotonic_ns() + int(NOTICE_S * 1e9)
        closes_ns = opens_ns + int(options.window * 1e9)
        times = {"opens_monotonic_ns": opens_ns, "closes_monotonic_ns": closes_ns}
        say("window", index=index, load=load, **({} if options.behaviour == "nonsense" else times))
        misbehave_in_window(options.behaviour)
        requests += exchange(connections)
        say("second", index=index, responses=1_234, p50_ns=80_000, p99_ns=400_000, errors=0)
        time.sleep(max(0.0, (closes_ns - time.monotonic_ns()) / 1e9))
        windows.append(window_record(load, opens_ns, closes_ns, options.window) | ({"sweep": sweep} if sweep else {}))
    return record(options, windows, requests)


def misbehave_in_window(behaviour: str) -> None:
    """Do what some behaviours do in the middle of a window."""
    if behaviour == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "hangs":
        time.sleep(600)
    if behaviour == "floods":
        print("x" * 1_000_000, file=sys.stderr)


def write_record(behaviour: str, path: Path, document: dict[str, Any]) -> None:
    """Write the record, or what stands in its place."""
    if behaviour == "secretive":
        return
    if behaviour == "future":
        document["schema"] = "echobench.load/9"
    if behaviour == "partial":
        del document["windows"][0]["fairness"]
    if behaviour == "confused":
        document["windows"][0]["load"] = "open:7"
    if behaviour == "stepless":
        del document["windows"][-1]["sweep"]["step"]
    text = json.dumps(document)
    path.write_text(text[: len(text) // 2] if behaviour == "truncated" else text, encoding="utf-8")


def main() -> int:
    """Understand as much of the command line as the harness uses."""
    parser = argparse.ArgumentParser()
    parser.add_argument("behaviour")
    parser.add_argument("url")
    parser.add_argument("--load", action="append", default=[])
    for flag in ("--connections", "--idle", "--pipeline", "--seed"):
        parser.add_argument(flag, type=int)
    for flag in ("--warmup", "--window", "--timeout"):
        parser.add_argument(flag, type=float)
    for flag in ("--payload", "--cpus"):
        parser.add_argument(flag)
    parser.add_argument("--mode")
    parser.add_argument("--spin", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    connections = connect(options)
    if options.behaviour == "exit3":
        print("loadgen: nothing connected to the server", file=sys.stderr)
        return 3
    if options.behaviour == "babbles":
        print("Traceback (most recent call last):", flush=True)
    say("connected", connections=options.connections)
    document = measure(options, connections)
    write_record(options.behaviour, options.json, document)
    say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
