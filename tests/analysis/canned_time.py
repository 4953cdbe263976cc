"""Gives the cells of a canned run what they tell over time: windows one after the other, their seconds, a series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVERY_NS = 100_000_000
LEAD_NS = 500_000_000  # from the first sample to the first window, and between windows
STARTS_NS = 7_000_000_000_000
SERVER_CORES, LOADGEN_CORES = 0.75, 0.5  # inside windows; nothing is used between them
RSS_BYTES = 40_000_000


def add_time(folder: Path) -> None:
    """Rewrite every measured cell of a run: one second of a window is as good as the other."""
    for path in sorted((folder / "cells").iterdir()):
        cell = json.loads(path.read_text(encoding="utf-8"))
        if cell["load"] is None:
            continue
        opens_ns = STARTS_NS + LEAD_NS
        for window in cell["load"]["windows"]:
            length_ns = window["closes_monotonic_ns"] - window["opens_monotonic_ns"]
            window |= {"opens_monotonic_ns": opens_ns, "closes_monotonic_ns": opens_ns + length_ns}
            window["per_second"] = seconds(window)
            opens_ns += length_ns + LEAD_NS
        cell["series"] = series(cell["load"]["windows"])
        path.write_text(json.dumps(cell), encoding="utf-8")


def seconds(window: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the seconds of a window, the last one as long as what is left of it; only whole ones have a p99."""
    found = []
    for index in range(-(-round(window["window_s"] * 1000) // 1000)):
        length_s = min(1.0, window["window_s"] - index)
        times = window["response_time_ns"]
        found.append(
            {
                "index": index,
                "responses": round(window["throughput_per_s"] * length_s),
                "p50_ns": times["p50"],
                "p99_ns": times["p99"] if length_s == 1 and not isinstance(times["p99"], str) else None,
                "errors": 0,
            }
        )
    return found


def series(windows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return samples from before the first window to after the last one."""
    at_ns = list(range(STARTS_NS, windows[-1]["closes_monotonic_ns"] + LEAD_NS, EVERY_NS))
    spent_s = [sum(_overlap_s(window, now_ns) for window in windows) for now_ns in at_ns]
    count = len(at_ns)
    return {
        "every_s": 0.1,
        "monotonic_ns": at_ns,
        "server_cpu_s": [round(0.2 + SERVER_CORES * spent, 6) for spent in spent_s],
        "loadgen_cpu_s": [round(1.0 + LOADGEN_CORES * spent, 6) for spent in spent_s],
        "processes": [1] * count,
        "threads": [1] * (count // 2) + [65] * (count - count // 2),
        "server_rss_bytes": [None] + [RSS_BYTES + place * 100_000 for place in range(count - 1)],
        "loadgen_rss_bytes": [90_000_000] * count,
    }


def _overlap_s(window: dict[str, Any], until_ns: int) -> float:
    begins_ns, ends_ns = window["opens_monotonic_ns"], window["closes_monotonic_ns"]
    return float(max(0, min(until_ns, ends_ns) - begins_ns) / 1e9)
