"""Work per request: whether `--work cpu:100us` costs 100 us of CPU, and whether waiting is as cheap as it can be.

    python -m benchmarks work [--rounds 7] [--seconds 1.5]

**CPU** a request by the stopped lines of two servers (as in `cost`), under the C client, at pure echo, with the work
and with twice the work. The client spins: else it sleeps between the replies of a slower server, and waking it costs
that server 10 to 15 us a reply which pure echo does not pay. The first 100 us are with the work less without, the next
with twice the work less with it. With 8 connections that is the work. With 64 it is also what the model adds to it: a
process that runs again when 63 others have worked for 100 us each finds the CPU's caches full of theirs.

**Waiting** 5 ms a request: a connection can't do more than 200 requests/s, so 200 connections are at most 40,000/s and
50 are 10,000/s. What can be expected is that, or what the model reaches at pure echo with the same connections where
that is less. The C clients have no warm-up, so `fork` is measured three times as long as the others.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from functools import partial
from itertools import product

from benchmarks import pairs, programs
from benchmarks.cost import cpu_a_request

TRANSPORTS = ("tcp", "udp")
CPU_CONNECTIONS = (8, 64)
CPU_WORKS, CPU_US, CPU_MAY_DIFFER = ("echo", "cpu:100us", "cpu:200us"), 100.0, 0.05
WAIT_WORK, WAIT_S, REACHED_LEAST = "wait:5ms", 0.005, 0.8
# Who waits in a process or thread of its own takes one for each connection.
CONNECTIONS = {"fork": 50, "thread": 50, "selectors": 200, "asyncio": 200, "hybrid": 200}


def run(rounds: int, seconds: float) -> str:
    """Measure and return the tables as Markdown."""
    cpu_title = "CPU a request by --work under the reference client that spins, 64 bytes"
    wait_title = f"Requests/s with --work {WAIT_WORK} under the reference client, 64 bytes"
    cpu, waiting = _cpu(rounds, seconds), _waiting(rounds, seconds)
    return "\n".join([programs.header(cpu_title), cpu, "", programs.header(wait_title), waiting])


def _cpu(rounds: int, seconds: float) -> str:
    kinds = product(CPU_CONNECTIONS, programs.MODELS, TRANSPORTS)
    servers = {f"{model} {transport} {count}": (model, transport, count) for count, model, transport in kinds}
    cells = {f"{name} {work}": (*server, work) for name, server in servers.items() for work in CPU_WORKS}
    cost_us: dict[str, list[float]] = defaultdict(list)
    for number, name in pairs.shuffled(cells, rounds):
        model, transport, count, work = cells[name]
        length_s = _length_s(model, seconds)
        cpu = cpu_a_request(model, transport, length_s, "--work", work, spin=True, connections=count)
        cost_us[name].append(cpu.total_us)
        print(f"  round {number}/{rounds}  {name:<34}{cpu.total_us:>9.1f} us", file=sys.stderr, flush=True)
    lines = [
        f"| connections | model | transport | {', us | '.join(CPU_WORKS)}, us | first 100 us | range | next 100 us "
        "| range | expected |",
        "|---:|---|---|---:|---:|---:|---:|---|---:|---|---:|",
    ]
    for name, (model, transport, count) in servers.items():
        none, once, twice = (cost_us[f"{name} {work}"] for work in CPU_WORKS)
        medians = " | ".join(f"{statistics.median(each):.1f}" for each in (none, once, twice))
        parts = " | ".join(_difference(more, less) for more, less in ((once, none), (twice, once)))
        expected = f"{CPU_US:.0f}, within {CPU_MAY_DIFFER:.0%}" if count == CPU_CONNECTIONS[0] else "-"
        lines.append(f"| {count} | {model} | {transport} | {medians} | {parts} | {expected} |")
    return "\n".join(lines)


def _difference(more: list[float], less: list[float]) -> str:
    parts = [a - b for a, b in zip(more, less, strict=True)]
    return f"{statistics.median(parts):.1f} | {min(parts):.1f} to {max(parts):.1f}"


def _length_s(model: str, seconds: float) -> float:
    return 3 * seconds if model == "fork" else seconds


def _waiting(rounds: int, seconds: float) -> str:
    cells = {
        f"{model} {transport} {work}": (model, transport, work)
        for model, transport, work in product(programs.MODELS, TRANSPORTS, (WAIT_WORK, "echo"))
    }
    figures = pairs.alternate({name: partial(_throughput, *cell, seconds) for name, cell in cells.items()}, rounds)
    lines = [
        "| model | transport | connections | waiting, requests/s | pure echo | ideal | of the lesser, median | range "
        "| expected |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for model, transport in product(programs.MODELS, TRANSPORTS):
        waiting, echo = (figures[f"{model} {transport} {work}"] for work in (WAIT_WORK, "echo"))
        ideal = CONNECTIONS[model] / WAIT_S
        reached = [wait / min(ideal, most) for wait, most in zip(waiting, echo, strict=True)]
        lines.append(
            f"| {model} | {transport} | {CONNECTIONS[model]} | {statistics.median(waiting):,.0f} "
            f"| {statistics.median(echo):,.0f} | {ideal:,.0f} | {statistics.median(reached):.0%} "
            f"| {min(reached):.0%} to {max(reached):.0%} | >= {REACHED_LEAST:.0%} |"
        )
    return "\n".join(lines)


def _throughput(model: str, transport: str, work: str, seconds: float) -> float:
    length_s, connections = _length_s(model, seconds), CONNECTIONS[model]
    with programs.server(programs.our_server(model, "--work", work, transport=transport)) as ready:
        load = programs.reference_load(ready["port"], length_s, transport=transport, connections=connections)
    return float(load["throughput_per_s"])
