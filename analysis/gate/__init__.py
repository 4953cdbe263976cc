"""Is head slower than base? From rounds to "go on" or a decision: pure, no clock, no files.

The sample is the round: a slot of each arm, back to back, so that what the machine does to a round it does to both.
Per scenario and metric, d = ln(cost of head / cost of base) of each round gives the Hodges-Lehmann estimate with its
interval and the exact one-sided signed-rank p (`analysis.stats`). When the code is the same the arms are exchangeable
within a round, in random order even if the second slot is always the slower one, so that d is symmetrical around 0
and p is exact, whatever the noise looks like and however the machine drifts from round to round.

**Two looks, one of which can fail.** After `first_look` usable rounds a scenario stops when none of its gated metrics
has p <= `screening_p`: not slower. Else it goes on to `last_look` rounds and is decided once, on all of them. Looking
after every round instead, and failing at the first p <= alpha, would raise false alarms fivefold. Here a false alarm
must have p <= alpha at the last look, whatever the first one said, so its rate stays at most alpha.

**Several metrics.** Holm's adjustment over all gated rows of all scenarios; rows that stopped at the first look, or
that can't be judged, count with p = 1. So the chance that a gate of identical code fails by any of its figures is at
most alpha, however many rows it has.

**A row** is, in this order,

* BROKEN or INVALID with its scenario, when servers failed or too many rounds are unusable (`analysis.gate.rounds`);
* INVALID when more than the tolerated share of its rounds lack the figure;
* INCONCLUSIVE when the rounds are not all there (a gate that was stopped): the end must not depend on what is seen;
* REGRESSION when the adjusted p <= alpha *and* the estimate is at least the minimum effect: certain and large enough
  to matter. A throughput that would be one is INVALID when the load generator was head's limit and not base's: head's
  throughput is then only a lower bound;
* INCONCLUSIVE when head's server failed even once where base's did not;
* IMPROVEMENT by the same rule at the other end; it is shown, and counts as a pass;
* INCONCLUSIVE when the smallest effect that this gate would have found (`analysis.gate.power`) is worse than the
  target: nothing was seen, but little could have been;
* PASS.

Throughput is not gated in a scenario where the load generator limited base: it would measure the load generator. The
flag is base's alone, so that the choice can't depend on what head did.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis import stats
from analysis.gate import notes as gate_notes
from analysis.gate import power as gate_power
from analysis.gate import reasons as gate_reasons
from analysis.gate.decision import Decision, Pair, Row, Rules, ScenarioDecision, Verdict, read_rules, worst
from analysis.gate.rounds import (
    End,
    Fate,
    disturbed,
    early_end,
    failures_of_head,
    fate,
    limited_share,
    pairs,
    up_to,
    usable,
)
from harness.schema.gate import GateRecord, GateRound, Metric, Step

__all__ = ["Decision", "Rules", "Verdict", "decide", "decide_record", "holm", "wants_more"]


def wants_more(rounds: Sequence[GateRound], rules: Rules) -> Step:
    """Return whether a scenario needs another round, and why, from its rounds so far."""
    end = early_end(rounds, rules)
    if end is not None:
        return Step(False, end.reason)
    used = len(usable(rounds))
    if used >= rules.last_look:
        return Step(False, f"all {rules.last_look} rounds are measured")
    if used < rules.first_look:
        return Step(True, f"{used} of the {rules.first_look} rounds of the first look")
    if screened_out(rounds, rules):
        return Step(False, f"nothing looks slower after {rules.first_look} rounds")
    first_look = up_to(rounds, rules.first_look)
    why = "the machine disturbed the first look" if disturbed(first_look, rules) else "something may be slower"
    return Step(True, f"{why}: {used} of {rules.last_look} rounds")


def screened_out(rounds: Sequence[GateRound], rules: Rules) -> bool:
    """Tell whether a scenario stops at the first look: all of it is there, and no gated metric looks slower.

    A failure of head's server keeps the scenario going, for more rounds tell whether it was chance; and so does a first
    look that the machine disturbed.
    """
    rounds = up_to(rounds, rules.first_look)
    only_look = rules.first_look == rules.last_look
    if only_look or len(usable(rounds)) < rules.first_look or failures_of_head(rounds) or disturbed(rounds, rules):
        return False
    found = [pairs(rounds, metric) for metric in rules.gated if _why_not_gated(rounds, metric, rules) is None]
    return all(_p(each).p_greater > rules.screening_p for each in found)


def decide_record(record: GateRecord) -> Decision:
    """Decide a stored gate again, by its own rules; raises ValueError where its settings hold none."""
    try:
        rules = read_rules(record.settings["rules"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"the record's settings hold no rules to decide by: {error}") from error
    return decide(record.rounds, rules, record.not_compared)


def decide(
    scenarios: Mapping[str, Sequence[GateRound]], rules: Rules, not_compared: Mapping[str, str] | None = None
) -> Decision:
    """Decide on all rounds of all scenarios: a row for each scenario and metric, and the gravest verdict of all."""
    found = {name: _evidence(rounds, rules) for name, rounds in scenarios.items()}
    rows = {name: [_row(name, metric, evidence, rules) for metric in Metric] for name, evidence in found.items()}
    family = _family([row for own in rows.values() for row in own], found)
    decided = [
        _scenario(name, evidence, [_judged(row, evidence, family, rules) for row in rows[name]], len(scenarios[name]))
        for name, evidence in found.items()
    ]
    return Decision(worst([each.verdict for each in decided]), tuple(decided), rules, dict(not_compared or {}))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: each true family-wise error rate is at most its value."""
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = reached
    return adjusted


