"""The load generator against the C server, beside the C client and two plain Locust files on the same server.

    python -m benchmarks generator [--rounds 7] [--seconds 1.5]

Closed load, one process, everything on: frames built, every reply compared, every time kept, Locust's statistics fed.
64 connections and 64 bytes, then the C client alone beside ours with fewer and more connections and a larger payload.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benchmarks import pairs, programs

REFERENCE_LEAST, NAIVE_LEAST = 0.75, 3.5
SHAPES = ((16, 64, 0.65), (1000, 64, 0.75), (64, 4096, 0.75))  # connections, bytes, the least ratio to the C client
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
                OURS: lambda: _ours(port, seconds, 64, 64),
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
    texts = [
        programs.header("Load generator against echo_server.c, 64 connections, 64 bytes"),
        pairs.table(figures, ratios),
        "",
        *(_shape(*shape, rounds, seconds) for shape in SHAPES),
    ]
    return "\n".join(texts)


def _shape(connections: int, payload: int, least: float, rounds: int, seconds: float) -> str:
    with programs.server(programs.reference_server()) as ready:
        port = int(ready["port"])
        figures = pairs.alternate(
            {
                OURS: lambda: _ours(port, seconds, connections, payload),
                REFERENCE: lambda: programs.reference_client(port, seconds, connections=connections, payload=payload),
            },
            rounds,
        )
    title = f"The same, {connections} connections, {payload} bytes"
    return f"{programs.header(title)}\n{pairs.table(figures, [(pairs.ratio(figures, OURS, REFERENCE), least)])}\n"


def _ours(port: int, seconds: float, connections: int, payload: int) -> float:
    shape = ["--connections", str(connections), "--payload", str(payload)]
    record = programs.load_generator(port, seconds, "--warmup", "0.5", *shape)
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
