"""The load generator against the C server, beside the C client and two plain Locust files on the same server.

    python -m benchmarks generator [--rounds 7] [--seconds 1.5]

64 connections, 64 bytes, closed load, one process, everything on: frames built, every reply compared, every time kept,
Locust's statistics fed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benchmarks import pairs, programs

REFERENCE_LEAST, NAIVE_LEAST = 0.65, 3.5
OURS, REFERENCE, NAIVE, LOOP = (
    "load generator",
    "echo_client.c",
    "Locust, a task a request",
    "Locust, a task that loops",
)


def run(rounds: int, seconds: float) -> str:
    """Measure and return the table as Markdown."""
    with programs.server(programs.reference_server()) as ready:
        port = ready["port"] if isinstance(ready["port"], int) else int(ready["port"])
        figures = pairs.alternate(
            {
                OURS: lambda: _ours(port, seconds),
                REFERENCE: lambda: programs.reference_client(port, seconds),
                NAIVE: lambda: _naive(port, seconds, loop=False),
                LOOP: lambda: _naive(port, seconds, loop=True),
            },
            rounds,
        )
    ratios = [
        (pairs.ratio(figures, OURS, other), least)
        for other, least in ((REFERENCE, REFERENCE_LEAST), (NAIVE, NAIVE_LEAST), (LOOP, None))
    ]
    return (
        programs.header("Load generator against echo_server.c, 64 connections, 64 bytes")
        + "\n"
        + pairs.table(figures, ratios)
    )


def _ours(port: int, seconds: float) -> float:
    record = programs.load_generator(port, seconds, "--warmup", "0.5", "--connections", "64", "--payload", "64")
    window = record["windows"][0]
    assert window["errors"] == {}
    assert window["unanswered"] == 0
    return float(window["throughput_per_s"])


def _naive(port: int, seconds: float, *, loop: bool) -> float:
    os.environ |= {"NAIVE_WINDOW_S": str(seconds), "NAIVE_LOOP": str(int(loop))}
    file = str(Path(__file__).parent / "peers" / "naive_locustfile.py")
    command = [sys.executable, "-m", "locust", "-f", file, "--host", f"tcp://127.0.0.1:{port}"]
    printed = programs.on_client_cpu([*command, "--headless", "-u", "64", "-r", "64", "--only-summary"])
    figures = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    assert figures["failures"] == 0
    return float(figures["throughput_per_s"])
