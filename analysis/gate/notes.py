"""Doubts about a scenario that change no verdict: shown beside it, so that a reader can weigh it.

* *Drift*: the effect itself moves with the rounds (Spearman's rank correlation with the round's place, p < 0.01 by its
  normal approximation rho * sqrt(n - 1)). A common drift of both arms cancels; this one does not.
* *Order*: rounds that began with base and rounds that began with head say opposite things, both by the minimum effect
  or more, and more than their spreads explain: what is measured depends on who comes first.
* What the load generator, the harness or a server had to say in some rounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from analysis import stats, wording
from analysis.gate import power as gate_power
from analysis.gate.decision import Pair, Row
from analysis.gate.reasons import METRIC_NAMES, worse_by
from analysis.gate.rounds import Fate, failures_of_head, fate, limited_share, usable
from harness.schema.gate import Arm, GateRound, Slot

UNUSUAL = 2.576  # standard errors: two-sided p < 0.01
ENOUGH = 8  # rounds, for the normal approximations


def notes(rounds: Sequence[GateRound], rows: Sequence[Row]) -> Iterator[str]:
    """Yield the doubts about the rounds that a scenario was decided on, one sentence each."""
    yield from _spoilt(rounds)
    yield from _generator(rounds)
    for row in rows:
        if row.gated:
            yield from _drift(row)
            yield from _order(row)
            yield from _missing(row, len(usable(rounds)))
    yield from _warnings(rounds)


def spearman(values: Sequence[float]) -> float:
    """Return the rank correlation of values with their place (-1 to 1), ties sharing midranks; 0 without variation."""
    ordered = np.sort(values)
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    if len(values) < 2 or np.ptp(ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def _spoilt(rounds: Sequence[GateRound]) -> Iterator[str]:
    redone = Counter(each.redo for each in rounds if fate(each) is Fate.REDONE)
    for why, count in redone.items():
        yield f"{wording.rounds(count)} redone, both arms: {why}"
    failed = failures_of_head(rounds)
    if failed:
        yield f"head's server failed in {wording.rounds(len(failed))}: {failed[-1].head.failure}"
    for which, arm in ((Fate.BASE_FAILED, "base's server"), (Fate.HARNESS_FAILED, "the measuring")):
        own = [each for each in rounds if fate(each) is which]
        if own:
            yield f"{arm} failed in {wording.rounds(len(own))}: {own[-1].base.failure or own[-1].head.failure}"


def _generator(rounds: Sequence[GateRound]) -> Iterator[str]:
    for base_too, whom in ((True, "base"), (False, "head alone")):
        share = limited_share(rounds, base_too)
        if share:
            yield f"the load generator limited {whom} in {wording.percent(share)} of the rounds"


def _drift(row: Row) -> Iterator[str]:
    logs = [each.log_ratio for each in row.pairs]
    rho = spearman(logs)
    if len(logs) >= ENOUGH and abs(rho) * math.sqrt(len(logs) - 1) > UNUSUAL:
        half = len(logs) // 2
        early, late = (worse_by(math.exp(stats.hodges_lehmann(part))) for part in (logs[:half], logs[half:]))
        yield f"{METRIC_NAMES[row.metric]}: the effect drifts, from {early} in the first half to {late} in the second"


def _order(row: Row) -> Iterator[str]:
    by_first = {arm: [each for each in row.pairs if each.first is arm] for arm in Arm}
    if min(len(own) for own in by_first.values()) < ENOUGH // 2:
        return
    base_first, head_first = (_center(by_first[arm]) for arm in (Arm.BASE, Arm.HEAD))
    error = math.hypot(*(_error(own) for own in by_first.values()))
    if base_first * head_first < 0 and abs(base_first - head_first) > UNUSUAL * error:
        signs = f"{worse_by(math.exp(base_first))} when base ran first, {worse_by(math.exp(head_first))} when head did"
        yield f"{METRIC_NAMES[row.metric]}: the second slot of a round differs from the first: {signs}"


def _missing(row: Row, used: int) -> Iterator[str]:
    if row.rounds < used:
        yield f"{METRIC_NAMES[row.metric]} could be had in {row.rounds} of {wording.rounds(used)} only"


def _warnings(rounds: Sequence[GateRound]) -> Iterator[str]:
    used = usable(rounds)
    base, head = _kinds([each.base for each in used]), _kinds([each.head for each in used])
    if base or head:
        counts = [f"{kind} ({base[kind]} and {head[kind]})" for kind, _ in (base + head).most_common()]
        yield f"warnings, in how many of base's {len(used)} slots and of head's: {wording.listing(counts)}"


def _kinds(slots: Sequence[Slot]) -> Counter[str]:
    """Return in how many slots there was each kind of warning."""
    return Counter(kind for slot in slots for kind in {warning.partition(" (")[0] for warning in slot.warnings})


def _center(own: Sequence[Pair]) -> float:
    return stats.hodges_lehmann([each.log_ratio for each in own])


def _error(own: Sequence[Pair]) -> float:
    return gate_power.standard_error(gate_power.spread([each.log_ratio for each in own]), len(own), 0.0)
