"""One look for every figure: a model has the same colour, marker and line everywhere.

Colours are those of Okabe and Ito, told apart with every common kind of colour blindness. In grey some of them come
close, so each model also has a marker and a line style, and bars carry their model's name beside them.

Figures are 5.4 inches wide with 9 to 11 point text: at full width on a telephone (360 px) the text is still 9 px
high, and on paper two of them fit side by side. They are drawn in ink on paper (`INK`, `PAPER`, `GRID`, `FAINT`);
the report replaces these four by its own variables, so that a dark page has light figures' ink and no white slabs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl

INK = "#1d2329"
FAINT = "#5d6772"
GRID = "#d5dae0"
PAPER = "#fefefe"

WIDTH_IN = 5.4
SMALL_PT = 9.0

RC: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": PAPER,
    "savefig.dpi": 160,
    "axes.facecolor": PAPER,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.frameon": False,
    "legend.fontsize": SMALL_PT,
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "hatch.linewidth": 0.8,
    "lines.linewidth": 1.8,
    # Text as outlines: it looks the same, and takes the same room, wherever the file is opened.
    "svg.fonttype": "path",
    # Ids that do not change from one drawing to the next.
    "svg.hashsalt": "echobench",
    # Names and labels are other people's text: a dollar sign in them is no formula.
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Look:
    """How a model is drawn."""

    color: str
    marker: str
    line: Literal["-"] | tuple[float, tuple[float, ...]]


_KNOWN: Mapping[str, Look] = {
    "fork": Look("#d55e00", "s", (0, (5.0, 1.5))),
    "thread": Look("#e69f00", "^", (0, (3.0, 1.2, 1.0, 1.2))),
    "selectors": Look("#009e73", "D", (0, (1.2, 1.2))),
    "asyncio": Look("#0072b2", "o", "-"),
    "hybrid": Look("#cc79a7", "v", (0, (8.0, 1.5, 1.0, 1.5))),
}
_OTHERS = (
    Look("#56b4e9", "P", (0, (2.0, 1.0))),
    Look("#7f7f7f", "X", "-"),
    Look("#8c6d31", "*", (0, (5.0, 1.0, 1.0, 1.0, 1.0, 1.0))),
    Look("#5e4fa2", "h", (0, (6.0, 2.0))),
    Look("#b2182b", "p", (0, (1.0, 2.0))),
)


def looks(models: Iterable[str]) -> dict[str, Look]:
    """Return the look of each model; models of other people's get the free ones in alphabetical order.

    With options (`selectors --selector poll`) a model keeps its look where it is the first of its variants, so that
    the variants of one model differ as models do.
    """
    names = list(models)
    own: dict[str, str] = {}
    for name in sorted(set(names)):
        own.setdefault(name.partition(" --")[0], name)
    known = {name: _KNOWN[model] for model, name in own.items() if model in _KNOWN}
    others = sorted(set(names) - known.keys())
    free = {name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(others)}
    return {name: known.get(name) or free[name] for name in names}


@contextmanager
def applied() -> Iterator[None]:
    """Draw and save with this style meanwhile, whatever matplotlib's own configuration says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield
