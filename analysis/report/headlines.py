"""The summary of a condition in a few sentences: who answers the most, by how much, at what cost, limited by what.

They are made of the same rankings as everything else, so what a ranking does not carry is not said: nobody leads across
a tie, what the load generator limited has no place, and a model that leaves requests unanswered is told with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis import ranking, wording
from analysis.ranking import ROUNDS_TO_RANK, Ranking, Standing, Status
from analysis.report import sentences
from analysis.report.sentences import between, figure
from analysis.views import ConditionView, WindowView


def headline(view: ConditionView) -> str:
    """Return what decides between the models of a condition, or why nothing does."""
    said: list[str] = []
    if view.closed:
        said += _capacity(view, view.closed[0])
    elif view.windows:
        said.append("No closed load was measured, so nobody is ranked by throughput.")
    for window in view.open[:1]:
        said += _response(view, window)
    said += _doubts(view)
    said += _failed(view)
    return " ".join(said if view.windows else ["No window was measured.", *said])


def _capacity(view: ConditionView, window: WindowView) -> Iterator[str]:
    ranks = view.rank(window, ranking.THROUGHPUT)
    ranked = [standing for standing in ranks.standings if standing.status is Status.RANKED]
    bounds = [standing for standing in ranks.standings if standing.status is Status.BOUND]
    limit = _limit(bounds)
    unknown = any(sentences.may_lead(ranks, each) for each in bounds)
    if unknown:
        yield f"Under closed load it is not known who answers the most: {limit}."
    if len(ranked) > 1:
        yield from _lead(view, window, ranks, ranked)
    elif ranked:
        name = f"{ranked[0].model} ({figure(ranked[0])})"
        yield f"Under closed load {name} is the only model with a place, {sentences.limits(window, ranked[0].model)}."
    elif any(standing.status is Status.FEW_ROUNDS for standing in ranks.standings):
        yield f"Nobody has a place: fewer than {ROUNDS_TO_RANK} rounds tell nothing of how far apart the next would be."
    if bounds and not unknown:
        yield f"{limit[:1].upper()}{limit[1:]}, which {'has' if len(bounds) == 1 else 'have'} no place."


def _limit(bounds: Sequence[Standing]) -> str:
    reached = [
        f"{each.model} (at least {wording.number(each.figure.value)} replies/s)" for each in bounds if each.figure
    ]
    return f"the load generator was the limit of {wording.listing(reached)}"


def _lead(view: ConditionView, window: WindowView, ranks: Ranking, ranked: Sequence[Standing]) -> Iterator[str]:
    """Say who is ahead of the others, or between whom that cannot be said, and how far the others are behind."""
    leader = ranked[0]
    tied = [other for other in ranked[1:] if not ranks.ahead(leader.model, other.model)]
    behind = [other for other in ranked[1:] if ranks.ahead(leader.model, other.model)]
    limited = sentences.limits(window, leader.model)
    times = _times(view, window, ranks, behind)
    whole = len(ranked) == len(ranks.standings)
    where = "Under closed load" if whole else "Of those with a place under closed load,"
    if not tied:
        name = f"{leader.model} ({figure(leader)})"
        yield f"{where} {name} answers the most, {limited}: {times}."
        return
    names = wording.listing([f"{each.model} ({figure(each)})" for each in (leader, *tied)], "or")
    yield f"{where} it cannot be said which answers the most: {names}."
    if times:
        yield f"{leader.model}, {limited}, answers {times}."


def _times(view: ConditionView, window: WindowView, ranks: Ranking, behind: Sequence[Standing]) -> str:
    """Return how many times the leader answers what the next one does, at what cost, and what the last one does."""
    if not behind or ranks.leader is None:
        return ""
    leader, costs = ranks.leader, view.rank(window, ranking.CPU)
    pair = ranks.pairs[leader, behind[0].model]
    cost = sentences.cost(costs, leader, behind[0].model)
    text = f"{wording.ratio(pair.value)} times what {behind[0].model} does {between(pair)}{cost}"
    if len(behind) > 1:
        last = ranks.pairs[leader, behind[-1].model]
        text += f"; {wording.ratio(last.value)} times what {behind[-1].model} does {between(last)}"
    return text


def _response(view: ConditionView, window: WindowView) -> Iterator[str]:
    """Say who has the lowest p99 of response time under open load, or between whom that cannot be said."""
    ranks = view.rank(window, ranking.RESPONSE_P99)
    ranked = [standing for standing in ranks.standings if standing.status is Status.RANKED]
    load = wording.load(window.load)
    if len(ranked) < 2 or ranks.leader is None:
        return
    first = [each for each in ranked if not ranks.ahead(ranks.leader, each.model)]
    if len(first) == len(ranked):
        yield f"Under {load}, p99 of response time cannot be told apart."
    elif len(first) > 1:
        names = wording.listing([each.model for each in first], "or")
        yield f"Under {load}, the lowest p99 of response time is that of {names}: the rounds do not tell which."
    else:
        time = sentences.milliseconds(first[0])
        yield f"Under {load}, {first[0].model} has the lowest p99 of response time ({time})."


def _doubts(view: ConditionView) -> Iterator[str]:
    """Say whose answers are in doubt in any window: whatever stands before, it is not to be read without this."""
    for model in view.models:
        rows = [window.rows[window.rows["model"] == model] for window in view.windows]
        due, unanswered = (sum(int(own[column].sum()) for own in rows) for column in ("due", "unanswered"))
        kinds = {kind for own in rows for found in own["warnings"] for kind in found} & ranking.SERIOUS
        parts = [wording.warning_word(kind) for kind in sorted(kinds - {"unanswered"})]
        if unanswered:
            share = wording.percent(unanswered / due, 2) if due else "all"
            parts.insert(0, f"{share} of its requests unanswered{_placeless(view, model)}")
        if parts:
            yield f"In doubt: {model}, {wording.listing(parts)}."


def _placeless(view: ConditionView, model: str) -> str:
    drops = any(ranking.dropped(window.rows[window.rows["model"] == model]) for window in view.alone)
    return ", too many for a place" if drops else ""


def _failed(view: ConditionView) -> Iterator[str]:
    """Say who was not measured in every round; why stands with the ranking."""
    for model in view.models:
        own = view.cells[view.cells["model"] == model]
        failed = own[own["outcome"] != "measured"]
        if len(failed) and failed["failure"].str.startswith(wording.IMPOSSIBLE).all():
            yield f"{model} {wording.IMPOSSIBLE}."
        elif len(failed):
            yield f"{model} failed in {len(failed)} of {wording.rounds(len(own))}."
