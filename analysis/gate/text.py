"""The gate's decision as text: one Markdown string for the job's summary and the pull request, a table for consoles.

Both begin with the verdict and what it rests on; all else is for those who want to know more. Everything is ASCII.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis import wording
from analysis.gate.advice import MEANINGS, advice
from analysis.gate.decision import Decision, Row, ScenarioDecision, Verdict
from analysis.gate.reasons import METRIC_NAMES, interval, p_value, size, smallest, worse_by
from analysis.report.markdown import escape
from harness.schema.gate import Arm, Metric

# A comment that is updated rather than repeated is found by this line, which nobody sees.
MARKER = "<!-- echobench gate -->"

# GitHub's comments end at 65,536 characters; the rounds are left out rather than cut.
LONGEST = 60_000


def _milliseconds(value_ns: float) -> str:
    return "unanswered" if math.isinf(value_ns) else f"{wording.milliseconds(value_ns)} ms"


FIGURES: Mapping[Metric, Callable[[float], str]] = {
    Metric.CPU: lambda value: f"{wording.number(value)} us",
    Metric.THROUGHPUT: lambda value: f"{wording.whole(value)}/s",
    Metric.P50: _milliseconds,
    Metric.P99: _milliseconds,
}
HEADS = ("scenario", "metric", "base", "head", "worse by", "interval", "p", "detectable", "rounds", "verdict")
NUMBERS = frozenset({"base", "head", "worse by", "interval", "p", "detectable", "rounds"})
WIDE = 140  # columns that the whole table takes; narrower consoles do without what the Markdown and the record have too
DISPENSABLE = frozenset({"base", "head", "p", "rounds"})
STYLES: Mapping[Verdict, str] = {
    Verdict.BROKEN: "bold red",
    Verdict.REGRESSION: "bold red",
    Verdict.INVALID: "yellow",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.PASS: "green",
    Verdict.IMPROVEMENT: "green",
}


def markdown(decision: Decision, names: Mapping[Arm, str] | None = None, longest: int = LONGEST) -> str:
    """Return the decision as Markdown, at most `longest` characters where the rounds are what makes it too long.

    `names` says what the arms are: a commit, a folder, a command.
    """
    short = "\n".join(_markdown(decision, names or {})) + "\n"
    whole = short + "\n" + "\n".join(_details("Every round", _rounds(decision))) + "\n"
    if len(whole) <= longest:
        return whole
    return short + "\nThe figures of the single rounds are too many for this place: they are in the JSON record.\n"


def print_decision(decision: Decision, console: Console, names: Mapping[Arm, str] | None = None) -> None:
    """Print the verdict, the table, the doubts and what to do."""
    console.print(Text(f"Performance gate: {headline(decision)}", style=STYLES[decision.verdict]))
    for sentence in (*_arms(names or {}), *findings(decision)):
        console.print(Text(f"* {sentence}"))
    if decision.rows:
        console.print(_table(decision, frozenset(HEADS) if console.width >= WIDE else frozenset(HEADS) - DISPENSABLE))
        console.print(Text(_legend(decision), style="dim"))
    for sentence in doubts(decision):
        console.print(Text(f"* {sentence}"))
    if decision.verdict not in {Verdict.PASS, Verdict.IMPROVEMENT}:
        console.print(Text("What to do:"))
        for sentence in _advice(decision):
            console.print(Text(f"* {sentence}"))


def headline(decision: Decision) -> str:
    """Return the verdict and what it means, in one line."""
    if decision.compared_nothing:
        return f"{decision.verdict}: nothing could be compared"
    return f"{decision.verdict}: {MEANINGS[decision.verdict]}"


def findings(decision: Decision) -> list[str]:
    """Return what decided, a sentence each: every row or scenario that did not simply pass; or what a pass is worth."""
    found = [sentence for scenario in decision.scenarios for sentence in _findings(scenario)]
    found += [f"{scenario} is not compared: {why}" for scenario, why in decision.not_compared.items()]
    passed = [row for row in decision.rows if row.verdict is Verdict.PASS]
    if passed:
        weakest = max(row.detectable for row in passed)
        rest = "all else" if found else "everything"
        found.append(
            f"{rest} passed: a slowdown of {smallest(weakest)} or more of any single one of its metrics would have "
            "been found four times out of five"
        )
    return [wording.printable(sentence) for sentence in found]


def doubts(decision: Decision) -> list[str]:
    """Return the doubts about all scenarios, a sentence each."""
    return [wording.printable(f"{each.name}: {note}") for each in decision.scenarios for note in each.notes]


def _findings(scenario: ScenarioDecision) -> Iterator[str]:
    telling = [row for row in scenario.rows if row.gated and row.verdict is not Verdict.PASS]
    if len({row.reason for row in telling}) > 1 or (telling and telling[0].reason != scenario.reason):
        for row in telling:
            yield f"{row.verdict}, {scenario.name}, {METRIC_NAMES[row.metric]}: {row.reason}"
    elif scenario.verdict is not Verdict.PASS:
        yield f"{scenario.verdict}, {scenario.name}: {scenario.reason}"


def _advice(decision: Decision) -> tuple[str, ...]:
    scenario = next((each.name for each in decision.scenarios if each.verdict is decision.verdict), "a scenario")
    return advice(decision.verdict, scenario, decision.rules.alpha)


def _arms(names: Mapping[Arm, str]) -> list[str]:
    return [wording.printable(f"{arm} is {names[arm]}") for arm in Arm if arm in names]


def _legend(decision: Decision) -> str:
    """Return how the table is to be read."""
    rules = decision.rules
    least, targets = (_by_metric(shares, rules.gated) for shares in (rules.minimum_effects, rules.targets))
    return (
        "base and head: medians. Worse by: how much more head costs, round by round (throughput turned over, so + is "
        "always worse), with its 95 % interval. p: one-sided, adjusted for all gated rows; a row that stopped at the "
        f"first look has 1. REGRESSION takes p <= {rules.alpha:g} and at least {least}. Detectable: the smallest "
        f"slowdown that would have been found four times out of five; a PASS takes at most {targets}."
    )


def _by_metric(shares: Mapping[Metric, float], gated: Sequence[Metric]) -> str:
    """Return a size that all metrics have, or each one's."""
    sizes = {metric: size(1 + shares[metric]) for metric in gated}
    if len(set(sizes.values())) == 1:
        return sizes[gated[0]]
    return wording.listing([f"{shown} ({METRIC_NAMES[metric]})" for metric, shown in sizes.items()])


