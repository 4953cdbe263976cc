"""Who is ahead of whom, said only where the rounds carry it. Pure: frames in, frozen records out.

Two models are compared inside rounds: the ratios of their figures of the same round, their Hodges-Lehmann estimate
and its interval (`stats.ratio`). One is *ahead* of the other when that interval does not hold 1; else they are a tie.

Being tied is not transitive (a and b, b and c, but not a and c), so a place is given as what the comparisons leave
open: `first` is one more than the models clearly ahead, `last` is what the models clearly behind leave. Two tied
leaders are both `1-2`; a place that is certain is one number. So a tie always shares its places, and no place claims
what its pair of models does not show.

Not ranked, and never a winner:
* a model whose window the load generator limited in any round: its throughput is a lower bound, its times are upper
  ones, and a median with bounds in it is a bound;
* a model that left more than 1 % of a window's requests unanswered in any round, by none of its figures: a server that
  drops requests is quick with the others; and a time that was infinite in any round;
* a figure that was zero in any round: it has no ratio;
* anything in fewer than `ROUNDS_TO_RANK` rounds, alone or in common with the others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from analysis import stats
from analysis.stats import Estimate
from harness.schema import LimitedBy, WarningKind

ROUNDS_TO_RANK = 3
# With more than this part of a window's requests unanswered its p99 is infinite: none of its figures is good then.
UNANSWERED_TO_RANK = 0.01

# Doubts about the server's answers themselves: they stand beside the model's name wherever it is praised.
SERIOUS = frozenset(
    {WarningKind.ERRORS, WarningKind.UNANSWERED, WarningKind.COUNT_MISMATCH, WarningKind.SERVER_DIED},
)


class Status(StrEnum):
    """Whether a model has a place, or why it has none."""

    RANKED = "ranked"
    BOUND = "bound"
    UNANSWERED = "unanswered"
    FEW_ROUNDS = "few_rounds"
    ZERO = "zero"
    NO_FIGURE = "no_figure"


@dataclass(frozen=True)
class Metric:
    """A column of the windows frame to rank by. `bounded`: in a generator-limited window it is only a bound."""

    column: str
    higher_is_better: bool
    bounded: bool = True


THROUGHPUT = Metric("throughput_per_s", higher_is_better=True)
RESPONSE_P50 = Metric("response_time_p50_ns", higher_is_better=False)
RESPONSE_P99 = Metric("response_time_p99_ns", higher_is_better=False)
# CPU a request stays right when the load generator is the limit.
CPU = Metric("cpu_us_per_request", higher_is_better=False, bounded=False)


METRICS = (THROUGHPUT, RESPONSE_P50, RESPONSE_P99, CPU)


@dataclass(frozen=True)
class Standing:
    """A model's figure over rounds, its places (both ends, 1 is best), and its ratio to the leader."""

    model: str
    status: Status
    figure: Estimate | None
    first: int | None = None
    last: int | None = None
    ratio: Estimate | None = None


@dataclass(frozen=True)
class Ranking:
    """The models of one condition and window, best first, those without a place after them."""

    metric: Metric
    leader: str | None
    standings: tuple[Standing, ...]
    pairs: Mapping[tuple[str, str], Estimate]

    def of(self, model: str) -> Standing:
        """Return a model's standing; raises KeyError for one that is not in the ranking."""
        for standing in self.standings:
            if standing.model == model:
                return standing
        raise KeyError(model)

    def ahead(self, model: str, other: str) -> bool:
        """Tell whether a ranked model is clearly better than another one."""
        pair = self.pairs.get((model, other))
        if pair is None or pair.samples < ROUNDS_TO_RANK:
            return False
        return pair.interval.low > 1 if self.metric.higher_is_better else pair.interval.high < 1


@dataclass(frozen=True)
class Doubts:
    """Verdicts and warnings of a model in one window over its rounds: each with the number of rounds it was given."""

    rounds: int
    verdicts: Mapping[str, int]
    warnings: Mapping[str, int]
    requests: int
    unanswered: int
    errors: int

    @property
    def serious(self) -> tuple[str, ...]:
        """The warnings that put the server's answers in doubt."""
        return tuple(kind for kind in self.warnings if kind in SERIOUS)


