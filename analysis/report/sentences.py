"""The summary: only sentences that the data carries.

One model is said to be ahead of another only where their interval excludes a tie; a bound is called a bound; a model
whose answers are in doubt is never praised without its doubt. Every sentence names its load, and the lead of each
condition names machine, transport, payload, connections, the server's CPUs and the number of rounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from analysis import ranking, stats, wording
from analysis.ranking import ROUNDS_TO_RANK, Doubts, Ranking, Standing, Status
from analysis.report import leaderboard
from analysis.stats import COVERAGE, Estimate
from analysis.views import ConditionView, WindowView
from harness.schema import LimitedBy, sweep_fraction


def machine(document: Mapping[str, Any]) -> str:
    """Return the machine in words, as far as the run's environment tells."""
    environment = document.get("environment")
    known = environment if isinstance(environment, dict) else {}
    cpu = known.get("cpu")
    parts = []
    if isinstance(cpu, dict):
        count = cpu.get("count")
        parts = [str(cpu.get("model") or "CPU unknown"), wording.plural(count, "CPU") if isinstance(count, int) else ""]
    parts += [str(known.get("kernel") or ""), "virtual" if known.get("virtualisation") else ""]
    python = known.get("python")
    parts.append(f"Python {python}" if python else "")
    return ", ".join(part for part in parts if part) or "a machine that the run does not describe"


def summary(view: ConditionView) -> tuple[str, ...]:
    """Return what can be said of a condition, one or more sentences an item; the label goes before them."""
    items: list[str] = []
    if view.closed:
        items.extend(throughput(view, view.closed[0]))
    for window in view.open[:1]:
        items.extend(response(view, window))
    items.extend(swept(view))
    items.extend(memory(view))
    items.extend(warned(view.windows))
    items.extend(doubtful(view))
    items.extend(failed(view))
    if not view.windows:
        items.append("No window was measured.")
    return tuple(items)


def throughput(view: ConditionView, window: WindowView) -> Iterator[str]:
    """Say who answers the most under closed load, how far the others are behind, and who has no place."""
    ranks = view.rank(window, ranking.THROUGHPUT)
    yield from _top(ranks, window)
    yield from _behind(view, ranks, window)
    for standing in ranks.standings:
        if standing.status is Status.BOUND and standing.figure is not None:
            may = " (it may well be the fastest)" if may_lead(ranks, standing) else ""
            yield (
                f"{standing.model} reached at least {wording.number(standing.figure.value)} replies/s; there the load "
                f"generator was the limit, so it is not ranked{may}."
            )
        if standing.status is Status.UNANSWERED:
            yield f"{standing.model} left more than 1 % of its requests unanswered in some round and is not ranked."
        if standing.status is Status.ZERO:
            yield f"{standing.model} answered nothing in some round and is not ranked."
    few = [standing.model for standing in ranks.standings if standing.status is Status.FEW_ROUNDS]
    if few:
        yield (
            f"{wording.listing(few)} {'has' if len(few) == 1 else 'have'} no rank: fewer than {ROUNDS_TO_RANK} rounds "
            "tell nothing of how far away the next one would lie."
        )


def _top(ranks: Ranking, window: WindowView) -> Iterator[str]:
    """Say who answers the most, or that nobody can be said to."""
    ranked = [standing for standing in ranks.standings if standing.status is Status.RANKED]
    if not ranked or ranks.leader is None:
        return
    leader = ranked[0]
    tied = [standing for standing in ranked[1:] if not ranks.ahead(leader.model, standing.model)]
    names = [f"{standing.model} ({figure(standing)}{doubt(window, standing)})" for standing in (leader, *tied)]
    if tied:
        yield f"Under closed load it cannot be said which is the fastest: {wording.listing(names, 'or')}."
    elif len(ranked) > 1:
        among = " of the ranked models" if len(ranked) < len(ranks.standings) else ""
        yield f"Under closed load {names[0]} answers the most{among}; it is {limits(window, leader.model)}."
    else:
        yield f"Under closed load {names[0]} is the only model with a rank; it is {limits(window, leader.model)}."


def _behind(view: ConditionView, ranks: Ranking, window: WindowView) -> Iterator[str]:
    """Say by how much the leader is ahead of those who are clearly behind, and at what CPU time."""
    leader = ranks.leader
    if leader is None:
        return
    costs = view.rank(window, ranking.CPU)
    for standing in ranks.standings:
        if standing.status is Status.RANKED and ranks.ahead(leader, standing.model):
            pair = ranks.pairs[leader, standing.model]
            times = f"{wording.ratio(pair.value)} times what {standing.model} does {between(pair)}"
            yield f"{leader} answers {times}{cost(costs, leader, standing.model)}."


