"""The one figure that only the notebooks need: why percentiles of rounds are not averaged.

The mean of p99 over rounds is no p99 of anything: a round with a few slow requests pulls it as hard as a thousand
rounds without. What the percentile of all requests is can only be counted from all of them, here from the histograms
of the rounds added up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis import ranking, wording
from analysis.figures import drawing, style
from analysis.views import WindowView


@dataclass(frozen=True)
class Tail:
    """p99 of response time of a model in one window: of each round, and of all its requests together (ns)."""

    rounds_ns: tuple[float, ...]
    pooled_ns: float

    @property
    def mean_ns(self) -> float:
        """The mean of the rounds' figures, infinite where one of them is."""
        return sum(self.rounds_ns) / len(self.rounds_ns)

    @property
    def finite(self) -> bool:
        """Whether all of it can be drawn."""
        return math.isfinite(self.mean_ns) and math.isfinite(self.pooled_ns)


def tail(window: WindowView, model: str) -> Tail | None:
    """Return a model's p99 by round and of all rounds; None where its samples carry none."""
    values = ranking.by_round(window.rows, model, ranking.RESPONSE_P99.column)
    points = window.percentiles
    pooled = points[(points["model"] == model) & (points["clock"] == "response_time") & (points["name"] == "p99")]
    if not values or pooled.empty:
        return None
    return Tail(tuple(values[number] for number in sorted(values)), float(pooled["value_ns"].iloc[0]))


def misses(window: WindowView, models: Sequence[str]) -> float:
    """Return by how much, as a logarithm, the mean of the rounds misses the percentile of all requests at most."""
    tails = [found for model in models if (found := tail(window, model)) and found.finite]
    return max((abs(math.log(found.mean_ns / found.pooled_ns)) for found in tails), default=0.0)


def rounds_and_pool(window: WindowView, models: Sequence[str], label: str) -> Figure:
    """Draw p99 of each round as a dot, their mean as a cross, and p99 of all requests as a bar across the row."""
    with style.applied():
        figure, axes = drawing.rows(models, "p99 of response time: rounds, their mean, and all requests", label)
        for place, (model, look) in enumerate(style.looks(models).items()):
            own = tail(window, model)
            if own is None or not own.finite:
                drawing.absent(axes, place, "no figure" if own is None else "never answered")
                continue
            shown = [value / 1e6 for value in own.rounds_ns]
            pooled, mean = own.pooled_ns / 1e6, own.mean_ns / 1e6
            axes.plot([pooled, pooled], [place - 0.36, place + 0.36], color=look.color, linewidth=4)
            axes.plot(mean, place, "x", color=style.INK, markersize=8, markeredgewidth=1.8, zorder=4)
            places = [place + 0.16 * (-1) ** number for number in range(len(shown))]
            axes.scatter(shown, places, s=13, facecolor=style.PAPER, edgecolor=style.INK, linewidth=0.9, zorder=3)
            words = f"{wording.number(pooled)} ms of all"
            drawing.say(axes, place, max(*shown, pooled), words, f"mean {wording.number(mean)} ms")
        drawing.from_zero(axes, "ms")
        drawing.foot(figure, "dots: the rounds; cross: their mean; upright bar: p99 of all requests of all rounds")
        return figure
