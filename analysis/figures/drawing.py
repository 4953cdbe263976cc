"""What the figures are put together from: title and note, rows of models, what stands in them, and their files."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis import stats
from analysis.figures import style
from analysis.figures.style import Look

BAR_HEIGHT = 0.62
NAME_LETTERS = 16  # of them three names fit beside their lines
OPTION_LETTERS = 24  # and two of these
Fill = Literal["solid", "pale", "hatched"]


def bar(axes: Axes, place: float, ends: tuple[float, float], color: str, look: Fill = "solid") -> None:
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
    axes.set_yticks(range(len(models)), [two_lines(short(model)) for model in models])
    axes.set_ylim(max(1, len(models)) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=10)
    return figure, axes


def short(name: str) -> str:
    """Return a name that leaves room for the figures: a model's with at most 16 letters, with its options 24.

    The flags of options are left out where their values speak for themselves: `selectors poll`, `hybrid workers 2`.
    """
    model, *options = name.split(" --")
    words = [model if len(model) <= NAME_LETTERS else f"{model[: NAME_LETTERS - 3]}..."]
    for option in options:
        flag, _, value = option.partition(" ")
        words.append(value if value and not value[0].isdecimal() else option.replace("=", " ").strip() or flag)
    text = " ".join(words)
    most = OPTION_LETTERS if options else NAME_LETTERS
    return text if len(text) <= most else f"{text[: most - 3]}..."


def two_lines(name: str) -> str:
    """Return a name for the left of a row: a long one has its options under it."""
    return name if len(name) <= NAME_LETTERS else name.replace(" ", "\n", 1)


def legend_columns(names: Iterable[str]) -> int:
    """Return how many names fit beside each other, each with its line."""
    return 2 if any(len(short(name)) > NAME_LETTERS for name in names) else 3


def legend_height(names: Collection[str]) -> float:
    """Return the height of a legend in inches."""
    return 0.19 * math.ceil(len(names) / legend_columns(names))


def legend(
    axes: Axes,
    looks: Mapping[str, Look],
    bound: Collection[str] = (),
    more: Sequence[Line2D] = (),
    *,
    lines: bool = True,
) -> None:
    """Write above the axes whose each line, or without `lines` each mark, is.

    The names in `bound` stand for upper bounds; `more` comes behind.
    """
    names = {model: ("<= " if model in bound else "") + short(model) for model in looks}
    handles = [
        Line2D(
            [],
            [],
            color=look.color,
            linestyle=look.line if lines else "none",
            marker=look.marker,
            markersize=5.5 if lines else 7.5,
            label=names[model],
        )
        for model, look in looks.items()
    ]
    axes.legend(
        handles=[*handles, *more],
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.03),
        borderaxespad=0.0,
        ncols=legend_columns([*looks, *(str(line.get_label()) for line in more)]),
        handlelength=3.0 if lines else 1.2,
        columnspacing=1.2,
    )


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


def rounds(axes: Axes, place: float, values: Sequence[float]) -> None:
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


def absent(axes: Axes, place: float, words: str) -> None:
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


def log_ticks(axes: Axes, span: float) -> None:
    """Set the ticks of a logarithmic vertical axis that reaches over `span` times its lower end."""
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if span < 300 else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    axes.yaxis.set_minor_locator(NullLocator())


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
