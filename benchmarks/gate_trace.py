"""A trace for the tests to replay: many rounds of identical code, measured as the gate measures them."""

from __future__ import annotations

from pathlib import Path

from analysis.gate.replay import trace_document
from benchmarks.gate_rounds import measure_rounds
from harness.environment import ROOT
from harness.schema.gate import Arm, GateRecord
from harness.store import write_json


def record_trace(model: str, rounds: int, path: Path, *, open_window: bool) -> None:
    """Measure so many usable rounds of identical code of one model, and store the trace.

    It is stored after every round: a trace that is stopped is a shorter one.
    """

    def keep(record: GateRecord) -> None:
        write_json(path, trace_document(record))

    path.parent.mkdir(parents=True, exist_ok=True)
    keep(measure_rounds(model, dict.fromkeys(Arm, ROOT), rounds, open_window=open_window, keep=keep))
