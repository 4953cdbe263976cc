"""A `servers` package that costs a known share more for each request: head of the gate's trials.

What is put in is what a real regression is: more code on the path of every request. A copy of `servers/` gets a loop in
front of `TcpProtocol.receive`, which under closed load runs once a request, and the gate is given the two folders. So
all of it is tried, the comparison of the trees included. (`--work cpu:5us` would not do: work is served on another
path, step by step, so base would have to be slowed as well, and a cost by the clock shrinks where the machine is slow.)

How many turns of the loop are x % is measured, not computed: base's CPU time a request as a run measures it, and the
loop's as a program of its own on the same CPU, in turns, because the machine's speed drifts between the two. The loop
is timed with the same method call around it that it has in the server, and with the other CPU as busy as the gate's
load generator keeps it: two virtual CPUs are often one core, and then each is slower while the other works. (It counts
nothing: the numbers of a `range` beyond 256 are made anew, and its cost would not grow evenly.)
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import programs

ROOT = Path(__file__).parent.parent
CALIBRATIONS = 5
CELL = """
name = "calibration"
[defaults]
connections = 64
warmup_s = 0.5
window_s = 2
loads = ["closed"]
[matrix]
model = "{model}"
transport = "tcp"
"""
LOOP = """

# Put in by benchmarks/gate_injection.py: a cost for every request.
from itertools import repeat as _repeat

_receive = TcpProtocol.receive


def _costly(self, data):
    for _ in _repeat(None, {turns}):
        pass
    return _receive(self, data)


TcpProtocol.receive = _costly
"""
TIMING = """
import json, statistics, time
class TcpProtocol:
    def receive(self, data):
        return data
plain = TcpProtocol()
def cpu_ns(calls=60_000):
    receive, data = plain.receive, b"x" * 80
    began = time.thread_time_ns()
    for _ in range(calls):
        receive(data)
    return (time.thread_time_ns() - began) / calls
before = statistics.median(cpu_ns() for _ in range(7))
source = {loop!r}
found = {{}}
kept = TcpProtocol.receive
for turns in (10, 100):
    TcpProtocol.receive = kept
    exec(source.replace("TURNS", str(turns)))
    found[turns] = statistics.median(cpu_ns() for _ in range(7)) - before
print(json.dumps([found[10], found[100]]))
"""


@dataclass(frozen=True)
class Calibration:
    """What a request costs base, and what the loop adds: so much a call, and so much a turn, in nanoseconds."""

    base_ns: float
    call_ns: float
    turn_ns: float

    def turns(self, share: float) -> int:
        """Return how many turns of the loop are a share of base's cost (0.1 is 10 %)."""
        return max(1, round((share * self.base_ns - self.call_ns) / self.turn_ns))

    def share(self, turns: int) -> float:
        """Return which share of base's cost a loop of so many turns adds."""
        return (self.call_ns + turns * self.turn_ns) / self.base_ns


def calibrate(model: str) -> Calibration:
    """Measure a model's cost a request and the loop's cost, in turns; the medians."""
    taken = [(_base_ns(model), *_loop_ns()) for _ in range(CALIBRATIONS)]
    ratios_call = statistics.median(call / base for base, call, _ in taken)
    ratios_turn = statistics.median(turn / base for base, _, turn in taken)
    base_ns = statistics.median(base for base, _, _ in taken)
    return Calibration(base_ns, ratios_call * base_ns, ratios_turn * base_ns)


def _base_ns(model: str) -> float:
    (window,) = programs.only_cell(CELL.format(model=model))["windows"]
    return float(window["server"]["cpu_us_per_request"]) * 1e3


def _loop_ns() -> tuple[float, float]:
    source = TIMING.format(loop=LOOP.replace("{turns}", "TURNS"))
    command = ["taskset", "-c", str(programs.SERVER_CPU), sys.executable, "-c", source]
    with subprocess.Popen(
        ["taskset", "-c", str(programs.CLIENT_CPU), sys.executable, "-c", "while True: pass"]
    ) as other:
        try:
            short, long = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        finally:
            other.kill()
    turn_ns = (long - short) / 90
    return short - 10 * turn_ns, turn_ns


def costly_tree(folder: Path, turns: int) -> Path:
    """Put a copy of `servers/` with the loop into a folder, and return the folder."""
    shutil.copytree(ROOT / "servers", folder / "servers", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "servers" / "wire" / "tcp.py").open("a", encoding="utf-8") as file:
        file.write(LOOP.format(turns=turns))
    return folder
