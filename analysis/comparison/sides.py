"""The two sides of a comparison: `PATH[:key=value]...`, a run folder and which of its cells.

A key is one of the scenario (`transport`, `connections`, `python`, `pin`, ...) or `model`, the contender as tables name
it (`selectors --selector poll`). A value is written as the plan has it; colons and commas may be part of it, since only
a colon before `key=` begins a new one: `results/reference:model=asyncio:pin=0:1`.

A key that both sides give with different values is what is *varied*: it is left out when their cells are matched. A key
that one side gives alone only narrows that side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import conditions, frames, wording
from analysis.frames import Run

MODEL = "model"
_KEY = re.compile(r":(?=[a-z_]+=)")


class ComparisonError(ValueError):
    """Two sides can't be compared, as one sentence."""


@dataclass(frozen=True)
class Wanted:
    """A side as it was asked for; `selection` holds values by key."""

    text: str
    path: Path
    selection: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Side:
    """One side: its run, and the cells and windows of it that were selected, failed ones among them."""

    name: str
    wanted: Wanted
    run: Run
    cells: pd.DataFrame
    windows: pd.DataFrame

    @property
    def contenders(self) -> list[tuple[str, str]]:
        """What was measured: pairs of condition and contender, in the order of measuring."""
        return list(dict.fromkeys(zip(self.cells["condition"], self.cells[MODEL], strict=True)))


def parse(text: str) -> Wanted:
    """Read a side as it is written on the command line; raises ComparisonError."""
    parts = _KEY.split(text)
    # A folder's own name may look like a selection.
    heads = range(len(parts), 1, -1)
    length = next((count for count in heads if Path(":".join(parts[:count])).is_dir()), 1)
    pairs = [part.partition("=") for part in parts[length:]]
    selection = {key: value for key, _, value in pairs}
    if len(selection) < len(pairs):
        raise ComparisonError(f"{text} gives a key twice")
    return Wanted(text, Path(":".join(parts[:length])), selection)


def read_both(first: str, second: str) -> tuple[Side, Side]:
    """Read the sides A and B; a run that both name is read once.

    Raises ComparisonError where a side selects nothing or both hold the same, StoreError or SchemaError where a path is
    no run that can be read.
    """
    one, other = parse(first), parse(second)
    run = frames.read(one.path)
    again = run if one.path.resolve() == other.path.resolve() else frames.read(other.path)
    a, b = _side("A", one, run), _side("B", other, again)
    _require_different(a, b)
    return a, b


def varied(a: Side, b: Side) -> frozenset[str]:
    """Return the keys that both sides give, with different values."""
    one, other = a.wanted.selection, b.wanted.selection
    return frozenset(key for key in one.keys() & other.keys() if one[key] != other[key])


def _side(name: str, wanted: Wanted, run: Run) -> Side:
    if run.cells.empty:
        raise ComparisonError(f"{wanted.path} holds no cell that can be read{_why(run)}")
    contenders = list(dict.fromkeys(zip(run.cells["condition"], run.cells[MODEL], strict=True)))
    values = {
        pair: {key: conditions.text(value) for key, value in {**json.loads(pair[0]), MODEL: pair[1]}.items()}
        for pair in contenders
    }
    left = contenders
    for key, value in wanted.selection.items():
        there = [values[pair][key] for pair in left if key in values[pair]]
        left = [pair for pair in left if values[pair].get(key) == value]
        if not left:
            raise ComparisonError(_nothing(name, wanted, key, there, values.values()))
    chosen = frozenset(left)
    return Side(name, wanted, run, _of(run.cells, chosen), _of(run.windows, chosen))


def _of(table: pd.DataFrame, chosen: frozenset[tuple[str, str]]) -> pd.DataFrame:
    pairs = zip(table["condition"], table[MODEL], strict=True)
    return table[[pair in chosen for pair in pairs]]


def _why(run: Run) -> str:
    return f": {run.problems[0]}" if run.problems else ""


def _nothing(name: str, wanted: Wanted, key: str, there: Iterable[str], values: Iterable[Mapping[str, str]]) -> str:
    """Return why a side selects nothing: a key that there is not, or a value."""
    given = f"side {name}, {wanted.text}, selects nothing"
    found = list(dict.fromkeys(there))
    if found:
        return f"{given}: no cell has {key}={wanted.selection[key]}; there is {wording.listing(found, 'or')}"
    keys = sorted({each for scenario in values for each in scenario})
    return f"{given}: {key!r} is no key of its scenarios; these are {wording.listing(keys)}"


def _require_different(a: Side, b: Side) -> None:
    """Refuse two sides that hold a cell in common, or the same cells as copies."""
    if a.run is b.run:
        if set(a.cells["file"]) & set(b.cells["file"]):
            raise ComparisonError(
                f"A ({a.wanted.text}) and B ({b.wanted.text}) hold the same cells: "
                "name two runs, or select different ones, as in RUN:model=asyncio RUN:model=thread"
            )
        return
    if _figures(a) == _figures(b):
        raise ComparisonError(f"A ({a.wanted.text}) and B ({b.wanted.text}) hold the same figures: one is a copy")


def _figures(side: Side) -> list[tuple[Any, ...]]:
    """Return what no two measurements have in common."""
    own = side.windows if len(side.windows) else side.cells
    names = [name for name in ("started", "file", "due", "throughput_per_s", "generator_cpu_s") if name in own]
    return list(own[names].itertuples(index=False, name=None))
