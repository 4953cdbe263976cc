"""What the figures are put together from: title and note, rows of models, what stands in them, and their files."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis import stats, style

BAR_HEIGHT = 0.62
Fill = Literal["solid", "pale", "hatched"]


def bar(axes: Axes, place: int, ends: tuple[float, float], color: str, look: Fill = "solid") -> None:
    """Draw a bar or a part of one; a pale one lets the paper show, light or dark, but not the grid."""
    left, width = ends[0], ends[1] - ends[0]
    if look != "solid":
        axes.barh(place, width, BAR_HEIGHT, left, color=style.PAPER)
    face = color if look == "solid" else (*to_rgb(color), 0.35)
    axes.barh(place, width, BAR_HEIGHT, left, facecolor=face, edgecolor=color)
    if look == "hatched":
        axes.barh(place, width, BAR_HEIGHT, left, facecolor="none", edgecolor=color, hatch="////")


def rows(models: Sequence[str], title: str, label: str) -> tuple[Figure, Axes]:
    """Return a figure with one row a model, the first at the top."""
    figure = Figure(figsize=(style.WIDTH_IN, 1.6 + 0.5 * max(1, len(models))))
    head(figure, title, label)
    axes = figure.subplots()
    axes.set_yticks(range(len(models)), [short(model) for model in models])
    axes.set_ylim(max(1, len(models)) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=10)
    return figure, axes


def short(name: str) -> str:
    """Return a model's name with at most 16 letters: more would leave no room for the figures."""
    return name if len(name) <= 16 else f"{name[:13]}..."


def head(figure: Figure, title: str, label: str) -> None:
    """Write title and condition at the top left, and leave the room below them to the axes."""
    lines = textwrap.wrap(label, 74)
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.08 / height, title, ha="left", va="top", fontsize=11, fontweight="bold")
    figure.text(0.012, 1 - 0.31 / height, "\n".join(lines), ha="left", va="top", fontsize=9, color=style.FAINT)
    top = (0.38 + 0.17 * len(lines)) / height
    figure.set_layout_engine("constrained", rect=(0.01, 0, 0.98, 1 - top))


def foot(figure: Figure, note: str) -> None:
    """Write what marks and lines are at the bottom left, and lift the axes above it."""
    lines = textwrap.wrap(note, 82)
    height = figure.get_figheight()
    figure.text(0.012, 0.06 / height, "\n".join(lines), ha="left", va="bottom", fontsize=8.5, color=style.FAINT)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)  # `head` has set it
    left, _, width, room = engine.get()["rect"]
    bottom = (0.1 + 0.165 * len(lines)) / height
    engine.set(rect=(left, bottom, width, room - bottom))


def rounds(axes: Axes, place: int, values: Sequence[float]) -> None:
    """Draw the median's interval as a line and each round as a dot, the first round at the top."""
    interval = stats.median(values).interval
    axes.plot([interval.low, interval.high], [place, place], color=style.INK, linewidth=1.6, solid_capstyle="butt")
    places = place + (np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1))
    axes.scatter(values, places, s=13, facecolor=style.PAPER, edgecolor=style.INK, linewidth=0.9, zorder=3)


def say(axes: Axes, place: int, right: float, words: str, remark: str) -> None:
    """Write a figure, and a remark under it, to the right of everything drawn in a row."""
    for text, up, size, weight, color in (
        (words, 6 if remark else 0, 10, "bold", style.INK),
        (remark, -6, 8.5, "normal", style.FAINT),
    ):
        axes.annotate(
            text,
            (right, place),
            xytext=(9, up),
            textcoords="offset points",
            va="center",
            fontsize=size,
            fontweight=weight,
            color=color,
        )


def absent(axes: Axes, place: int, words: str) -> None:
    """Say in a row why nothing is drawn there."""
    at = axes.get_yaxis_transform()
    axes.text(0.02, place, words, transform=at, va="center", fontsize=9, color=style.FAINT, fontstyle="italic")


def from_zero(axes: Axes, unit: str) -> None:
    """Let bars begin at zero, and leave room on the right for what is said there."""
    axes.set_xlim(0, max(axes.dataLim.x1, 1e-9) * 1.42)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlabel(unit)


def decades(axes: Axes, unit: str, values: Sequence[float]) -> None:
    """Show whole decades, with room on the right for what is said there."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    axes.set_xlim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high * 4)))
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(unit)


def plain(value: float, _place: int | None) -> str:
    """Format a tick: as it is, with thousands separators."""
    return f"{value:,.10g}"


def as_svg(figure: Figure) -> str:
    """Return a figure as SVG, the same text for the same figure."""
    with style.applied():
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        # What has been laid out once need not be laid out again for the next file.
        figure.set_layout_engine("none")
        return file.getvalue()


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    with style.applied():
        file = io.BytesIO()
        figure.savefig(file, format="png")
        return file.getvalue()
