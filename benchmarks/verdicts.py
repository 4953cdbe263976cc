"""Whether the verdict on a window is right, where what limits it is known beforehand.

    python -m benchmarks verdicts [--rounds 20] [--seconds 1]

* `generator`: the C server at full speed; nothing in Python keeps up with it.
* `server`: `asyncio` on one CPU with 64 connections.
* `concurrency`: the same with a single connection: both sides wait for each other.
* `offered_load`: open load at a tenth of what the server can do.

A round runs each once, in shuffled order, as `echobench run` does; right are at least 19 of 20.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

from benchmarks import programs

RIGHT_LEAST = 0.95
TENTH_PER_S = 4000
_PLANS = {
    "generator": ('model = ["reference"]', 64, "closed"),
    "server": ('model = ["asyncio"]', 64, "closed"),
    "concurrency": ('model = ["asyncio"]', 1, "closed"),
    "offered_load": ('model = ["asyncio"]', 64, f"open:{TENTH_PER_S}"),
}


def run(rounds: int, seconds: float) -> str:
    """Measure and return the table as Markdown."""
    found = {expected: Counter[str]() for expected in _PLANS}
    for number in range(1, rounds + 1):
        for expected in _PLANS:
            found[expected][_verdict(expected, seconds, number)] += 1
            print(f"  round {number}/{rounds}  {expected:<14}{dict(found[expected])}", file=sys.stderr, flush=True)
    lines = [
        programs.header(f"Verdicts where the limit is known, windows of {seconds:g} s"),
        "| what limits | right | others | expected |",
        "|---|---:|---|---|",
    ]
    for expected, verdicts in found.items():
        others = ", ".join(f"{name} {count}" for name, count in verdicts.items() if name != expected) or "-"
        lines.append(f"| {expected} | {verdicts[expected]} of {rounds} | {others} | >= {RIGHT_LEAST:.0%} |")
    return "\n".join(lines)


def _verdict(expected: str, seconds: float, seed: int) -> str:
    """Return what limited the window of a run of one cell."""
    model, connections, load = _PLANS[expected]
    port = programs.free_port()
    command = json.dumps([str(programs.build("echo_server")), str(port)])
    plan = f"""
name = "verdict"
rounds = 1
seed = {seed}
[defaults]
connections = {connections}
warmup_s = 0.3
window_s = {seconds}
loads = ["{load}"]
pin = "{programs.SERVER_CPU}:{programs.CLIENT_CPU}"
[matrix]
{model}
transport = ["tcp"]
[servers.reference]
command = {command}
transports = ["tcp"]
"""
    return str(programs.only_cell(plan)["windows"][0]["limited_by"])
