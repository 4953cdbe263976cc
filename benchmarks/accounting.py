"""The accounting: whether its CPU figures are right, what it costs itself, and whether it slows what it measures.

    python -m benchmarks accounting [--rounds 7] [--seconds 1.5]

**Right** is what another way of counting says too. A control group counts every nanosecond that a process in it ran,
whoever it was. Its counter is read every few milliseconds while a cell is measured, and interpolated to the window's
ends. Every model over every transport under closed load, and `fork` under churn, where most of the CPU time was used by
children that have ended. Where no control group can be made (it takes root), the last sample of the cell's series is
held against what `wait4` says of the whole life of the server; the drain is in the one and not in the other.

**Its own cost** is the CPU time of the sampler's thread, as each cell stores it: over a window with what is read just
before and after it, and over the whole load with the readings of memory, which are made outside of windows only.

**Throughput** with and without it: server and load generator run alike, and the sampler reads them or does not. The
sampler takes its time from the load generator's CPU, so the server that costs almost nothing shows it most.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import pairs, programs
from benchmarks.control_group import ControlGroup, control_group
from harness.pinning import running_on
from harness.sampler import Sampler

MAY_DIFFER = 0.03
SMALL_MOST, LARGE_MOST = 0.01, 0.03
THROUGHPUT_LEAST = 0.98
MANY, ACTIVE = 1_000, 64
# The kernel has taken all connections long before the server has forked for them, and until then the active ones wait.
MANY_WARMUP_S, MANY_TIMEOUT_S = 5.0, 20.0
LIMIT_S = 120.0


@dataclass(frozen=True)
class Case:
    """What one cell measures; `idle` connections are held beside the others."""

    model: str
    transport: str
    mode: str = "persistent"
    connections: int = ACTIVE
    idle: int = 0

    @property
    def name(self) -> str:
        """Return it in words."""
        churning = ", churn" if self.mode == "churn" else ""
        return f"{self.model} {self.transport}{churning}{f', {MANY:,} processes' if self.idle else ''}"


@dataclass(frozen=True)
class Figures:
    """What a cell said, and what the other source said."""

    throughput_per_s: float
    cpu_s: float
    counted_s: float
    own_in_window: float
    own_in_life: float

    @property
    def ratio(self) -> float:
        """Return the cell's CPU over the other source's."""
        return self.cpu_s / self.counted_s


def run(rounds: int, seconds: float) -> str:
    """Measure and return the tables as Markdown."""
    cases = {case.name: case for case in _cases()}
    figures: dict[str, list[Figures]] = {name: [] for name in cases}
    sources: set[str] = set()
    for number, name in pairs.shuffled(cases, rounds):
        source, found = _measure(cases[name], seconds, number)
        sources.add(source)
        figures[name].append(found)
        print(f"  round {number}/{rounds}  {name:<34}{found.ratio:>12.3f}", file=sys.stderr, flush=True)
    title = f"CPU of the server's tree: the cell beside the {' or '.join(sorted(sources))}, windows of {seconds:g} s"
    own = "What the accounting itself costs, in parts of one CPU"
    slowed = "Throughput with and without the accounting, closed load"
    texts = [programs.header(title), _right(figures), "", programs.header(own), _own(figures)]
    return "\n".join([*texts, "", programs.header(slowed), _slowed(rounds, seconds)])


def _cases() -> list[Case]:
    transports = ["tcp", "udp"] + (["ws"] if importlib.util.find_spec("loadgen.wire.ws") else [])
    steady = [Case(model, transport) for model in programs.MODELS for transport in transports]
    return [*steady, Case("fork", "tcp", "churn", 8), Case("fork", "tcp", idle=MANY - ACTIVE)]


def _right(figures: dict[str, list[Figures]]) -> str:
    lines = ["| server | requests/s, median | ratio of CPU, median | range |", "|---|---:|---:|---|"]
    for name, each in figures.items():
        ratios = [one.ratio for one in each]
        rate = statistics.median(one.throughput_per_s for one in each)
        lines.append(
            f"| {name} | {rate:,.0f} | {statistics.median(ratios):.3f} | {min(ratios):.3f} to {max(ratios):.3f} |"
        )
    return "\n".join([*lines, "", f"Expected: within {MAY_DIFFER:.0%} of 1."])


def _own(figures: dict[str, list[Figures]]) -> str:
    lines = [
        "| server | in windows, median | greatest | over the whole load, median | expected |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, each in figures.items():
        windows, lives = [one.own_in_window for one in each], [one.own_in_life for one in each]
        most = LARGE_MOST if "processes" in name else SMALL_MOST
        lines.append(
            f"| {name} | {statistics.median(windows):.2%} | {max(windows):.2%} | {statistics.median(lives):.2%} "
            f"| < {most:.0%} |"
        )
    return "\n".join(lines)


def _measure(case: Case, seconds: float, seed: int) -> tuple[str, Figures]:
    """Measure a cell; return the name of the other source, and the figures."""
    with control_group() as group:
        cell = _cell(case, group, seconds, seed)
    window, measured = cell["load"]["windows"][0], cell["windows"][0]
    if group is not None:
        source = "control group"
        cpu_s = float(measured["server"]["cpu_s"])
        counted_s = group.between(window["opens_monotonic_ns"], window["closes_monotonic_ns"])
    else:
        source = "wait4"
        cpu_s = cell["series"]["server_cpu_s"][-1]
        counted_s = cell["usage"]["server"]["cpu_user_s"] + cell["usage"]["server"]["cpu_system_s"]
    accounting = cell["accounting"]
    own_in_life = accounting["cpu_s"] / accounting["elapsed_s"]
    own_in_window = measured["accounting"]["cores_used"]
    return source, Figures(window["throughput_per_s"], cpu_s, counted_s, own_in_window, own_in_life)


def _cell(case: Case, group: ControlGroup | None, seconds: float, seed: int) -> dict[str, Any]:
    """Measure a cell whose server runs in the group."""
    server = f"{sys.executable} -m servers --model {case.model} --transport {case.transport}"
    join = f"echo $$ > {group.folder}/cgroup.procs; " if group else ""
    command = json.dumps(["sh", "-c", f"{join}cd {programs.HERE.parent}; exec {server}"])
    plan = f"""