def cost(costs: Ranking, model: str, other: str) -> str:
    """Return at what part of another model's CPU time per request one answers, as the end of a sentence."""
    pair = costs.pairs.get((model, other))
    if pair is None or pair.samples < ROUNDS_TO_RANK:
        return ""
    if pair.interval.holds(1):
        return ", at a CPU time per request that cannot be told apart"
    return f", at {wording.ratio(pair.value)} of the CPU time per request {between(pair)}"


def response(view: ConditionView, window: WindowView) -> Iterator[str]:
    """Say who has the lowest p99 of response time under open load, or that nobody can be said to."""
    ranks = view.rank(window, ranking.RESPONSE_P99)
    ranked = [standing for standing in ranks.standings if standing.status is Status.RANKED]
    load = wording.load(window.load)
    if len(ranked) > 1 and ranks.leader is not None:
        first = [standing for standing in ranked if not ranks.ahead(ranks.leader, standing.model)]
        named = [f"{standing.model} ({milliseconds(standing)}{doubt(window, standing)})" for standing in first]
        names = wording.listing(named, "or")
        among = " of the ranked models" if len(ranked) < len(ranks.standings) else ""
        if len(first) == 1:
            yield f"Under {load}, {names} has the lowest p99 of response time{among}."
        else:
            yield f"Under {load}, it cannot be said which has the lowest p99 of response time: {names}."
    for standing in ranks.standings:
        if standing.status is Status.BOUND:
            yield f"Under {load} the load generator limited {standing.model}: its times are upper bounds, not ranked."
        if standing.status is Status.UNANSWERED and standing.figure is not None:
            words = wording.milliseconds(standing.figure.value, float(window.rows["timeout_s"].max()))
            unit = "" if math.isinf(standing.figure.value) else " ms"
            yield f"Under {load} {standing.model} has no rank: with what it left unanswered its p99 is {words}{unit}."


def swept(view: ConditionView) -> Iterator[str]:
    """Say of each sweep how far p99 of response time goes from its first step to its last."""
    for steps in view.sweeps:
        first, last = steps[0], steps[-1]
        ends = {model: (_p99(first, model), _p99(last, model)) for model in view.models}
        parts = [f"from {low} to {high} ({model})" for model, (low, high) in ends.items() if low and high]
        if parts and first is not last:
            shares = [wording.percent(sweep_fraction(step.step, step.of)) for step in (first, last)]
            yield (
                f"Between {shares[0]} and {shares[1]} of its own capacity, each model at rates of its own, p99 of "
                f"response time goes {wording.listing(parts)}."
            )


def _p99(window: WindowView, model: str) -> str:
    """Return a model's p99 over rounds with its unit, a bound said to be one; empty where there is none."""
    rows = window.rows[window.rows["model"] == model]
    values = [float(value) for value in rows[ranking.RESPONSE_P99.column].dropna()]
    if not values:
        return ""
    middle = stats.median(values).value
    words = wording.milliseconds(middle, float(rows["timeout_s"].max()))
    if math.isinf(middle):
        return words
    bound = bool((rows["limited_by"] == LimitedBy.GENERATOR).any())
    return f"{'at most ' if bound else ''}{words} ms"


def memory(view: ConditionView) -> Iterator[str]:
    """Say from what to what the memory of a connection goes, where the rounds tell these models apart."""
    cells = view.cells[view.cells["outcome"] == "measured"]
    values = {model: ranking.by_round(cells, model, "bytes_per_connection") for model in view.models}
    usable = {m: v for m, v in values.items() if len(v) >= ROUNDS_TO_RANK and min(v.values()) > 0}
    if len(usable) < 2:
        return
    middles = {model: stats.median(list(found.values())).value for model, found in usable.items()}
    least, most = min(middles, key=lambda m: middles[m]), max(middles, key=lambda m: middles[m])
    pair = ranking.compare(usable).get((most, least))
    if pair is not None and pair.interval.low > 1:
        yield (
            f"A connection takes from {_kilobytes(middles[least])} ({least}) to {_kilobytes(middles[most])} ({most}) "
            "of the server's memory."
        )


