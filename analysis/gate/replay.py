"""The gate on noise that was really measured: a recorded trace of identical arms, decided on again and again.

A trace is one long series of rounds in which both arms ran the same code, on a real machine. Each window of it, as long
as a gate's last look, is a gate of identical code: the share of windows that end as REGRESSION is the rate of false
alarms. The rounds are replayed as they were. Tossing each round's sign would make any noise symmetrical, and with it
the rate right by construction; as recorded, the trace keeps its autocorrelation, its drift and its order effects.

A slowdown is put in by multiplying all of head's costs by a factor (throughput divided by it). That gives the power
under real noise, for a slowdown that costs every round the same share.

Windows that overlap share rounds, so they are not independent trials: their share estimates the rate, but an interval
that counted them all would be too narrow. The interval is Clopper and Pearson's over windows that do not overlap, of
which there are few; that it is wide is the truth about one trace.

The stored form keeps columns, one per arm and metric, five significant digits: a quarter of a gate's record.
Source of the interval: Clopper, Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis import wording
from analysis.gate import decide
from analysis.gate.decision import Rules, Verdict
from analysis.gate.rounds import Fate, fate, up_to, usable
from harness.schema import SchemaError, require_schema
from harness.schema.gate import Arm, GateRecord, GateRound, Metric, Slot, stored_form

TRACE_SCHEMA = "echobench.trace/1"
ALARMS = frozenset({Verdict.REGRESSION, Verdict.BROKEN})

Rounds = Mapping[str, tuple[GateRound, ...]]


@dataclass(frozen=True)
class Trace:
    """Rounds of identical arms, by scenario, and where and how they were recorded."""

    rounds: Rounds
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Replay:
    """What became of the windows of a trace whose head was made `factor` times as costly.

    `alone` windows do not overlap; `alarms_alone` of them failed, which bounds the rate to `low` to `high` (95 %).
    """

    factor: float
    windows: int
    alarms: int
    verdicts: Mapping[Verdict, int]
    alone: int
    alarms_alone: int
    low: float
    high: float


def trace_document(record: GateRecord) -> dict[str, Any]:
    """Return a gate's record in the stored form of a trace; rounds in which a server failed are left out."""
    about = {"started": record.started, "settings": record.settings, "environment": record.environment}
    scenarios = {name: _columns(rounds) for name, rounds in record.rounds.items()}
    document: dict[str, Any] = stored_form({"schema": TRACE_SCHEMA, **about, "scenarios": scenarios})
    return document


