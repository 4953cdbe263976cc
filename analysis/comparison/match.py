"""Which cells of one side belong to which of the other: equal scenarios, but for what is varied.

Cells of two runs that find no equal are tried again without the settings of measuring (pinning, windows): where just
one is left on either side, they are a match, and what differs is told as a difference of the runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import conditions, wording
from analysis.comparison.differences import SETTINGS
from analysis.comparison.sides import MODEL, Side

Pair = tuple[str, str]  # a condition and a contender in it


@dataclass(frozen=True, eq=False)
class Match:
    """Cells of both sides that are compared: rows of cells and windows of A and of B, failed ones left out.

    `label` is what they have in common, in words; `title` that with the contender.
    """

    label: str
    models: tuple[str, str]
    scenarios: tuple[Mapping[str, Any], Mapping[str, Any]]
    measured: tuple[pd.DataFrame, pd.DataFrame]
    windows: tuple[pd.DataFrame, pd.DataFrame]

    @property
    def model(self) -> str:
        """The contender, both where they are not the same."""
        return self.models[0] if self.models[0] == self.models[1] else f"{self.models[1]} / {self.models[0]}"

    @property
    def title(self) -> str:
        """Condition and contender in words."""
        return f"{self.label}: {self.model}"

    @property
    def pythons(self) -> tuple[set[str], set[str]]:
        """What the servers of each side said to run under."""
        one, other = ({str(name) for name in cells["server_python"] if name} for cells in self.measured)
        return one, other


def matched(a: Side, b: Side, varied: frozenset[str]) -> tuple[list[Match], list[str]]:
    """Return the matches in the order of A, transports in theirs, and a sentence for what has no counterpart."""
    found = _pairs(a, b, varied, frozenset())
    if a.run is not b.run:
        found |= _pairs(a, b, varied, SETTINGS, but=found)
    labels = _labels(a, found, varied)
    matches = [_match((a, b), both, label) for both, label in zip(found.items(), labels, strict=True)]
    order = list(conditions.TRANSPORT_NAMES)
    transports = [str(match.scenarios[0].get("transport")) for match in matches]
    places = [order.index(name) if name in order else len(order) for name in transports]
    sorted_ = [match for _, match in sorted(zip(places, matches, strict=True), key=lambda placed: placed[0])]
    return sorted_, [*_alone(a, set(found), "B"), *_alone(b, set(found.values()), "A"), *_failed(a, b, found)]


def _pairs(
    a: Side, b: Side, varied: frozenset[str], without: frozenset[str], but: Mapping[Pair, Pair] | None = None
) -> dict[Pair, Pair]:
    """Return contenders of A with those of B that are equal without some keys, where there is just one of each."""
    taken, given = set(but or {}), set((but or {}).values())
    one = _by_key([pair for pair in a.contenders if pair not in taken], varied | without)
    other = _by_key([pair for pair in b.contenders if pair not in given], varied | without)
    return {pairs[0]: other[key][0] for key, pairs in one.items() if len(pairs) == 1 and len(other.get(key, ())) == 1}


def _by_key(pairs: list[Pair], without: frozenset[str]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        scenario = {**json.loads(pair[0]), MODEL: pair[1]}
        key = json.dumps({name: value for name, value in scenario.items() if name not in without}, sort_keys=True)
        found.setdefault(key, []).append(pair)
    return found


def _labels(a: Side, found: Mapping[Pair, Pair], varied: frozenset[str]) -> list[str]:
    """Return what each match has in common: as short as tells them apart, and nothing in which the sides differ."""
    scenarios = [(json.loads(one), json.loads(two)) for (one, _), (two, _) in found.items()]
    apart = {key for one, two in scenarios for key in one.keys() | two.keys() if one.get(key) != two.get(key)}
    cpus = [str(_of(a.cells, pair)["server_cpus"].iloc[0]) for pair in found]
    return conditions.distinct([one for one, _ in scenarios], cpus, without=varied | apart)


def _match(sides: tuple[Side, Side], both: tuple[Pair, Pair], label: str) -> Match:
    one, two = (json.loads(condition) for condition, _ in both)
    cells, theirs = (_of(side.cells, pair) for side, pair in zip(sides, both, strict=True))
    windows, their_windows = (_measured(_of(side.windows, pair)) for side, pair in zip(sides, both, strict=True))
    measured = _measured(cells), _measured(theirs)
    return Match(label, (both[0][1], both[1][1]), (one, two), measured, (windows, their_windows))


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["outcome"] == "measured"]


def _of(table: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    return table[(table["condition"] == pair[0]) & (table[MODEL] == pair[1])]


def _alone(side: Side, found: set[Pair], lacking: str) -> list[str]:
    """Return a sentence for each condition of a side with the contenders that the other side lacks."""
    models: dict[str, list[str]] = {}
    for condition, model in side.contenders:
        if (condition, model) not in found:
            label = str(side.cells.loc[side.cells["condition"] == condition, "label"].iloc[0])
            models.setdefault(label, []).append(model)
    return [
        f"{lacking} has nothing to compare with {wording.listing(names)} of {side.name} ({label})."
        for label, names in models.items()
    ]


def _failed(a: Side, b: Side, found: Mapping[Pair, Pair]) -> list[str]:
    """Return a sentence for each contender of which cells failed."""
    told = []
    for side, pairs in ((a, found.keys()), (b, found.values())):
        for pair in pairs:
            cells = _of(side.cells, pair)
            failed = cells[cells["outcome"] != "measured"]
            if len(failed):
                why = wording.failed(pair[1], len(failed), len(cells), str(failed["failure"].iloc[0]))
                told.append(f"{side.name}: {why} ({cells['label'].iloc[0]})")
    return told