def warned(windows: Iterable[WindowView]) -> Iterator[str]:
    """Say how many windows have which warning, so that nobody reads the sentences above without them."""
    found = [set(kinds) for window in windows for kinds in window.rows["warnings"]]
    counts = Counter(kind for kinds in found for kind in kinds)
    if counts:
        kinds = [f"{wording.warning_word(kind)} in {count}" for kind, count in counts.most_common()]
        yield f"Of {wording.plural(len(found), 'window')}, {sum(map(bool, found))} have warnings: {', '.join(kinds)}."


def doubtful(view: ConditionView) -> Iterator[str]:
    """Say whose answers are in doubt, whatever their figures look like."""
    for model in view.models:
        for window in view.windows:
            found = ranking.doubts(window.rows, model)
            if found.serious:
                yield f"Doubt: {model}, {window.words}: {_serious(found)}."


def _serious(found: Doubts) -> str:
    parts = []
    for kind in found.serious:
        words = f"{wording.warning_word(kind)} in {found.warnings[kind]} of {wording.rounds(found.rounds)}"
        if kind == "unanswered" and found.requests:
            share = wording.percent(found.unanswered / found.requests, 2)
            words = f"{found.unanswered:,} of {found.requests:,} requests unanswered ({share})"
        elif kind == "errors":
            words = wording.plural(found.errors, "error")
        parts.append(words)
    return wording.listing(parts)


def failed(view: ConditionView) -> Iterator[str]:
    """Say which models failed in how many of their rounds, and why."""
    for model in view.models:
        cells = view.cells[view.cells["model"] == model]
        broken = cells[cells["outcome"] != "measured"]
        if len(broken):
            yield wording.failed(model, len(broken), len(cells), broken["failure"].iloc[0])


def pairing(view: ConditionView) -> str:
    """Return what the intervals of a condition are worth, in a sentence; empty when nothing was measured."""
    if not view.windows:
        return ""
    text = f"Figures are medians over rounds with {leaderboard.kinds(view)}"
    pairs = [pair for ranks in view.rankings.values() for pair in ranks.pairs.values()]
    fewest = min((pair for pair in pairs if pair.samples >= ROUNDS_TO_RANK), key=lambda p: p.samples, default=None)
    if fewest is None:
        return text + "."
    return f"{text}; ratios are {worth(fewest)}."


def worth(ratio: Estimate) -> str:
    """Return what the interval of a ratio is worth: how often it tells apart by chance what is equal."""
    text = f"of paired rounds, with the {wording.coverage_name(ratio)}"
    if ratio.interval.coverage >= COVERAGE:
        return text
    odds = round(1 / (1 - ratio.interval.coverage))
    return (
        f"{text}, the widest that so few rounds have: of pairs of models that are in truth equal, one in {odds} would "
        "be told apart by chance"
    )


def may_lead(ranks: Ranking, standing: Standing) -> bool:
    """Tell whether a lower bound is above the leader's figure already."""
    leader = None if ranks.leader is None else ranks.of(ranks.leader).figure
    return leader is not None and standing.figure is not None and standing.figure.value > leader.value


def limits(window: WindowView, model: str) -> str:
    """Return what limited a model in the rounds of a window: `limited by the server`."""
    found = ranking.doubts(window.rows, model)
    words = {wording.VERDICT_PHRASES.get(kind, kind): count for kind, count in found.verdicts.items()}
    return "limited by " + wording.tally(words, found.rounds)


def figure(standing: Standing) -> str:
    """Return the throughput of a standing that has one, with its interval."""
    assert standing.figure is not None  # a ranked standing has one
    return f"{wording.number(standing.figure.value)} replies/s, {_spread(standing.figure, wording.number)}"


def milliseconds(standing: Standing) -> str:
    """Return the time of a standing that has one, with its interval."""
    assert standing.figure is not None  # a ranked standing has one
    return f"{wording.milliseconds(standing.figure.value)} ms, {_spread(standing.figure, wording.milliseconds)}"


def doubt(window: WindowView, standing: Standing) -> str:
    """Return a remark where a model's answers are in doubt, to stand beside its figure; else nothing."""
    return ", in doubt, see below" if ranking.doubts(window.rows, standing.model).serious else ""


def _spread(figure: Estimate, words: Callable[[float], str]) -> str:
    return wording.span(words(figure.interval.low), words(figure.interval.high))


def between(pair: Estimate) -> str:
    """Return the interval of a ratio, in brackets."""
    return f"({wording.span(wording.ratio(pair.interval.low), wording.ratio(pair.interval.high))})"


def _kilobytes(value_bytes: float) -> str:
    return f"{wording.number(value_bytes / 1e3)} kB"