def read_trace(document: Mapping[str, Any], place: str) -> Trace:
    """Return a stored trace, `place` naming it in errors.

    Raises SchemaError where it is of another version or of another shape.
    """
    require_schema(document, TRACE_SCHEMA, place)
    try:
        rounds = {name: _rounds(columns) for name, columns in document["scenarios"].items()}
        about = {key: document[key] for key in ("started", "settings", "environment")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SchemaError(f"{place} is damaged, it is no trace: {type(error).__name__}: {error}") from error
    return Trace(rounds, about)


def replay(trace: Trace, rules: Rules, factor: float = 1.0, stride: int = 1) -> Replay:
    """Decide on every `stride`-th window of a trace, all of its scenarios together, head made `factor` times as costly.

    Raises ValueError where the trace is shorter than one window.
    """
    series = {name: tuple(slower(each, factor) for each in rounds) for name, rounds in trace.rounds.items()}
    length = min((len(rounds) for rounds in series.values()), default=0)
    verdicts = {start: _decided(series, start, rules) for start in range(0, length, stride)}
    whole = {start: found for start, found in verdicts.items() if found is not None}
    if not whole:
        raise ValueError(f"the trace is shorter than a window of {rules.last_look} usable rounds")
    alone = [found for start in _apart(series, rules) if (found := _decided(series, start, rules))]
    failed = sum(verdict in ALARMS for verdict in alone)
    low, high = clopper_pearson(failed, len(alone))
    alarms = sum(verdict in ALARMS for verdict in whole.values())
    return Replay(factor, len(whole), alarms, Counter(whole.values()), len(alone), failed, low, high)


def power_curve(trace: Trace, rules: Rules, factors: Sequence[float], stride: int = 1) -> list[Replay]:
    """Return the replay of each factor: 1 shows the false alarms, the others what is found of a slowdown."""
    return [replay(trace, rules, factor, stride) for factor in factors]


def describe(found: Replay) -> str:
    """Return a replay in a sentence that claims no more than its windows carry."""
    what = "identical code" if found.factor == 1 else f"head {wording.percent(found.factor - 1)} slower"
    return (
        f"{what}: {found.alarms} of {wording.plural(found.windows, 'window')} failed; the windows overlap, "
        f"{found.alarms_alone} of the {found.alone} that do not overlap failed "
        f"(95 % interval of the rate: {wording.percent(found.low)} to {wording.percent(found.high)})"
    )


def slower(each: GateRound, factor: float) -> GateRound:
    """Return a round whose head costs `factor` times as much in every metric."""
    figures = {
        name: value / factor if name == Metric.THROUGHPUT else value * factor
        for name, value in each.head.figures.items()
    }
    return replace(each, head=replace(each.head, figures=figures))


def clopper_pearson(successes: int, trials: int, coverage: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate: at each bound, what was seen or more extreme has half of the chance to miss.

    Raises ValueError without trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is no rate")
    tail = (1 - coverage) / 2
    low = 0.0 if successes == 0 else _root(lambda rate: 1 - _at_most(successes - 1, trials, rate) - tail)
    high = 1.0 if successes == trials else _root(lambda rate: tail - _at_most(successes, trials, rate))
    return low, high


def _decided(series: Rounds, start: int, rules: Rules) -> Verdict | None:
    """Return the verdict on the window that begins at a round; None where the trace ends before it does."""
    window = {name: up_to(rounds[start:], rules.last_look) for name, rounds in series.items()}
    if any(len(usable(rounds)) < rules.last_look for rounds in window.values()):
        return None
    return decide(window, rules).verdict


def _apart(series: Rounds, rules: Rules) -> list[int]:
    """Return where windows begin that do not overlap in any scenario."""
    starts = [0]
    longest = min(len(rounds) for rounds in series.values())
    while starts[-1] < longest:
        ends = [starts[-1] + len(up_to(rounds[starts[-1] :], rules.last_look)) for rounds in series.values()]
        starts.append(max(ends))
    return starts


def _at_most(successes: int, trials: int, rate: float) -> float:
    """Return the binomial chance of at most so many successes."""
    return math.fsum(math.comb(trials, i) * rate**i * (1 - rate) ** (trials - i) for i in range(successes + 1))


def _root(rising: Callable[[float], float]) -> float:
    """Return where a rising function of a rate crosses 0."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def _columns(rounds: Sequence[GateRound]) -> dict[str, Any]:
    kept = [each for each in rounds if fate(each) in {Fate.USABLE, Fate.REDONE}]
    slots = {Arm.BASE: [each.base for each in kept], Arm.HEAD: [each.head for each in kept]}
    return {
        "number": [each.number for each in kept],
        "first": [each.first for each in kept],
        "redo": [each.redo for each in kept],
        **{
            arm: {metric: [_digits(slot.figures.get(metric, math.nan)) for slot in own] for metric in Metric}
            | {"generator_limited": [slot.generator_limited for slot in own]}
            for arm, own in slots.items()
        },
    }


def _rounds(columns: Mapping[str, Any]) -> tuple[GateRound, ...]:
    base, head = (_slots(columns[arm]) for arm in Arm)
    firsts = [Arm(first) for first in columns["first"]]
    rows = zip(columns["number"], firsts, base, head, columns["redo"], strict=True)
    return tuple(GateRound(int(number), *rest) for number, *rest in rows)


def _slots(columns: Mapping[str, Any]) -> list[Slot]:
    rows = zip(*(columns[metric] for metric in Metric), strict=True)
    return [
        Slot({metric: _number(value) for metric, value in zip(Metric, row, strict=True)}, limited)
        for row, limited in zip(rows, columns["generator_limited"], strict=True)
    ]


def _number(value: float | str | None) -> float:
    if value is None:
        return math.nan
    return float(value.replace("infinite", "inf")) if isinstance(value, str) else float(value)


def _digits(value: float) -> float:
    return float(f"{value:.5g}")