def rank(windows: pd.DataFrame, metric: Metric, models: Sequence[str]) -> Ranking:
    """Rank models by a metric in one window of one condition; `windows` holds nothing else.

    `models` names all that should be there: one without a figure gets a standing that says so.
    """
    values = {model: by_round(windows, model, metric.column) for model in models}
    bound = set(windows.loc[windows["limited_by"] == LimitedBy.GENERATOR, "model"]) if metric.bounded else set()
    drops = set(windows.loc[_drops(windows), "model"])
    status = {model: _status(values[model], model in bound, model in drops) for model in models}
    ranked = [model for model in models if status[model] is Status.RANKED]
    pairs = compare({model: values[model] for model in ranked})
    unplaced = Ranking(metric, None, (), pairs)
    standings = [_placed(unplaced, model, values[model], status[model], ranked) for model in models]
    standings.sort(key=lambda standing: _order(standing, metric))
    leader = standings[0].model if standings and standings[0].status is Status.RANKED else None
    with_ratio = tuple(_with_ratio(standing, pairs.get((standing.model, leader or ""))) for standing in standings)
    return Ranking(metric, leader, with_ratio, pairs)


def dropped(windows: pd.DataFrame) -> bool:
    """Tell whether some of these windows left too many requests unanswered for any of their figures to be good."""
    return bool(_drops(windows).any())


def _drops(windows: pd.DataFrame) -> pd.Series[bool]:
    return windows["unanswered"] > UNANSWERED_TO_RANK * windows["due"]


def by_round(windows: pd.DataFrame, model: str, column: str) -> dict[int, float]:
    """Return a model's figures by round, those left out that are not there."""
    # Whole frames are wide and slow to filter, and this is asked for thousands of times a report.
    own = windows["model"].to_numpy() == model
    rounds, values = (windows[name].to_numpy()[own] for name in ("round", column))
    return {int(number): float(value) for number, value in zip(rounds, values, strict=True) if not math.isnan(value)}


def compare(values: Mapping[str, Mapping[int, float]]) -> dict[tuple[str, str], Estimate]:
    """Return the ratio over common rounds of each ordered pair of models that has any."""
    pairs = {}
    for model, own in values.items():
        for other, theirs in values.items():
            common = sorted(own.keys() & theirs.keys())
            if model != other and common:
                pairs[model, other] = stats.ratio([own[i] for i in common], [theirs[i] for i in common])
    return pairs


def doubts(windows: pd.DataFrame, model: str) -> Doubts:
    """Return what stands against a model's figures in one window of one condition, the most frequent first."""
    names = ["limited_by", "warnings", "due", "unanswered", "errors"]
    rows = windows.loc[windows["model"].to_numpy() == model, names]
    kinds: Counter[str] = Counter()
    for found in rows["warnings"]:
        kinds.update(set(found))
    return Doubts(
        rounds=len(rows),
        verdicts=dict(Counter(rows["limited_by"]).most_common()),
        warnings=dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0]))),
        requests=int(rows["due"].sum()),
        unanswered=int(rows["unanswered"].sum()),
        errors=int(rows["errors"].sum()),
    )


def _status(values: Mapping[int, float], bound: bool, drops: bool) -> Status:
    if not values:
        return Status.NO_FIGURE
    if bound:
        return Status.BOUND
    if drops or any(math.isinf(value) for value in values.values()):
        return Status.UNANSWERED
    if min(values.values()) <= 0:
        return Status.ZERO
    return Status.RANKED if len(values) >= ROUNDS_TO_RANK else Status.FEW_ROUNDS


def _placed(
    ranking: Ranking, model: str, values: Mapping[int, float], status: Status, ranked: Sequence[str]
) -> Standing:
    figure = stats.median(list(values.values())) if values else None
    if status is not Status.RANKED:
        return Standing(model, status, figure)
    first = 1 + sum(ranking.ahead(other, model) for other in ranked)
    last = len(ranked) - sum(ranking.ahead(model, other) for other in ranked)
    return Standing(model, status, figure, first, last)


def _with_ratio(standing: Standing, ratio: Estimate | None) -> Standing:
    return Standing(standing.model, standing.status, standing.figure, standing.first, standing.last, ratio)


def _order(standing: Standing, metric: Metric) -> tuple[int, int, int, float, str]:
    """Sort by place, then by figure, the better first; what has no place after what has, failures last."""
    value = math.inf if standing.figure is None else standing.figure.value
    better = -value if metric.higher_is_better and standing.figure else value
    places = (standing.first or 0, standing.last or 0)
    return (list(Status).index(standing.status), *places, better, standing.model)
