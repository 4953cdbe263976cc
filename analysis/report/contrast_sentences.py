"""What can be said across conditions, and only that.

Who leads is said inside a condition, from its ranking: never where the rounds do not tell two contenders apart, and
never of one whose window the load generator limited. That an order *turns* is said of two contenders of which one is
ahead for certain in one condition, and the other one in another. How a contender changes from one condition to another
is the ratio of paired rounds; where its interval holds 1 that cannot be told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from analysis import contrasts, ranking, stats, wording
from analysis.contrasts import Measure, Point, Series
from analysis.ranking import ROUNDS_TO_RANK, Ranking, Standing, Status
from analysis.report import sentences
from harness.schema import parse_work


def work(point: Point) -> str:
    """Return the work of a request in words: `with 100 µs of CPU time and 5 ms of waiting a request`."""
    try:
        times = parse_work(str(point.scenario["work"]))
    except ValueError:
        return f"with work {point.words}"
    parts = [f"{times.cpu_ns / 1e3:g} µs of CPU time"] if times.cpu_ns else []
    parts += [f"{times.wait_ns / 1e6:g} ms of waiting"] if times.wait_ns else []
    return f"with {wording.listing(parts)} a request" if parts else "at pure echo"


def leads(point: Point, where: str) -> Iterator[str]:
    """Say who answers the most at a point, and how many times what the others do; or why that cannot be said."""
    if point.closed is None:
        yield _upper(f"{where}, nothing was measured under closed load.")
        return
    ranks = point.view.rank(point.closed, ranking.THROUGHPUT)
    ranked = [standing for standing in ranks.standings if standing.status is Status.RANKED]
    bounds = [standing for standing in ranks.standings if standing.status is Status.BOUND and standing.figure]
    if len(ranked) > 1:
        yield _upper(f"{where}, {_first(point, ranks, ranked, whole=len(ranked) == len(ranks.standings))}")
    elif ranked:
        yield _upper(f"{where}, {_named(point, ranked[0])} is the only one with a place.")
    if bounds:
        at_least = [f"{each.model} (at least {wording.number(each.figure.value)})" for each in bounds if each.figure]
        yield _upper(
            f"{where}, the load generator was the limit of {wording.listing(at_least)}: no place, and who leads all of "
            "them is not known."
        )


def _first(point: Point, ranks: Ranking, ranked: Sequence[Standing], whole: bool) -> str:
    first, others = ranked[0], ranked[1:]
    among = "" if whole else " those that have a place"
    tied = [other for other in others if not ranks.ahead(first.model, other.model)]
    if tied:
        names = wording.listing([_named(point, each) for each in (first, *tied)], "or")
        return f"it cannot be said which{among and ' of'}{among} leads: {names}."
    pairs = [(other.model, ranks.pairs[first.model, other.model]) for other in others]
    times = [f"{wording.ratio(pair.value)} times {name} {sentences.between(pair)}" for name, pair in pairs]
    return f"{_named(point, first)} leads{among}: {wording.listing(times)}."


def _named(point: Point, standing: Standing) -> str:
    assert point.closed is not None  # it has a ranking
    return f"{standing.model} ({sentences.figure(standing)}{sentences.doubt(point.closed, standing)})"


def turns(series: Series) -> tuple[str, ...]:
    """Return which contenders change places for certain between the points of a series, a sentence a pair."""
    ranked = [(point, point.view.rank(point.closed, ranking.THROUGHPUT)) for point in series.points if point.closed]
    found = []
    for one, other in itertools.combinations(series.models, 2):
        ahead = [point.words for point, ranks in ranked if ranks.ahead(one, other)]
        behind = [point.words for point, ranks in ranked if ranks.ahead(other, one)]
        if ahead and behind:
            found.append(
                f"{one} is ahead of {other} at {wording.listing(ahead)}, and behind at {wording.listing(behind)}."
            )
    if not found and sum(len(ranks.pairs) > 0 for _, ranks in ranked) > 1:
        found.append("No two of them are in one order for certain here, and in the other one there.")
    return tuple(found)


def reached(point: Point, where: str) -> Iterator[str]:
    """Say how near the best figure comes to the most that the work allows."""
    most = contrasts.ideal(point)
    standings = [standing for model in point.view.models if (standing := point.standing(model))]
    figures = {each.model: each.figure.value for each in standings if each.figure is not None}
    if most is None or not figures:
        return
    best = max(figures, key=lambda name: figures[name])
    sign = "at least " if any(each.model == best and each.status is Status.BOUND for each in standings) else ""
    yield _upper(
        f"{where}, nobody can exceed {wording.number(most.per_s)} replies/s ({most.why}); the most that was seen is "
        f"{sign}{wording.number(100 * figures[best] / most.per_s)} % of it ({best})."
    )


def changes(series: Series, measure: Measure, one: Point, other: Point) -> Iterator[str]:
    """Say how many times its own figure at one point each contender has at another one; nothing from few rounds."""
    clear, unclear = [], []
    for model in series.models:
        change = contrasts.change(contrasts.read(one, measure, model), contrasts.read(other, measure, model))
        if change is not None and change.clear:
            sign = {"": "", ">= ": "at least ", "<= ": "at most "}[change.sign]
            ends = f" {sentences.between(change.ratio)}" if not change.sign else ""
            clear.append(f"{sign}{wording.ratio(change.ratio.value)} times for {model}{ends}")
        elif change is not None:
            unclear.append(model)
    parts = [wording.listing(clear)] if clear else []
    parts += [f"no difference that the rounds can tell for {wording.listing(unclear)}"] if unclear else []
    if parts:
        yield f"{measure.title}, {other.words} against {one.words}: {'; '.join(parts)}."


def costs(point: Point, where: str) -> Iterator[str]:
    """Say whose requests cost the least CPU time at a point, and how many times that the others take."""
    if point.view.cpu_window is None:
        return
    ranks = point.view.rank(point.view.cpu_window, ranking.CPU)
    least = ranks.leader
    clear = [
        f"{other.model} {wording.ratio(ranks.pairs[other.model, least].value)} times that "
        f"{sentences.between(ranks.pairs[other.model, least])}"
        for other in ranks.standings
        if least is not None and ranks.ahead(least, other.model)
    ]
    if least is not None and clear:
        figure = ranks.of(least).figure
        assert figure is not None  # a leader has one
        yield _upper(
            f"{where}, a request costs {least} {wording.number(figure.value)} µs of CPU time; {wording.listing(clear)}."
        )


def telling(series: Series) -> tuple[Point, ...]:
    """Return the points at which it is told who is ahead: the last one, and the last at which most were measured.

    What can't be had at the last point is not compared there. Points at which fewer than two have a place tell nothing.
    """
    usable = [point for point in series.points if sum(_placed(point, model) for model in series.models) > 1]
    if not usable:
        return ()
    measured = [point.view.measured["model"].nunique() for point in usable]
    fullest = usable[max(place for place, count in enumerate(measured) if count == max(measured))]
    return tuple(point for point in usable if point is fullest or point is usable[-1])


def _placed(point: Point, model: str) -> bool:
    standing = point.standing(model)
    return standing is not None and standing.status is Status.RANKED


def gaps(series: Series) -> Iterator[str]:
    """Say which contenders could not be measured at which points, and why: those of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for point in series.points:
        for model in series.models:
            cells = point.view.cells[point.view.cells["model"] == model]
            failed = cells[cells["outcome"] != "measured"]
            if len(failed):
                why = wording.failed(model, len(failed), len(cells), str(failed["failure"].iloc[0]))
                found.setdefault((model, why), []).append(point.words)
    for (_, why), words in found.items():
        yield f"{'Under' if series.key == 'python' else 'At'} {wording.listing(words)}: {why.rstrip('.')}."


def note(series: Series) -> str:
    """Return what the intervals of ratios are worth, by the fewest rounds that any is of; empty without ratios."""
    counts = [int(n) for point in series.points for n in point.view.measured.groupby("model").size()]
    fewest = min((count for count in counts if count >= ROUNDS_TO_RANK), default=0)
    return f"Ratios are {sentences.worth(stats.center([0.0] * fewest))}." if fewest else ""


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