@dataclass(frozen=True)
class _Evidence:
    """A scenario before its rows are judged: the rounds that count, and how it got there."""

    rounds: Sequence[GateRound]
    end: End | None
    screened: bool
    complete: bool
    head_limited: bool


@dataclass(frozen=True)
class _Family:
    """All gated rows together: Holm's p for slower and for faster by (scenario, metric)."""

    slower: Mapping[tuple[str, Metric], float]
    faster: Mapping[tuple[str, Metric], float]

    @property
    def size(self) -> int:
        return max(1, len(self.slower))


def _evidence(rounds: Sequence[GateRound], rules: Rules) -> _Evidence:
    end = early_end(rounds, rules)
    screened = end is None and screened_out(rounds, rules)
    counted = up_to(rounds, rules.first_look if screened else rules.last_look)
    complete = screened or len(usable(counted)) >= rules.last_look
    head_limited = limited_share(counted, base_too=False) > rules.tolerated_share
    return _Evidence(counted, end, screened, complete, head_limited)


def _why_not_gated(rounds: Sequence[GateRound], metric: Metric, rules: Rules) -> str | None:
    if metric not in rules.gated:
        return gate_reasons.SHOWN_ONLY
    if metric is Metric.THROUGHPUT and limited_share(rounds, base_too=True) > rules.tolerated_share:
        return gate_reasons.GENERATOR_LIMITED_BASE
    return None


def _p(found: Sequence[Pair]) -> stats.SignedRank:
    """Return the signed-rank test of some pairs; without any, nothing speaks against equality."""
    return stats.signed_rank([each.log_ratio for each in found] or [0.0])


def _row(name: str, metric: Metric, evidence: _Evidence, rules: Rules) -> Row:
    """Return a row with its figures, not yet judged: that takes the rows of all scenarios."""
    found = pairs(evidence.rounds, metric)
    why_not = _why_not_gated(evidence.rounds, metric, rules)
    row = Row(
        scenario=name,
        metric=metric,
        gated=why_not is None,
        verdict=None,
        reason=why_not or "",
        rounds=len(found),
        base=_median([each.base for each in found]),
        head=_median([each.head for each in found]),
        **dict.fromkeys(("ratio", "low", "high", "coverage", "p", "p_adjusted", "detectable"), math.nan),
        pairs=found,
    )
    if not found:
        return row
    center = stats.center([each.log_ratio for each in found])
    return replace(
        row,
        ratio=math.exp(center.value),
        low=math.exp(center.interval.low),
        high=math.exp(center.interval.high),
        coverage=center.interval.coverage,
        p=_p(found).p_greater,
    )


