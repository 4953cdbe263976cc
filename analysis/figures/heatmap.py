"""Conditions against contenders as a picture: where a contender is good, and who wins each condition, in words.

The darker a tile, the nearer to the best of its line: one hue that only gets darker, so it reads the same in grey and
with colour blindness, and every tile says its figure too. Tiles keep their own colours on a dark page, and so does the
text in them; bounds have no colour, for nobody knows which one.

The figure is laid out in inches: the axes are as many units wide and high as they have inches, so that a tile, a line
of text and the letters that fit into it are known before anything is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis import overview
from analysis.figures import drawing, style
from analysis.overview import FAILED, IMPOSSIBLE, Line, Mark, Tile
from analysis.views import ConditionView

TILE_IN = 0.5
SIDE_IN = 1.37  # of the labels and of the words, at least
LINE_IN = 0.145
GAP_IN = 0.05
LETTER_IN = 0.0715  # a wide one of 8.5 points
TEXT_PT = 8.5
HEADS_AGAIN_FROM = 12  # lines: below them the contenders are named again
STEEPNESS = 1.7  # of the shades: more of them near the best, where contenders differ
DARK_FROM = 0.82  # of the shades: from there white stands out, up to there black
# Fixed, unlike the ink of the page: tiles keep their colours on a dark one.
ON_LIGHT, ON_DARK = "#000000", "#ffffff"
GROUND = {"facecolor": style.PAPER, "edgecolor": "none", "pad": 0.4}


def figure(conditions_views: Sequence[ConditionView]) -> Figure:
    """Draw throughput under closed load relative to the best of each condition: a row a condition, a column a model."""
    with style.applied():
        models = overview.contenders(conditions_views)
        common, rest = overview.labels(conditions_views)
        lines = [overview.line(view, models) for view in conditions_views]
        side_in = max(SIDE_IN, (style.WIDTH_IN - 0.15 - TILE_IN * len(models)) / 2)
        letters = int(side_in / LETTER_IN)
        labels = [textwrap.wrap(label, letters) for label in rest]
        words = [textwrap.wrap(line.words, letters) for line in lines]
        heights_in = [
            max(2, len(label), len(said)) * LINE_IN + 2 * GAP_IN for label, said in zip(labels, words, strict=True)
        ]
        heads_in = 0.1 + LETTER_IN * max((len(drawing.short(model)) for model in models), default=0)
        again = len(lines) >= HEADS_AGAIN_FROM
        size = (2 * side_in + TILE_IN * len(models), sum(heights_in) + heads_in * (2 if again else 1))
        note = _note(lines)
        drawn = _canvas(size, common, note)
        axes = _axes(drawn, size)
        _heads(axes, models, side_in, heads_in - 0.05, "bottom")
        top = heads_in
        for line, label, said, height_in in zip(lines, labels, words, heights_in, strict=True):
            _row(axes, line, (label, said), (side_in, top, height_in))
            top += height_in
        if again:
            _heads(axes, models, side_in, top + 0.05, "top")
        return drawn


def _canvas(size: tuple[float, float], common: str, note: str) -> Figure:
    """Return a figure with head and foot around so many inches."""
    head_in = 0.38 + 0.17 * max(1, len(textwrap.wrap(common, 74)))
    foot_in = 0.1 + 0.165 * len(textwrap.wrap(note, 82))
    drawn = Figure(figsize=(size[0] + 0.15, size[1] + head_in + foot_in + 0.1))
    drawing.head(drawn, "Throughput under closed load, % of the best", common)
    drawing.foot(drawn, note)
    return drawn


def _axes(drawn: Figure, size: tuple[float, float]) -> Axes:
    axes = drawn.subplots()
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    axes.set_axis_off()
    return axes


def _heads(axes: Axes, models: Sequence[str], left: float, at: float, va: str) -> None:
    for column, model in enumerate(models):
        place = left + (column + 0.5) * TILE_IN
        axes.text(place, at, drawing.short(model), rotation=90, ha="center", va=va, fontsize=style.SMALL_PT)


def _row(axes: Axes, line: Line, texts: tuple[Sequence[str], Sequence[str]], place: tuple[float, float, float]) -> None:
    """Draw a condition: its label, its tiles, its words; `place` is the left end of the tiles, the top, the height."""
    left, top, height = place
    middle = top + height / 2
    right = left + TILE_IN * len(line.tiles)
    for column, tile in enumerate(line.tiles):
        _tile(axes, tile, (left + column * TILE_IN, top, height))
    for at, said, weight in ((0.0, texts[0], "normal"), (right + 0.1, texts[1], "bold" if _sure(line) else "normal")):
        axes.text(at, middle, "\n".join(said), va="center", fontsize=TEXT_PT, fontweight=weight, linespacing=1.15)


def _sure(line: Line) -> bool:
    marks = {tile.mark for tile in line.tiles}
    return Mark.LEADS in marks and Mark.BOUND not in marks


def _tile(axes: Axes, tile: Tile, place: tuple[float, float, float]) -> None:
    left, top, height = place
    corner, width, tall = (left + 0.02, top + 0.02), TILE_IN - 0.04, height - 0.04
    face, ink = _colors(tile)
    axes.add_patch(Rectangle(corner, width, tall, facecolor=face, edgecolor="none"))
    if tile.mark is Mark.BOUND:
        axes.add_patch(
            Rectangle(corner, width, tall, facecolor="none", edgecolor=style.FAINT, hatch="///", linewidth=0)
        )
    if tile.mark in (Mark.LEADS, Mark.TIES):
        line = "-" if tile.mark is Mark.LEADS else (0, (2.5, 1.5))
        axes.add_patch(Rectangle(corner, width, tall, fill=False, edgecolor=style.INK, linewidth=1.8, linestyle=line))
    axes.text(
        left + TILE_IN / 2,
        top + height / 2,
        tile.words,
        ha="center",
        va="center",
        fontsize=TEXT_PT,
        fontweight="bold" if tile.mark is Mark.LEADS else "normal",
        color=ink,
        bbox=GROUND if tile.mark is Mark.BOUND else None,
    )


def _colors(tile: Tile) -> tuple[str, str]:
    """Return the colours of a tile and of the text in it."""
    if tile.mark is Mark.BOUND:
        return style.PAPER, style.INK
    if tile.mark is Mark.NOTHING:
        return style.PAPER, style.FAINT
    shade = min(1.0, max(0.0, tile.part)) ** STEEPNESS
    face = to_hex(mpl.colormaps["Blues"](0.1 + 0.75 * shade))
    return face, ON_DARK if shade > DARK_FROM else ON_LIGHT


def _note(lines: Sequence[Line]) -> str:
    """Return what the marks that occur mean."""
    tiles = [tile for line in lines for tile in line.tiles]
    marks = {tile.mark for tile in tiles}
    meanings = {
        "solid frame: ahead of all that have a place": Mark.LEADS in marks,
        "dashed frames: a tie, the rounds do not tell them apart": Mark.TIES in marks,
        "hatched: a lower bound, the load generator was the limit, so its place is not known": Mark.BOUND in marks,
        "no frame in a line: too few rounds to tell": Mark.UNRANKED in marks,
        "-: not measured": any(tile.words == "-" for tile in tiles),
        f"{FAILED}: in every round": any(tile.words == FAILED for tile in tiles),
        f"{IMPOSSIBLE}: can't be measured here": any(tile.words == IMPOSSIBLE for tile in tiles),
    }
    found = [meaning for meaning, holds in meanings.items() if holds]
    if not marks - {Mark.NOTHING}:
        return "nothing was measured"
    return "; ".join(["the darker, the nearer to the best of the line; x: times", *found])
