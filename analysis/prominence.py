"""Which conditions of a run a reader should see first.

A run may have a hundred conditions; a screen has room for a few. Where there are more than `MOST_SHOWN`, one stands
for each transport and each choice of the server's CPUs: the most usual one, which differs from what most conditions of
the run have in as few respects as possible. A number that varies evenly has no most frequent value; its middle one
stands for it. All others follow in their own order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.views import ConditionView

MOST_SHOWN = 6
# What decides most, so each of its values is shown: the rest of a scenario is as usual as can be.
SHOWN_APART = ("transport", "pin")


def main(views: Sequence[ConditionView]) -> tuple[ConditionView, ...]:
    """Return the conditions to show first, in their own order: all where they are few."""
    return tuple(views[place] for place in _first(views))


def ordered(views: Sequence[ConditionView]) -> tuple[ConditionView, ...]:
    """Return all conditions, those to show first before the others."""
    first = _first(views)
    return tuple(views[place] for place in (*first, *sorted({*range(len(views))} - {*first})))


def _first(views: Sequence[ConditionView]) -> tuple[int, ...]:
    """Return the places of the conditions to show first."""
    if len(views) <= MOST_SHOWN:
        return tuple(range(len(views)))
    scenarios = [json.loads(str(view.cells["condition"].iloc[0])) for view in views]
    usual = _usual(scenarios)
    best: dict[str, tuple[bool, int, int]] = {}
    for place, (view, scenario) in enumerate(zip(views, scenarios, strict=True)):
        kind = _text([scenario.get(key) for key in SHOWN_APART])
        unusual = sum(_text(scenario.get(key)) != value for key, value in usual.items())
        rank = (not view.windows, unusual, place)
        best[kind] = min(rank, best.get(kind, rank))
    return tuple(sorted(place for *_, place in best.values())[:MOST_SHOWN])


def _usual(scenarios: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the most frequent value of each key; of equally frequent ones the middle one."""
    keys = sorted({key for scenario in scenarios for key in scenario} - {*SHOWN_APART})
    return {key: _middle([scenario.get(key) for scenario in scenarios]) for key in keys}


def _middle(values: Sequence[object]) -> str:
    counts = Counter(_text(value) for value in values)
    frequent = [value for value, count in counts.items() if count == max(counts.values())]
    frequent.sort(key=lambda text: (_number(text), text))
    return frequent[(len(frequent) - 1) // 2]


def _number(text: str) -> float:
    try:
        return float(text.strip('"'))
    except ValueError:
        return 0.0


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
