"""What became of each round of a gate: which can be used, which server failed, and what the usable ones say.

A round is used whole or not at all, since only its two arms next to each other cancel what the machine did:

* *redone*: the machine disturbed it, seen in what knows nothing of the arms (steal, pauses). It tells nothing, not
  even when a server failed in it. A round is never left out for the value that it gave. Disturbances come in bursts,
  so one is waited out: a quarter of the last look's rounds may be lost to it before the machine is given up.
* *harness failed*: the measuring went wrong, whatever the arm. It counts as unusable too.
* *head failed*: head's server did not start, died or echoed wrongly, and base's did not. Evidence against head, but
  once may be chance (a port taken, memory short): **broken** is who fails in two rounds in a row, or so often more
  than base that tossing a coin for the arm would hardly do it (the sign test at the gate's level).
* *base failed*: there is nothing to compare with; twice in a row ends the scenario.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from analysis import wording
from analysis.gate.decision import Pair, Rules, Verdict
from harness.schema.gate import GateRound, Metric, Slot

# A ratio beyond this says only "far off": the infinite p99 of a server that stopped answering has a finite rank.
FARTHEST = math.log(1000)
IN_A_ROW = 2


class Fate(StrEnum):
    """What a round is good for."""

    USABLE = "usable"
    REDONE = "redone"
    HARNESS_FAILED = "harness failed"
    HEAD_FAILED = "head failed"
    BASE_FAILED = "base failed"


# Rounds that tell nothing of head. Those in which it failed are none of them: they speak against it.
SPOILT = frozenset({Fate.REDONE, Fate.HARNESS_FAILED, Fate.BASE_FAILED})


@dataclass(frozen=True)
class End:
    """A verdict on a scenario that no figure can change, with its reason."""

    verdict: Verdict
    reason: str


def fate(gate_round: GateRound) -> Fate:
    """Return what a round is good for."""
    if gate_round.redo is not None:
        return Fate.REDONE
    faults = gate_round.base.fault_of, gate_round.head.fault_of
    if "harness" in faults:
        return Fate.HARNESS_FAILED
    if gate_round.base.fault_of:
        return Fate.BASE_FAILED
    return Fate.HEAD_FAILED if gate_round.head.fault_of else Fate.USABLE


def usable(rounds: Sequence[GateRound]) -> list[GateRound]:
    """Return the rounds that the arms can be compared in."""
    return [each for each in rounds if fate(each) is Fate.USABLE]


def up_to(rounds: Sequence[GateRound], count: int) -> Sequence[GateRound]:
    """Return the rounds until `count` of them are usable; all where there are not as many."""
    seen = 0
    for index, each in enumerate(rounds, start=1):
        seen += fate(each) is Fate.USABLE
        if seen == count:
            return rounds[:index]
    return rounds


def failures_of_head(rounds: Sequence[GateRound]) -> list[GateRound]:
    """Return the rounds in which head's server failed and base's did not."""
    return [each for each in rounds if fate(each) is Fate.HEAD_FAILED]


def early_end(rounds: Sequence[GateRound], rules: Rules) -> End | None:
    """Return the verdict that failures alone lead to, or None while the figures may decide."""
    fates = [fate(each) for each in rounds]
    counts = Counter(fates)
    run = min(IN_A_ROW, rules.last_look)
    if _repeats(fates, Fate.HEAD_FAILED, run) or _by_sign(counts, rules.alpha):
        return End(Verdict.BROKEN, _broken(rounds))
    if _repeats(fates, Fate.BASE_FAILED, run):
        last = [each for each in rounds if fate(each) is Fate.BASE_FAILED][-1]
        both = "; head's fails too" if last.head.failure else ""
        return End(Verdict.INVALID, f"nothing to compare with: base's server fails: {last.base.failure}{both}")
    spoilt = sum(counts[each] for each in SPOILT)
    failed = spoilt - counts[Fate.REDONE]
    if spoilt > rules.spoilt_allowed(len(rounds), rules.last_look) or failed > rules.spoilt_allowed(
        len(rounds), rules.first_look
    ):
        return End(Verdict.INVALID, _spoilt(rounds, spoilt))
    return None


def disturbed(rounds: Sequence[GateRound], rules: Rules) -> bool:
    """Tell whether more of these rounds can't be used than a look may rest on; the rounds of the last look may do."""
    return sum(fate(each) in SPOILT for each in rounds) > rules.tolerated_share * len(rounds)


def _repeats(fates: Sequence[Fate], which: Fate, run: int) -> bool:
    """Tell whether a fate came `run` times in a row; rounds that the machine or the harness spoilt are passed over."""
    telling = [each for each in fates if each not in {Fate.REDONE, Fate.HARNESS_FAILED}]
    return any(all(each is which for each in telling[i : i + run]) for i in range(len(telling) - run + 1))


def _by_sign(counts: Counter[Fate], alpha: float) -> bool:
    """Tell whether head's server failed so often and base's so rarely that a fair coin would do it at most at alpha."""
    head, total = counts[Fate.HEAD_FAILED], counts[Fate.HEAD_FAILED] + counts[Fate.BASE_FAILED]
    return total > 0 and sum(math.comb(total, i) for i in range(head, total + 1)) / 2**total <= alpha


def _broken(rounds: Sequence[GateRound]) -> str:
    failed = failures_of_head(rounds)
    telling = len(failed) + len(usable(rounds))
    return (
        f"head's server failed in {len(failed)} of {wording.rounds(telling)}, base's did not: {failed[-1].head.failure}"
    )


def _spoilt(rounds: Sequence[GateRound], spoilt: int) -> str:
    reasons = Counter(why for each in rounds if fate(each) in SPOILT and (why := _why_spoilt(each)))
    commonest = wording.listing([f"{why} ({count} of them)" for why, count in reasons.most_common(3)])
    return f"{spoilt} of {wording.rounds(len(rounds))} can't be used: {commonest}"


def _why_spoilt(each: GateRound) -> str | None:
    return each.redo or each.base.failure or each.head.failure


def pairs(rounds: Sequence[GateRound], metric: Metric) -> tuple[Pair, ...]:
    """Return a metric of the usable rounds that have it in both arms, as costs of head over base."""
    found = []
    for each in usable(rounds):
        base, head = _figure(each.base, metric), _figure(each.head, metric)
        log_ratio = _log(head) - _log(base)
        if not math.isnan(log_ratio):
            cost = -log_ratio if metric is Metric.THROUGHPUT else log_ratio
            found.append(Pair(each.number, each.first, base, head, max(-FARTHEST, min(FARTHEST, cost))))
    return tuple(found)


def limited_share(rounds: Sequence[GateRound], base_too: bool) -> float:
    """Return the share of usable rounds in which the load generator limited base, or else head alone (0 to 1)."""
    used = usable(rounds)
    limited = [
        each.base.generator_limited if base_too else each.head.generator_limited and not each.base.generator_limited
        for each in used
    ]
    return sum(limited) / len(used) if used else 0.0


def _figure(slot: Slot, metric: Metric) -> float:
    return slot.figures.get(metric, math.nan)


def _log(figure: float) -> float:
    """Return the logarithm; NaN for what is no cost (none, zero, negative). Infinite minus infinite is NaN as well."""
    return math.log(figure) if figure > 0 else math.nan
