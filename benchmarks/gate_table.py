"""The table of the gate's trials, written between two markers of a document."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analysis.figures import drawing, svg
from analysis.gate import Rules
from analysis.gate.replay import clopper_pearson, describe, power_curve, read_trace
from benchmarks import gate_figure

BEGIN, END = "<!-- trials: begin -->", "<!-- trials: end -->"
PICTURE = "figures/gate-trials.svg"
CPU = "cpu_us_per_request"
FAILED = 1
FACTORS = (1.0, 1.03, 1.05, 1.1)
HEADS = (
    "trial",
    "model",
    "put in",
    "trials",
    "failed",
    "95 % interval",
    "estimate",
    "observed / put in",
    "rounds",
    "minutes",
)

Trials = Sequence[dict[str, Any]]


def write(document: Path, trials: Trials, trace: Path) -> None:
    """Replace what stands between the markers; raises SystemExit where there are none, or no trials."""
    text = document.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} lacks the markers {BEGIN} and {END}")
    if not trials:
        raise SystemExit("there are no trials yet")
    picture = document.parent / PICTURE
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(svg.alone(drawing.as_svg(gate_figure.draw(trials)), {}), encoding="utf-8")
    shown = f"![Estimates of all trials by kind and model, with their intervals and what was put in]({PICTURE})\n"
    text = "\n".join([shown, table(trials), *(replayed(trace) if trace.exists() else ())])
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def replayed(path: Path) -> Iterator[str]:
    """Yield what the gate makes of a recorded trace, as it was and with head slowed down."""
    trace = read_trace(json.loads(path.read_text(encoding="utf-8")), path.name)
    rounds = ", ".join(f"{len(own)} rounds of {name}" for name, own in trace.rounds.items())
    yield from ("", f"The recorded trace ({rounds}, {trace.about['started'][:10]}), decided on window by window:", "")
    for found in power_curve(trace, Rules(), FACTORS):
        yield f"* {describe(found)}"


def table(trials: Trials) -> str:
    """Return the table as Markdown, with where and when it was measured."""
    groups: dict[tuple[str, str, float], list[dict[str, Any]]] = defaultdict(list)
    for trial in trials:
        groups[trial["kind"], trial["model"] or "all three", trial["percent"]].append(trial)
    machines = sorted({trial["machine"] for trial in trials})
    days = sorted(trial["started"][:10] for trial in trials)
    codes = len({json.dumps(trial["code"], sort_keys=True) for trial in trials})
    code = "one version of the code" if codes == 1 else f"{codes} versions of the code, told apart in the file"
    lines = [f"{'; '.join(machines)}; {days[0]} to {days[-1]}; {code}.", ""]
    lines += [f"| {' | '.join(HEADS)} |", "|---|---|---:|---:|---:|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_cells(*key, group))} |" for key, group in sorted(groups.items(), reverse=True)]
    return "\n".join([*lines, "", *_sentences(trials)])


def _cells(kind: str, model: str, percent: float, group: Trials) -> Iterator[str]:
    failed = sum(trial["exit_code"] == FAILED for trial in group)
    low, high = clopper_pearson(failed, len(group))
    rows = [(trial, row) for trial in group for row in trial["rows"] if row["metric"] == CPU and row["ratio"]]
    ratios = [row["ratio"] for _, row in rows]
    yield from (kind, model, f"{percent:g} %" if percent else "nothing", str(len(group)), str(failed))
    yield f"{_percent(low)} to {_percent(high)}"
    yield f"{_change(statistics.median(ratios))} ({_change(min(ratios))} to {_change(max(ratios))})" if ratios else "-"
    seen = [(row["ratio"] - 1) / (trial["expected"] - 1) for trial, row in rows if trial["expected"] != 1]
    yield f"{statistics.median(seen):.2f} ({min(seen):.2f} to {max(seen):.2f})" if seen else "-"
    rounds = [row["rounds"] for _, row in rows]
    yield f"{statistics.median(rounds):g} ({min(rounds)} to {max(rounds)})" if rounds else "-"
    minutes = [trial["minutes"] for trial in group]
    yield f"{statistics.median(minutes):.1f} ({min(minutes):.1f} to {max(minutes):.1f})"


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _sentences(trials: Trials) -> Iterator[str]:
    same = [trial for trial in trials if trial["kind"] == "same"]
    alarms = sum(trial["exit_code"] == FAILED for trial in same)
    if same and not alarms:
        _, high = clopper_pearson(0, len(same), 0.9)
        yield (
            f"No alarm in {len(same)} gates of identical code bounds their rate at {_percent(high)} (one-sided 95 %). "
            "That it is at most 1 % follows from the exact test, and holds on synthetic noise in thousands of gates: "
            "live ones could only contradict it."
        )
    undecided = sum(trial["verdict"] in {"INVALID", "INCONCLUSIVE"} for trial in same)
    if undecided:
        yield f"{undecided} of the {len(same)} could not decide, for the machine was disturbed."
    costs = [trial for trial in trials if trial["kind"] == "cost"]
    for percent in sorted({trial["percent"] for trial in costs}):
        own = [trial for trial in costs if trial["percent"] == percent]
        found = sum(trial["exit_code"] == FAILED for trial in own)
        low, high = clopper_pearson(found, len(own))
        interval = f"{_percent(low)} to {_percent(high)}"
        yield f"{percent:g} % were found in {found} of {len(own)} trials, all models pooled ({interval})."
    wrong = [trial for trial in trials if trial["kind"] == "swapped" and trial["exit_code"] == FAILED]
    if wrong:
        yield f"{len(wrong)} gates failed whose head was the cheaper arm."
