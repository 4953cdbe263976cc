"""Figures over rounds as entries of a table: the median as text, its interval as note, the raw value to sort by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from analysis import ranking, stats, wording
from analysis.ranking import ROUNDS_TO_RANK, Standing, Status
from analysis.report.document import Entry
from analysis.stats import Estimate
from analysis.views import ConditionView, WindowView
from harness.schema import LimitedBy

Words = Callable[[float], str]

NONE = Entry(wording.NOTHING, sort=math.nan)
FAILED = Entry("failed", sort=math.nan, doubt=True)
IMPOSSIBLE = Entry("impossible", sort=math.nan, doubt=True)


def over_rounds(values: Iterable[float]) -> Estimate | None:
    """Return the median of what is there, or None."""
    known = [float(value) for value in values if not math.isnan(value)]
    return stats.median(known) if known else None


def of_estimate(estimate: Estimate | None, words: Words, sign: str = "") -> Entry:
    """Return a median and its interval, both in `words`; `sign` marks a bound."""
    if estimate is None:
        return NONE
    interval = estimate.interval
    note = "" if estimate.samples == 1 else wording.span(words(interval.low), words(interval.high))
    return Entry(sign + words(estimate.value), note, sort=estimate.value)


def throughput(standing: Standing | None) -> Entry:
    """Return a throughput in replies/s; a lower bound says so."""
    if standing is None:
        return NONE
    return of_estimate(standing.figure, wording.number, ">= " if standing.status is Status.BOUND else "")


def ratio(standing: Standing | None, leads: bool) -> Entry:
    """Return a model's ratio to the leader, the leader's being 1; nothing for what is not ranked."""
    if standing is None or standing.status is not Status.RANKED:
        return NONE
    if leads:
        return Entry("1", "leader", sort=1.0)
    enough = standing.ratio is not None and standing.ratio.samples >= ROUNDS_TO_RANK
    return of_estimate(standing.ratio, wording.ratio) if enough else NONE


def time(window: WindowView, model: str, column: str) -> Entry:
    """Return a time of one window in ms: `<=` where it is an upper bound, `> 1 s` where it was never answered."""
    rows = window.rows[window.rows["model"] == model]
    estimate = over_rounds(rows[column])
    if estimate is None:
        return NONE
    timeout_s = float(rows["timeout_s"].max())
    unanswered = math.isinf(estimate.value)
    bound = bool((rows["limited_by"] == LimitedBy.GENERATOR).any()) and not unanswered
    entry = of_estimate(estimate, lambda value: wording.milliseconds(value, timeout_s), "<= " if bound else "")
    return Entry(entry.text, entry.note, sort=entry.sort, doubt=unanswered)


def pooled(window: WindowView, model: str, clock: str, name: str) -> Entry:
    """Return a percentile of all rounds' requests together in ms; it has no interval."""
    points = window.percentiles
    found = points[(points["model"] == model) & (points["clock"] == clock) & (points["name"] == name)]
    if found.empty:
        return NONE
    point = found.iloc[0]
    value = float(point["value_ns"])
    words = wording.milliseconds(value, float(point["timeout_s"]))
    unanswered = math.isinf(value)
    sign = "<= " if point["bound"] and not unanswered else ""
    return Entry(sign + words, sort=value, doubt=unanswered)


def of_bytes(values: Iterable[float], unit: float) -> Entry:
    """Return bytes over rounds in a unit of so many bytes."""
    return of_estimate(over_rounds(values), lambda value: wording.number(value / unit))


def percent(values: Iterable[float]) -> Entry:
    """Return the median of a share (0 to 1) in percent, without its interval."""
    estimate = over_rounds(values)
    return NONE if estimate is None else Entry(wording.number(100 * estimate.value, 4), sort=estimate.value)


def count(values: pd.Series[int]) -> Entry:
    """Return the sum of a count over rounds; anything but 0 is a doubt."""
    total = int(values.sum())
    return Entry(f"{total:,}", sort=float(total), doubt=total > 0)


def limits(windows: Iterable[WindowView], model: str) -> Entry:
    """Return the verdicts of a model in some windows, the first one's load unsaid.

    Of further windows that is left out which says nothing: all rounds of an open load limited by the offered load.
    """
    parts: list[str] = []
    for place, window in enumerate(windows):
        doubts = ranking.doubts(window.rows, model)
        words = wording.tally({wording.verdict(kind): n for kind, n in doubts.verdicts.items()}, doubts.rounds)
        if place == 0:
            parts.append(words or wording.NOTHING)
        elif doubts.verdicts and set(doubts.verdicts) != {LimitedBy.OFFERED_LOAD}:
            parts.append(f"{window.load}: {words}")
    return Entry("; ".join(parts) or wording.NOTHING)


def warnings(view: ConditionView, model: str, windows: Sequence[WindowView]) -> Entry:
    """Return what stands against a model's figures: failed rounds, then warnings with the rounds they were given in."""
    cells = view.cells[view.cells["model"] == model]
    failed = cells[cells["outcome"] != "measured"]
    impossible = failed["failure"].str.startswith(wording.IMPOSSIBLE).any()
    why = wording.IMPOSSIBLE if impossible else f"failed in {len(failed)} of {wording.rounds(len(cells))}"
    serious = bool(len(failed))
    parts = [why] if serious else []
    for window in windows:
        found = ranking.doubts(window.rows, model)
        words = {wording.warning_word(kind): count for kind, count in found.warnings.items()}
        if words:
            load = f"{window.load}: " if len(windows) > 1 else ""
            parts.append(load + wording.tally(words, found.rounds))
        serious |= bool(found.serious)
    return Entry("; ".join(parts) or "none", doubt=serious)
