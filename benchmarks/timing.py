"""How true the load generator's times are: an open load of 5,000/s, beside a C program that does the same.

    python -m benchmarks timing [--rounds 7] [--seconds 1.5]

Against the C server, which costs almost nothing, 64 connections, 64 bytes, constant arrivals. The C client is a second
opinion on the response time; what was answered in the window and how late requests went out is the generator's own
word. Both once sleeping until the next request is due, and once spinning.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks import pairs, programs

RATE_PER_S, CONNECTIONS = 5000, 64
ACHIEVED_LEAST = 0.995
LATENESS_MOST_US = {"sleeping": 250.0, "spinning": 100.0}
P50_MAY_DIFFER, P50_MAY_DIFFER_US = 0.20, 30.0

Figures = dict[str, float]


def run(rounds: int, seconds: float) -> str:
    """Measure and return the table as Markdown."""
    with programs.server(programs.reference_server()) as ready:
        port = int(ready["port"])
        variants: dict[str, Callable[[], Figures]] = {}
        for way in LATENESS_MOST_US:
            spins = way == "spinning"
            variants[f"load generator, {way}"] = lambda spins=spins: _ours(port, seconds, spins=spins)  # type: ignore[misc]  # a default binds the loop's value
            variants[f"open_client.c, {way}"] = lambda spins=spins: _reference(port, seconds, spins=spins)  # type: ignore[misc]  # the same
        found: dict[str, list[Figures]] = {name: [] for name in variants}
        for _, name in pairs.shuffled(variants, rounds):
            found[name].append(variants[name]())
    return f"{programs.header(_TITLE)}\n{_table(found)}\n\n{_second_opinion(found)}"


_TITLE = f"open:{RATE_PER_S}:constant against echo_server.c, {CONNECTIONS} connections, 64 bytes"


def _ours(port: int, seconds: float, *, spins: bool) -> Figures:
    options = ["--load", f"open:{RATE_PER_S}:constant", "--connections", str(CONNECTIONS), "--warmup", "0.5"]
    record = programs.load_generator(port, seconds, *options, *(["--spin"] if spins else []))
    window: dict[str, Any] = record["windows"][0]
    response, lateness = window["response_time_ns"], window["send_lateness_ns"]
    return {
        "answered": window["achieved"],
        "p50_us": response["p50"] / 1e3,
        "p99_us": response["p99"] / 1e3,
        "lateness_p50_us": lateness["p50"] / 1e3,
    }


def _reference(port: int, seconds: float, *, spins: bool) -> Figures:
    arguments = [port, CONNECTIONS, 64, seconds, RATE_PER_S, *(["spin"] if spins else [])]
    said = json.loads(programs.on_client_cpu([str(programs.build("open_client")), *map(str, arguments)]))
    return {
        "answered": said["answered"] / said["due"],
        "p50_us": said["p50_ns"] / 1e3,
        "p99_us": said["p99_ns"] / 1e3,
        "lateness_p50_us": said["lateness_p50_ns"] / 1e3,
    }


def _table(found: dict[str, list[Figures]]) -> str:
    lines = [
        "| variant | answered in time, least | p50 response | p99 response | p50 send lateness |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rounds in found.items():
        least = min(figures["answered"] for figures in rounds)
        cells = [f"{_median(rounds, key):,.0f} us" for key in ("p50_us", "p99_us", "lateness_p50_us")]
        lines.append(f"| {name} | {least:.2%} | {' | '.join(cells)} |")
    wanted = ", ".join(f"{most:.0f} us {way}" for way, most in LATENESS_MOST_US.items())
    lines += [
        "",
        f"Expected of the load generator: {ACHIEVED_LEAST:.1%} answered; p50 of send lateness under {wanted}.",
    ]
    return "\n".join(lines)


def _second_opinion(found: dict[str, list[Figures]]) -> str:
    lines = [
        "| way of waiting | p50, ours less the C client's, median | in parts of the C client's | expected |",
        "|---|---:|---:|---|",
    ]
    for way in LATENESS_MOST_US:
        ours, theirs = found[f"load generator, {way}"], found[f"open_client.c, {way}"]
        difference_us = statistics.median(a["p50_us"] - b["p50_us"] for a, b in zip(ours, theirs, strict=True))
        part = statistics.median(a["p50_us"] / b["p50_us"] - 1 for a, b in zip(ours, theirs, strict=True))
        expected = f"within {P50_MAY_DIFFER:.0%} or {P50_MAY_DIFFER_US:.0f} us"
        lines.append(f"| {way} | {difference_us:+.1f} us | {part:+.0%} | {expected} |")
    return "\n".join(lines)


def _median(rounds: list[Figures], key: str) -> float:
    return statistics.median(figures[key] for figures in rounds)
