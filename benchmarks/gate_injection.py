"""A `servers` package that costs a known share more for each request: head of the gate's trials.

What is put in is what a real regression is: more code on the path of every request. A copy of `servers/` gets a loop in
front of `TcpProtocol.receive`, which under closed load runs once a request, and the gate is given the two folders. So
all of it is tried, the comparison of the trees included. (`--work cpu:5us` would not do: work is served on another
path, step by step, so base would have to be slowed as well, and a cost by the clock shrinks where the machine is slow.)

Base of such a trial has the loop, too, with no turns: what differs is the turns alone. How many of them are 10 % is
measured in the server itself, with a loop that costs about as much as a whole request: against ten times the effect,
the noise of the calibration is a tenth of the trial's. (Timed as a program of its own the loop came out too cheap: in a
server its code is colder. It counts nothing, for the numbers of a `range` beyond 256 are made anew, and its cost would
not grow evenly.)
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

from benchmarks.gate_rounds import measure_rounds
from harness.environment import ROOT
from harness.schema.gate import Arm, Metric

CALIBRATION_ROUNDS = 7
CALIBRATION_TURNS = 800  # some microseconds: about a request
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


def calibrate(model: str, folder: Path) -> float:
    """Return the share of a request's CPU time that one turn of the loop adds in a model, measured in `folder`."""
    arms = {Arm.BASE: costly_tree(folder / "none", 0), Arm.HEAD: costly_tree(folder / "much", CALIBRATION_TURNS)}
    (rounds,) = measure_rounds(model, arms, CALIBRATION_ROUNDS).rounds.values()
    ratios = [each.head.figures[Metric.CPU] / each.base.figures[Metric.CPU] for each in rounds if each.redo is None]
    return (statistics.median(ratios) - 1) / CALIBRATION_TURNS


def turns_of(share: float, share_of_a_turn: float) -> int:
    """Return how many turns of the loop are a share of base's cost (0.1 is 10 %)."""
    return max(1, round(share / share_of_a_turn))


def plain_tree(folder: Path) -> Path:
    """Put a copy of `servers/` into a folder, and return the folder."""
    shutil.copytree(ROOT / "servers", folder / "servers", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def costly_tree(folder: Path, turns: int) -> Path:
    """Put a copy of `servers/` with the loop into a folder, and return the folder."""
    with (plain_tree(folder) / "servers" / "wire" / "tcp.py").open("a", encoding="utf-8") as file:
        file.write(LOOP.format(turns=turns))
    return folder
