"""The gate tried like an instrument: identical code, a known cost, swapped labels; one JSON line a trial.

    python -m benchmarks.gate_trials FILE [--same N] [--cost N] [--swapped N] [--percent 10] [--models asyncio,thread]
    python -m benchmarks.gate_trials FILE --table docs/gate.md
    python -m benchmarks.gate_trials FILE --trace 240 [--models asyncio] [--gate-p99] [--to tests/data/gate_trace.json]

Each trial is one `echobench gate` with its defaults, from the command line to the exit code:

* *same*: base and head are the same code, all default scenarios. Every REGRESSION is a false alarm.
* *cost*: head costs x % more CPU time a request (`benchmarks/gate_injection.py`), in one scenario. It must be found,
  and the estimate be near x %.
* *swapped*: the same with base and head the other way round. The ratio must be the reciprocal, the verdict no
  REGRESSION: a gate that favours one of its arms fails here.

The numbers say how many trials of each kind (and model) the file shall hold in the end, so a series that was stopped is
gone on with by the same command, and one that is to grow by a larger number. Kinds take turns: a bad hour of the
machine hits all of them. A trace is one long series of rounds of identical code, which the tests replay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import gate_table
from benchmarks.gate_injection import calibrate, costly_tree, plain_tree, turns_of
from benchmarks.gate_trace import record_trace
from harness.environment import ROOT, code_hash, read_environment, utc_now

TRIALS_SCHEMA = "echobench.gate-trial/1"
KEPT = ("scenario", "metric", "gated", "verdict", "rounds", "ratio", "low", "high", "p_adjusted", "detectable")


@dataclass(frozen=True)
class Trial:
    """What is tried: its kind, in which model (None: the gate's default scenarios), and how much is put in."""

    kind: str
    model: str | None = None
    percent: float = 0.0


def main() -> None:
    """Run what is missing, or write the table, or record a trace."""
    options = _parser().parse_args()
    if options.table is not None:
        gate_table.write(options.table, read_trials(options.file), options.to)
    elif options.trace is not None:
        record_trace(options.models[0], options.trace, options.to, open_window=options.gate_p99)
    else:
        for trial in missing(wanted(options), read_trials(options.file)):
            append(options.file, run(trial))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_trials", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="one JSON line a trial; it is appended to")
    for kind in ("same", "cost", "swapped"):
        add(
            f"--{kind}",
            type=int,
            default=0,
            metavar="N",
            help=f"trials of this kind{'' if kind == 'same' else ' a model'}",
        )
    add("--percent", type=float, nargs="+", default=[10.0], metavar="X", help="the costs put in (%(default)s)")
    add("--models", type=lambda text: text.split(","), default=["asyncio", "thread"], metavar="A,B")
    add("--table", type=Path, metavar="DOC", help="write the table of all trials between the markers of this file")
    add("--trace", type=int, metavar="N", help="record N rounds of identical code of the first model")
    add("--gate-p99", action="store_true", help="a trace with an open window, too")
    add("--to", type=Path, default=ROOT / "tests/data/gate_trace.json", metavar="PATH", help="where the trace goes")
    return parser


def wanted(options: argparse.Namespace) -> list[Trial]:
    """Return all trials that the file shall hold, kinds in turn."""
    counts = {Trial("same"): options.same}
    for model in options.models:
        for percent in options.percent:
            counts[Trial("cost", model, percent)] = options.cost
            counts[Trial("swapped", model, percent)] = options.swapped
    return [trial for turn in range(max(counts.values())) for trial, count in counts.items() if turn < count]


def missing(trials: Sequence[Trial], done: Sequence[dict[str, Any]]) -> Iterator[Trial]:
    """Yield the trials that the file does not hold yet."""
    there = Counter(Trial(each["kind"], each["model"], each["percent"]) for each in done)
    for trial in trials:
        if there[trial] > 0:
            there[trial] -= 1
        else:
            yield trial


def read_trials(file: Path) -> list[dict[str, Any]]:
    """Return the trials of a file; a last line that was cut short is none."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append(file: Path, line: dict[str, Any]) -> None:
    """Append a trial; whatever a stopped series left half written is overwritten."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as opened:
        opened.seek(0)
        whole = opened.read().rfind(b"\n") + 1
        opened.truncate(whole)
        opened.write(json.dumps(line).encode() + b"\n")
    print(f"{line['kind']} {line['model'] or ''}: {line['verdict']}, exit code {line['exit_code']}", file=sys.stderr)


def run(trial: Trial) -> dict[str, Any]:
    """Hold one gate and return its line."""
    with tempfile.TemporaryDirectory(prefix="echobench-trial-") as name:
        folder = Path(name)
        dear, cheap, expected = arms_of(trial, folder)
        base, head = (dear, cheap) if trial.kind == "swapped" else (cheap, dear)
        began = time.monotonic()
        exit_code, record = _gate(base, head, trial.model, folder)
        minutes = (time.monotonic() - began) / 60
    return {
        "schema": TRIALS_SCHEMA,
        **asdict(trial),
        "started": utc_now(),
        "minutes": round(minutes, 2),
        "expected": round(1 / expected if trial.kind == "swapped" else expected, 4),
        "exit_code": exit_code,
        "verdict": record["decision"]["verdict"],
        "rows": [{key: row[key] for key in KEPT} for each in record["decision"]["scenarios"] for row in each["rows"]],
        "redone": sum(each["redo"] is not None for rounds in record["rounds"].values() for each in rounds),
        "machine": _machine(),
        "code": {program: code_hash(program) for program in ("harness", "loadgen", "servers")},
    }


def arms_of(trial: Trial, folder: Path) -> tuple[Path, Path, float]:
    """Return the folder of the dear arm and of the cheap one, and how much more the dear one costs."""
    if trial.model is None:
        plain = plain_tree(folder / "plain")
        return plain, plain, 1.0
    share_of_a_turn = calibrate(trial.model, folder / "calibration")
    turns = turns_of(trial.percent / 100, share_of_a_turn)
    return costly_tree(folder / "dear", turns), costly_tree(folder / "cheap", 0), 1 + turns * share_of_a_turn


def _gate(base: Path, head: Path, model: str | None, folder: Path) -> tuple[int, dict[str, Any]]:
    record = folder / "gate.json"
    words = ["--base-dir", str(base), "--head-dir", str(head), "--json", str(record), "--results", str(folder / "kept")]
    command = [sys.executable, "-m", "harness", "gate", *words, *(["--models", model] if model else [])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            exit_code = process.wait()
        except KeyboardInterrupt:
            process.wait()  # it has the signal too, and takes its time to clear up
            raise
    if exit_code == 130 or not record.exists():
        raise SystemExit(f"the gate ended with exit code {exit_code}: this trial is not kept")
    return exit_code, json.loads(record.read_text(encoding="utf-8"))


def _machine() -> str:
    environment = read_environment()
    cpu = environment["cpu"]
    return f"{cpu['model']}, {len(cpu['allowed'])} CPUs, {environment['kernel']}, Python {environment['python']}"


if __name__ == "__main__":
    main()