def _family(rows: Sequence[Row], found: Mapping[str, _Evidence]) -> _Family:
    """Adjust the p-values of all gated rows; where no look could fail, p is 1."""
    gated = [row for row in rows if row.gated]
    keys = [(row.scenario, row.metric) for row in gated]
    tests = [_p(row.pairs) for row in gated]
    judged = [found[row.scenario].end is None and found[row.scenario].complete for row in gated]
    failing = [whole and not found[row.scenario].screened for row, whole in zip(gated, judged, strict=True)]
    slower = holm([test.p_greater if may else 1.0 for test, may in zip(tests, failing, strict=True)])
    faster = holm([test.p_less if may else 1.0 for test, may in zip(tests, judged, strict=True)])
    return _Family(dict(zip(keys, slower, strict=True)), dict(zip(keys, faster, strict=True)))


def _judged(row: Row, evidence: _Evidence, family: _Family, rules: Rules) -> Row:
    """Return a row with its verdict, its reason, and what it would have found."""
    row = replace(row, detectable=_detectable(row, evidence, family.size, rules))
    if not row.gated:
        return row
    key = row.scenario, row.metric
    row = replace(row, p_adjusted=family.slower[key])
    verdict, reason = next(_verdicts(row, evidence, family.faster[key], rules))
    return replace(row, verdict=verdict, reason=reason)


def _verdicts(row: Row, evidence: _Evidence, p_faster: float, rules: Rules) -> Iterator[tuple[Verdict, str]]:
    """Yield the verdicts that apply to a gated row; the first one counts."""
    minimum = 1 + rules.minimum_effects[row.metric]
    used = len(usable(evidence.rounds))
    if evidence.end is not None:
        yield evidence.end.verdict, evidence.end.reason
    if used - row.rounds > rules.tolerated_share * used:
        yield Verdict.INVALID, gate_reasons.figure_missing(row, used)
    if not evidence.complete:
        yield Verdict.INCONCLUSIVE, gate_reasons.stopped(used, rules)
    if row.p_adjusted <= rules.alpha and row.ratio >= minimum:
        if row.metric is Metric.THROUGHPUT and evidence.head_limited:
            yield Verdict.INVALID, gate_reasons.GENERATOR_LIMITED_HEAD
        yield Verdict.REGRESSION, gate_reasons.regression(row)
    if failed := failures_of_head(evidence.rounds):
        yield Verdict.INCONCLUSIVE, gate_reasons.failed_once(failed, used)
    if p_faster <= rules.alpha and row.ratio <= 1 / minimum:
        yield Verdict.IMPROVEMENT, gate_reasons.improvement(row)
    if not row.detectable <= rules.targets[row.metric]:
        yield Verdict.INCONCLUSIVE, gate_reasons.blind(row, rules)
    yield Verdict.PASS, gate_reasons.passed(row, evidence.screened, rules)


def _detectable(row: Row, evidence: _Evidence, family_size: int, rules: Rules) -> float:
    """Return the smallest effect that the plan finds, or for a gate that was stopped, one look at what is there."""
    used = len(usable(evidence.rounds))
    if not row.rounds:
        return math.nan
    missing = used - row.rounds
    first, last = (rules.first_look, rules.last_look) if evidence.complete else (used, used)
    looks = gate_power.Looks(
        first=first - missing,
        screening_p=rules.screening_p,
        last=last - missing,
        alpha=rules.alpha / family_size,
        minimum_effect=rules.minimum_effects[row.metric],
    )
    return gate_power.detectable_effect(gate_power.spread([each.log_ratio for each in row.pairs]), looks)


def _scenario(name: str, evidence: _Evidence, rows: Sequence[Row], measured: int) -> ScenarioDecision:
    verdicts = [row.verdict for row in rows if row.verdict is not None]
    verdict = evidence.end.verdict if evidence.end else worst(verdicts)
    deciding = next((row.reason for row in rows if row.verdict is verdict), gate_reasons.NOTHING_GATED)
    return ScenarioDecision(
        name=name,
        verdict=verdict,
        reason=evidence.end.reason if evidence.end else deciding,
        measured=measured,
        used=len(usable(evidence.rounds)),
        redone=sum(fate(each) is Fate.REDONE for each in evidence.rounds),
        screened=evidence.screened,
        rows=tuple(row for row in rows if row.gated or row.rounds),
        notes=tuple(gate_notes.notes(evidence.rounds, rows)),
    )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan
