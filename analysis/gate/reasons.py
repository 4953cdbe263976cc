"""Why a row of the gate has its verdict, in one sentence that begins small: it stands behind the verdict's name.

The reader's pull request has just failed, or has passed and the reader wonders what that is worth. So each sentence
says what was seen, against what, and never more than that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis import wording
from analysis.gate.decision import Row, Rules
from harness.schema.gate import GateRound, Metric

METRIC_NAMES: Mapping[Metric, str] = {
    Metric.CPU: "CPU time per request",
    Metric.THROUGHPUT: "throughput",
    Metric.P50: "median response time",
    Metric.P99: "p99 response time",
}
SHOWN_ONLY = "shown, not gated"
GENERATOR_LIMITED_BASE = "not gated: the load generator limited base, so this would compare the load generator"
GENERATOR_LIMITED_HEAD = (
    "it looks worse, but the load generator limited head and not base, so that head's throughput is only a lower bound"
)
NOTHING_GATED = "no gated metric could be compared"
MANIFOLD = 10  # a ratio that reads better as "x 12" than in percent


def worse_by(ratio: float, digits: int = 1) -> str:
    """Return a cost ratio as a signed change in percent: `+8.1 %` is worse, `-2.0 %` better."""
    if math.isnan(ratio):
        return wording.NOTHING
    if ratio >= MANIFOLD:
        return f"x {wording.number(ratio)}"
    change = round(100 * (ratio - 1), digits)
    return f"{change:+.{digits}f} %" if change else f"0.{'0' * digits} %"


def size(ratio: float) -> str:
    """Return how far a cost ratio is from 1, without sign, as a rule has it: `3 %`."""
    return wording.percent(max(ratio, 1 / ratio) - 1)


def change(row: Row) -> str:
    """Return what head does to a metric in words: `head needs 8.1 % more CPU time per request than base`."""
    worse = row.ratio >= 1
    if row.metric is Metric.THROUGHPUT:
        # A cost of 1.25 is a throughput of 0.8: the reader knows it as 20 % less.
        return f"head has {_bare(1 / row.ratio)} {'less' if worse else 'more'} throughput than base"
    if row.ratio >= MANIFOLD:
        return f"head's {METRIC_NAMES[row.metric]} is {wording.number(row.ratio)} times base's"
    if row.metric is Metric.CPU:
        return f"head needs {_bare(row.ratio)} {'more' if worse else 'less'} CPU time per request than base"
    return f"head's {METRIC_NAMES[row.metric]} is {_bare(row.ratio)} {'longer' if worse else 'shorter'} than base's"


def _bare(ratio: float) -> str:
    return worse_by(ratio).lstrip("+-")


def interval(row: Row) -> str:
    """Return the interval of a row: `+5.2 % to +11.0 %`."""
    return wording.span(worse_by(row.low), worse_by(row.high))


def p_value(value: float) -> str:
    """Return a p-value with two significant digits, a tiny one as a bound."""
    if math.isnan(value):
        return wording.NOTHING
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def smallest(detectable: float) -> str:
    """Return a smallest detectable effect: `6.2 %`."""
    if math.isnan(detectable):
        return wording.NOTHING
    return "none" if math.isinf(detectable) else worse_by(1 + detectable).lstrip("+")


def regression(row: Row) -> str:
    """Return what was found, and how surely."""
    sure = f"adjusted p {p_value(row.p_adjusted)}, {wording.rounds(row.rounds)}"
    return f"{change(row)} (cost {interval(row)}; {sure})"


def improvement(row: Row) -> str:
    """Return what became better."""
    return f"{change(row)} (cost {interval(row)}; {wording.rounds(row.rounds)})"


def passed(row: Row, screened: bool, rules: Rules) -> str:
    """Return what a pass rests on; where something was seen that does not suffice, what it lacked."""
    minimum = 1 + rules.minimum_effects[row.metric]
    found = f"a slowdown of {smallest(row.detectable)} would have been found four times out of five"
    if screened:
        return f"nothing looks slower after {wording.rounds(row.rounds)}; {found}"
    if row.p_adjusted <= rules.alpha:
        return f"{change(row)}, which is below the {size(minimum)} that matter"
    if row.ratio >= minimum:
        return f"{worse_by(row.ratio)} may well be noise (adjusted p {p_value(row.p_adjusted)}); {found}"
    return f"no slowdown to be told from noise; {found}"


def blind(row: Row, rules: Rules) -> str:
    """Return why nothing seen means little."""
    target = f"the gate is meant to find {size(1 + rules.targets[row.metric])}"
    if not row.rounds or not math.isfinite(row.detectable):
        return f"{wording.rounds(row.rounds)} can't show a slowdown of any size at this level; {target}"
    return f"too noisy here: only a slowdown of {smallest(row.detectable)} or more would have been found; {target}"


def figure_missing(row: Row, used: int) -> str:
    """Return why a row can't be judged."""
    return f"the figure could be had in {row.rounds} of {wording.rounds(used)} only"


def stopped(used: int, rules: Rules) -> str:
    """Return why rounds that are there are not decided on."""
    return f"the gate ended after {used} usable of {wording.rounds(rules.last_look)}, before it could decide"


def failed_once(failed: Sequence[GateRound], used: int) -> str:
    """Return how often head's server failed, which may be chance."""
    of = wording.rounds(used + len(failed))
    return f"head's server failed in {len(failed)} of {of}, base's in none of these: {failed[-1].head.failure}"
