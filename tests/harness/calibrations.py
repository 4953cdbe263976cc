"""Calibrations with known answers: windows of every part, and documents as they are stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.calibration import Slot, stored
from harness.environment import read_environment

ENVIRONMENT = read_environment()
SLOT = Slot(
    part="ceiling",
    server="echo_server.c",
    transport="tcp",
    spin=False,
    round=1,
    load="closed",
    window_s=1.0,
    due=60_000,
    achieved=1.0,
    throughput_per_s=60_000.0,
    busy_fraction=0.97,
    limited_by="generator",
    send_lateness_p50_ns=None,
    send_lateness_p99_ns=None,
    server_cpu_us_per_request=4.0,
    steal_s=0.0,
    warnings=[],
)


def slot(**changes: Any) -> Slot:
    """Return a window of a ceiling with changes."""
    return replace(SLOT, **changes)


def whole() -> list[Slot]:
    """Return windows of every part: two rounds, three identical windows."""
    timing = {"part": "timing", "load": "open:2000:constant", "due": 2_000, "limited_by": "offered_load"}
    ours = {"server": "asyncio", "limited_by": "server"}
    slots = []
    for spin, rates, p50, p99 in ((False, (58_000.0, 62_000.0), 90e3, 400e3), (True, (64_000.0, 66_000.0), 8e3, 50e3)):
        for number, rate in enumerate(rates, start=1):
            slots += [
                slot(spin=spin, round=number, throughput_per_s=rate),
                slot(spin=spin, round=number, throughput_per_s=rate / 2, transport="udp", server="udp_echo_server.c"),
                slot(spin=spin, round=number, send_lateness_p50_ns=p50, send_lateness_p99_ns=p99, **timing),
                slot(part="neighbour", spin=spin, round=number, throughput_per_s=rate / 1.5, **ours),
            ]
        slots += [slot(part="noise", spin=spin, throughput_per_s=rate, **ours) for rate in (40e3, 44e3, 48e3)]
    return slots


def document(slots: list[Slot] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a stored calibration of this machine."""
    made = {
        "schema": "echobench.calibration/1",
        "started": "2026-01-02T03:04:05Z",
        "pin": "0:1",
        "server_cpus": [0],
        "loadgen_cpus": [1],
        "effort": {},
        "environment": ENVIRONMENT,
        "notes": [],
        "failures": [],
        "windows": stored(whole() if slots is None else slots),
    }
    return {**made, **changes}