name = "accounting"
rounds = 1
seed = {seed}
[defaults]
connections = {case.connections}
idle = {case.idle}
mode = "{case.mode}"
warmup_s = {MANY_WARMUP_S if case.idle else 0.5}
timeout_s = {MANY_TIMEOUT_S if case.idle else 1.0}
window_s = {seconds}
loads = ["closed"]
pin = "{programs.SERVER_CPU}:{programs.CLIENT_CPU}"
[matrix]
model = ["counted"]
transport = ["{case.transport}"]
[servers.counted]
command = {command}
transports = ["{case.transport}"]
"""
    return programs.only_cell(plan)


def _slowed(rounds: int, seconds: float) -> str:
    cases = {
        "asyncio": (programs.our_server("asyncio"), 0),
        f"fork, {MANY:,} processes": (programs.our_server("fork"), MANY - ACTIVE),
        "echo_server.c": (programs.reference_server(), 0),
    }
    texts = []
    for name, (command, idle) in cases.items():
        with_it, without = f"{name}, with", f"{name}, without"
        variants = {
            label: partial(_throughput, command, seconds, idle, sampled=label == with_it)
            for label in (with_it, without)
        }
        figures = pairs.alternate(variants, rounds)
        texts.append(pairs.table(figures, [(pairs.ratio(figures, with_it, without), THROUGHPUT_LEAST)]))
    return "\n\n".join(texts)


def _throughput(command: list[str], seconds: float, idle: int, *, sampled: bool) -> float:
    """Return the requests/s that the load generator reaches, read by the sampler or not."""
    with programs.running(command) as server, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.json"
        words = [sys.executable, "-m", "loadgen", f"tcp://127.0.0.1:{server.ready['port']}", "--json", str(file)]
        shape = ["--connections", str(ACTIVE), "--idle", str(idle), "--window", str(seconds)]
        shape += ["--warmup", str(MANY_WARMUP_S if idle else 0.5), "--timeout", str(MANY_TIMEOUT_S if idle else 1.0)]
        with running_on((programs.CLIENT_CPU,)):
            _follow([*words, *shape], server.pid, sampled=sampled)
        window = json.loads(file.read_text())["windows"][0]
    if window["errors"]:
        raise RuntimeError(f"{' '.join(command)} left errors: {window['errors']}")
    return float(window["throughput_per_s"])


def _follow(command: list[str], server_pid: int, *, sampled: bool) -> None:
    """Run the load generator, and have the sampler read what it announces, as the harness does."""
    generator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=programs.HERE.parent)
    try:
        assert generator.stdout is not None
        if not sampled:
            generator.communicate(timeout=LIMIT_S)
        else:
            with Sampler(server_pid, generator.pid) as sampler:
                for line in generator.stdout:
                    _heed(json.loads(line), sampler)
                sampler.stop()
        if generator.wait(LIMIT_S) != 0:
            raise RuntimeError(f"{' '.join(command)} failed with {generator.returncode}")
    finally:
        generator.kill()
        generator.communicate()


def _heed(event: dict[str, Any], sampler: Sampler) -> None:
    if event["event"] == "connected":
        sampler.connected()
    elif event["event"] == "window":
        sampler.announce(event["index"], event["opens_monotonic_ns"], event["closes_monotonic_ns"])
