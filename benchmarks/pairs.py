"""Alternating runs and the medians of their ratios.

A shared machine changes its speed from minute to minute, so two programs are never measured one after the other in
blocks: every round runs all variants once, in a shuffled order (seeded), and a ratio is taken within its round. Quoted
is the median of the ratios with the least and the greatest.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

Measure = Callable[[], float]


@dataclass(frozen=True)
class Ratio:
    """How one variant compares with another over the rounds."""

    name: str
    over: str
    median: float
    least: float
    greatest: float
    rounds: int


def alternate(variants: Mapping[str, Measure], rounds: int) -> dict[str, list[float]]:
    """Run every variant once a round, in shuffled order; return the figures by variant, one a round."""
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for number, name in shuffled(variants, rounds):
        figure = variants[name]()
        figures[name].append(figure)
        print(f"  round {number}/{rounds}  {name:<34}{figure:>12,.0f}/s", file=sys.stderr, flush=True)
    return figures


def shuffled(names: Iterable[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Yield the number of each round, from 1, with every name once in an order of its own."""
    rng, in_order = random.Random(1), list(names)
    for number in range(1, rounds + 1):
        yield from ((number, name) for name in rng.sample(in_order, len(in_order)))


def ratio(figures: Mapping[str, list[float]], name: str, over: str) -> Ratio:
    """Return the ratio of two variants, taken within each round."""
    ratios = [a / b for a, b in zip(figures[name], figures[over], strict=True)]
    return Ratio(name, over, statistics.median(ratios), min(ratios), max(ratios), len(ratios))


def table(figures: Mapping[str, list[float]], ratios: list[tuple[Ratio, float | None]]) -> str:
    """Return a Markdown text: medians of the figures, then each ratio beside the least that is expected, if any is."""
    lines = ["| variant | median requests/s | least | greatest |", "|---|---:|---:|---:|"]
    lines += [f"| {n} | {statistics.median(v):,.0f} | {min(v):,.0f} | {max(v):,.0f} |" for n, v in figures.items()]
    lines += ["", "| ratio | median | range | expected |", "|---|---:|---|---:|"]
    lines += [
        f"| {r.name} / {r.over} | {r.median:.2f} | {r.least:.2f} to {r.greatest:.2f} | {_at_least(least)} |"
        for r, least in ratios
    ]
    return "\n".join(lines)


def _at_least(least: float | None) -> str:
    return "-" if least is None else f">= {least:.2f}"
