"""Conditions against contenders: a line a condition, a tile a contender, and who leads in words.

A tile holds throughput under closed load as a part of the best figure of its condition *that is no bound*: the
leader's, or where the rounds are too few for a leader, the largest. The comparisons are those of `ranking`: a line's
leader is ahead for certain of everybody else who has a place, or it is a tie, and then all it is tied with are named.

What the load generator limited is a lower bound. It never leads and it is never what others are measured by; its tile
says `>=`, and the words say that it is not known where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from analysis import ranking, wording
from analysis.figures import drawing
from analysis.ranking import ROUNDS_TO_RANK, Ranking, Standing, Status
from analysis.views import ConditionView

NAMED_MOST = 3  # of contenders that tie
FAILED, IMPOSSIBLE = "failed", "n/a"


class Mark(StrEnum):
    """How a contender stands in its line."""

    LEADS = "leads"  # ahead of everybody else who has a place
    TIES = "ties"  # the leader by figures, and whoever it is not ahead of
    BEHIND = "behind"
    BOUND = "bound"
    UNRANKED = "unranked"  # a figure, but no place: too few rounds
    NOTHING = "nothing"


@dataclass(frozen=True)
class Tile:
    """One contender in one condition; `part` is of the best, 0 to 1 (a bound may have more), NaN for none."""

    words: str
    part: float
    mark: Mark


@dataclass(frozen=True)
class Line:
    """One condition: its label, a tile a contender, and the conclusion."""

    label: str
    tiles: tuple[Tile, ...]
    words: str


def contenders(views: Sequence[ConditionView]) -> tuple[str, ...]:
    """Return whoever is in any condition, in one order for all of them."""
    return tuple(sorted({model for view in views for model in view.models}))


def labels(views: Sequence[ConditionView]) -> tuple[str, tuple[str, ...]]:
    """Return what all labels have in common, and what is left of each."""
    parts = [view.label.split(", ") for view in views]
    common = [part for part in parts[0] if all(part in other for other in parts)] if parts else []
    rest = [", ".join(part for part in own if part not in common) or ", ".join(own) for own in parts]
    return ", ".join(common), tuple(rest)


def line(view: ConditionView, models: Sequence[str]) -> Line:
    """Return the line of a condition, its tiles in the order of `models`."""
    ranks = view.rank(view.closed[0], ranking.THROUGHPUT) if view.closed else None
    standings = {each.model: each for each in ranks.standings if each.figure} if ranks else {}
    best = _best(tuple(standings.values()))
    tiles = [
        _tile(standings[model], best, ranks) if ranks and model in standings else _absent(view, model)
        for model in models
    ]
    return Line(view.label, tuple(tiles), _words(view, ranks, tuple(standings.values())))


def tied(ranks: Ranking) -> tuple[Standing, ...]:
    """Return the leader and whoever it is not ahead of; the leader alone where it leads for certain."""
    ranked = [each for each in ranks.standings if each.status is Status.RANKED]
    return tuple(each for each in ranked if not ranks.ahead(ranked[0].model, each.model))


def _best(standings: Sequence[Standing]) -> float:
    """Return the leader's figure, or the largest that is no bound; NaN where there are only bounds."""
    known = [each for each in standings if each.status is not Status.BOUND]
    ranked = [each for each in known if each.status is Status.RANKED]
    figures = [each.figure.value for each in (ranked[:1] or known) if each.figure]
    return max(figures, default=math.nan) or math.nan


def _tile(standing: Standing, best: float, ranks: Ranking) -> Tile:
    assert standing.figure is not None  # the caller's standings have one
    paired = standing.ratio if standing.ratio and standing.ratio.samples >= ROUNDS_TO_RANK else None
    part = paired.value if paired else standing.figure.value / best
    if standing.status is Status.BOUND:
        # Down, so that the bound stays one.
        words = _percent(math.floor(100 * part)) if math.isfinite(part) else wording.number(standing.figure.value, 2)
        return Tile(f">= {words}", part, Mark.BOUND)
    if standing.status is not Status.RANKED:
        return Tile(_percent(100 * part), part, Mark.UNRANKED)
    level = tied(ranks)
    if standing not in level:
        return Tile(_percent(100 * part), part, Mark.BEHIND)
    alone = len(level) == 1
    return Tile(_percent(100 * part), part, Mark.LEADS if alone else Mark.TIES)


def _percent(value: float) -> str:
    """Return a percentage without its unit: small ones with two digits."""
    if math.isnan(value):
        return wording.NOTHING
    return f"{value:,.0f}" if value >= 10 else wording.number(value, 2)


def _absent(view: ConditionView, model: str) -> Tile:
    """Return the tile of a contender without a figure: why there is none."""
    cells = view.cells[view.cells["model"] == model]
    failed = cells[cells["outcome"] != "measured"]
    if cells.empty or len(failed) < len(cells):
        return Tile(wording.NOTHING, math.nan, Mark.NOTHING)
    impossible = failed["failure"].str.startswith(wording.IMPOSSIBLE).all()
    return Tile(IMPOSSIBLE if impossible else FAILED, math.nan, Mark.NOTHING)


def _words(view: ConditionView, ranks: Ranking | None, standings: Sequence[Standing]) -> str:
    """Return who leads and by how much, or why that can't be said."""
    if ranks is None or not standings:
        return "nothing measured" if view.closed else "no closed load"
    bounds = [drawing.short(each.model) for each in standings if each.status is Status.BOUND]
    said = _leads(ranks)
    if not said and len(bounds) == len(standings):
        return "not known: the load generator was the limit"
    if not said:
        rounds = max(each.figure.samples for each in standings if each.figure)
        said = f"{wording.rounds(rounds)}: too few to tell"
    return said + (f"; not known: {wording.listing(bounds)}" if bounds else "")


def _leads(ranks: Ranking) -> str:
    ranked = [each for each in ranks.standings if each.status is Status.RANKED]
    level = [drawing.short(each.model) for each in tied(ranks)]
    if not ranked:
        return ""
    if len(ranked) == 1:
        return f"{level[0]} alone has a place"
    if len(level) > NAMED_MOST:
        return f"tie of {len(level)}"
    if len(level) > 1:
        return f"tie: {wording.listing(level)}"
    leader, second = ranked[0], min(ranked[1:], key=lambda each: ranks.pairs[ranked[0].model, each.model].value)
    times = ranks.pairs[leader.model, second.model].value
    return f"{level[0]}, {wording.ratio(times)} x {drawing.short(second.model)}"