def _fields(row: Row) -> tuple[str, ...]:
    show = FIGURES[row.metric]
    found = row.rounds > 0
    return (
        row.scenario,
        METRIC_NAMES[row.metric],
        show(row.base) if found else wording.NOTHING,
        show(row.head) if found else wording.NOTHING,
        worse_by(row.ratio),
        _interval(row) if found else wording.NOTHING,
        p_value(row.p_adjusted),
        smallest(row.detectable),
        str(row.rounds),
        str(row.verdict) if row.verdict else "not gated",
    )


def _interval(row: Row) -> str:
    """Return a row's interval; with too few rounds for 95 %, with the coverage that it has."""
    enough = round(row.coverage, 3) >= 0.95
    return interval(row) if enough else f"{interval(row)} ({wording.percent(row.coverage)})"


def _table(decision: Decision, shown: Collection[str]) -> Table:
    """Return the rows with the columns that are shown."""
    table = Table(box=rich.box.SIMPLE)
    for head in HEADS:
        if head in shown:
            table.add_column(head, justify="right" if head in NUMBERS else "left")
    for row in decision.rows:
        style = STYLES[row.verdict] if row.verdict else "dim"
        *fields, verdict = (Text(field) for head, field in zip(HEADS, _fields(row), strict=True) if head in shown)
        verdict.stylize(style)
        table.add_row(*fields, verdict)
    return table


def _markdown(decision: Decision, names: Mapping[Arm, str]) -> Iterator[str]:
    yield from (MARKER, f"## Performance gate: {escape(headline(decision))}", "")
    yield from (f"* {escape(sentence)}" for sentence in (*findings(decision), *_arms(names)))
    if decision.rows:
        lines = [_fields(row) for row in decision.rows]
        yield from ("", *_markdown_table(HEADS, lines, bold=_failing(decision)), "", escape(_legend(decision)))
    found = doubts(decision)
    if found:
        yield from ("", "Worth knowing:", "", *(f"* {escape(sentence)}" for sentence in found))
    yield ""
    yield from _details("What to do", [f"* {escape(sentence)}" for sentence in _advice(decision)])


def _failing(decision: Decision) -> frozenset[int]:
    bad = {Verdict.BROKEN, Verdict.REGRESSION}
    return frozenset(index for index, row in enumerate(decision.rows) if row.verdict in bad)


def _markdown_table(
    heads: Sequence[str], lines: Sequence[Sequence[str]], bold: frozenset[int] = frozenset()
) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "|".join("---:" if head in NUMBERS else "---" for head in heads) + "|"
    for index, fields in enumerate(lines):
        shown = [escape(field) for field in fields]
        yield "| " + " | ".join([f"**{field}**" for field in shown] if index in bold else shown) + " |"


def _details(title: str, lines: Sequence[str]) -> list[str]:
    """Return lines folded away; GitHub needs the empty lines to see Markdown inside."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>"]


def _rounds(decision: Decision) -> list[str]:
    lines: list[str] = []
    for scenario in decision.scenarios:
        rows = [row for row in scenario.rows if row.pairs]
        if rows:
            used = f"{scenario.used} of {scenario.measured} rounds used"
            lines += [f"**{escape(scenario.name)}**: {used}; base, head, worse by.", "", *_rounds_table(rows), ""]
    return lines or ["No round could be used."]


def _rounds_table(rows: Sequence[Row]) -> Iterator[str]:
    order = {pair.number: str(pair.first) for row in rows for pair in row.pairs}
    cells = {(row.metric, pair.number): _pair(row.metric, pair.base, pair.head) for row in rows for pair in row.pairs}
    lines = [
        (str(number), order[number], *(cells.get((row.metric, number), wording.NOTHING) for row in rows))
        for number in sorted(order)
    ]
    yield from _markdown_table(("round", "first", *(METRIC_NAMES[row.metric] for row in rows)), lines)


def _pair(metric: Metric, base: float, head: float) -> str:
    ratio = base / head if metric is Metric.THROUGHPUT else head / base
    return f"{FIGURES[metric](base)}, {FIGURES[metric](head)}, {worse_by(ratio)}"
