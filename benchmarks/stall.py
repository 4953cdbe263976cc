"""A stall of 200 ms, seen by open load and hidden by closed load, over TCP and over UDP.

    python -m benchmarks stall [--rounds 3]

The server's process group is stopped (SIGSTOP) for 200 ms in the middle of a window of 5 s. Under `open:2000:constant`
the requests that were due in the stall wait for its end: those due in its first 100 ms wait longer than 100 ms, 200 of
them, and p99 shows it. Under closed load each connection has one request outstanding, so a stall of any length can
touch no more than one request a connection: 64 slow ones among hundreds of thousands. That is coordinated omission.

Over UDP the requests of the stall wait in the receive buffer of the server's socket: 400 datagrams, more than the usual
default of 212,992 bytes holds. What did not fit would be lost; nothing is, where the system grants a larger one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram

from benchmarks import programs

RATE_PER_S, STALL_S, SLOW_NS, WINDOW_S = 2000, 0.2, 100_000_000, 5.0
EXPECTED, TOLERANCE = 200, 0.10
TRANSPORTS = ("tcp", "udp")
LOADS = (f"open:{RATE_PER_S}:constant", "closed")


def run(rounds: int, _seconds: float) -> str:
    """Measure and return the table as Markdown; the window's length is part of the experiment."""
    lines = [
        programs.header(f"A stall of {STALL_S * 1000:.0f} ms in a window of {WINDOW_S:g} s (asyncio, 64 connections)"),
        "| transport | load | requests | unanswered | over 100 ms, response time | over 100 ms, service time "
        "| p99 response | max response |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for _ in range(rounds):
        lines += [_row(transport, _stalled_window(transport, load)) for transport in TRANSPORTS for load in LOADS]
    lines += [
        "",
        f"Expected over 100 ms under open load: {EXPECTED}, within {TOLERANCE:.0%}; under closed load: 64 at most. "
        "Expected unanswered: none.",
    ]
    return "\n".join(lines)


def _row(transport: str, window: dict[str, Any]) -> str:
    slow, slow_service = over(window, "response_time_ns"), over(window, "service_time_ns")
    response = window["response_time_ns"]
    cells = [
        transport,
        window["load"],
        f"{window['due']:,}",
        _marked(window["unanswered"], as_expected=not window["unanswered"]),
        _marked(slow, as_expected=_fits(slow, window["load"])),
        str(slow_service),
        _ms(response["p99"]),
        _ms(response["max"]),
    ]
    return f"| {' | '.join(cells)} |"


def over(window: dict[str, Any], name: str, limit_ns: int = SLOW_NS) -> int:
    """Return how many answered requests of a window took longer than a limit."""
    histogram = HdrHistogram.decode(window["histograms"][name])
    return sum(
        i.count_at_value_iterated_to for i in histogram.get_recorded_iterator() if i.value_iterated_to > limit_ns
    )


def _stalled_window(transport: str, load: str) -> dict[str, Any]:
    server = programs.our_server("asyncio", transport=transport)
    with programs.server(server) as ready, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.json"
        command = ["taskset", "-c", str(programs.CLIENT_CPU), sys.executable, "-m", "loadgen"]
        command += [f"{transport}://127.0.0.1:{ready['port']}", "--load", load]
        command += ["--window", str(WINDOW_S), "--json", str(file)]
        generator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=programs.HERE.parent)
        assert generator.stdout is not None
        try:
            for line in generator.stdout:
                event = json.loads(line)
                if event["event"] == "window":
                    _stall(ready["pid"], event["opens_monotonic_ns"])
        finally:
            if generator.wait(timeout=60) != 0:
                raise RuntimeError(f"the load generator failed with {generator.returncode}")
        window: dict[str, Any] = json.loads(file.read_text())["windows"][0]
        return window


def _stall(pid: int, opens_ns: int) -> None:
    """Stop a process group in the middle of a window; the moment and the length are the experiment."""
    time.sleep(max(0.0, (opens_ns - time.monotonic_ns()) / 1e9 + WINDOW_S / 2))
    group = os.getpgid(pid)
    os.killpg(group, signal.SIGSTOP)
    time.sleep(STALL_S)
    os.killpg(group, signal.SIGCONT)


def _fits(slow: int, load: str) -> bool:
    return slow <= 64 if load == "closed" else abs(slow - EXPECTED) <= TOLERANCE * EXPECTED


def _marked(count: int, *, as_expected: bool) -> str:
    return f"{count}" if as_expected else f"{count} (unexpected)"


def _ms(value: int | str | None) -> str:
    return f"{value / 1e6:.2f} ms" if isinstance(value, int) else str(value)
