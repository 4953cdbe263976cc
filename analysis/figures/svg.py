"""Figures' SVG made ready for a page: small, in the page's own colours, and at peace with other figures beside it.

matplotlib writes a figure for programs: ids on everything, six decimals, comments, and each letter as an outline that
is defined where it is first used. Inside a page a third of that does. Ids that nothing refers to go; the others get a
prefix, since all figures of a page share one name space. Places are rounded to hundredths of a point, a twentieth of
what a screen can show. The outlines of letters are called after font and number, so the same name is the same outline
in every figure: they are taken out (`letters`), and the page defines each of them once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.figures import style

_OUTER = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_COMMENTS = re.compile(r"<!--.*?-->", re.DOTALL)
_NAMESPACES = re.compile(r'\sxmlns(?::\w+)?="[^"]*"')
_SIZE = re.compile(r'<svg([^>]*?)\swidth="[^"]*"([^>]*?)>')
_HEIGHT = re.compile(r'(<svg[^>]*?)\sheight="[^"]*"')
_SPACE = re.compile(r"\s+")
_BETWEEN = re.compile(r">\s+<")
_LETTER = re.compile(r'<path id="(DejaVu[^"]*)"[^>]*/>')
_USED_LETTER = re.compile(
    r'<use xlink:href="#(DejaVu[^"]*)"(?: transform="translate\(([-\d.]+)(?:[ ,]([-\d.]+))?\)")?/>'
)
# matplotlib calls a letter after its font, DejaVu Sans in one of its styles, and its number: DejaVuSans-Bold-4c.
_NAME = re.compile(r"DejaVuSans-(?:(\w+)-)?([0-9a-f]+)\b")
_ID = re.compile(r'\sid="([^"]*)"')
_REFERENCE = re.compile(r'(href="#|url\(#)([^")]*)')
# A scale turns the font's units into points: its third decimal is a letter's size.
_DECIMALS = re.compile(r"scale\([^)]*\)|-?\d+\.\d{3,}")
_STYLE = re.compile(r' style="[^"]*"')
_EMPTY = re.compile(r"<defs></defs>|<g></g>|<g/>")

INKS: Mapping[str, str] = {style.INK: "ink", style.FAINT: "faint", style.GRID: "line", style.PAPER: "paper"}


@dataclass(frozen=True)
class Inline:
    """A figure for a place inside a page, and the outlines of its letters by their id."""

    text: str
    letters: Mapping[str, str]


def inline(svg: str, prefix: str) -> Inline:
    """Return a figure's SVG for a page that names its colours `--ink`, `--faint`, `--line` and `--paper`.

    `prefix` makes the figure's ids unique there.
    """
    text = _COMMENTS.sub("", _METADATA.sub("", _OUTER.sub("", svg, count=1)))
    text = _HEIGHT.sub(r"\1", _SIZE.sub(r"<svg\1\2>", text, count=1), count=1)
    text = _BETWEEN.sub("><", _SPACE.sub(" ", _NAMESPACES.sub("", text)))
    letters = {_called(found[1]): _called(found[0]) for found in _LETTER.finditer(text)}
    text = _USED_LETTER.sub(_letter, _LETTER.sub("", text))
    text = _DECIMALS.sub(_rounded, text).replace("xlink:href", "href")
    text = _EMPTY.sub("", _EMPTY.sub("", _own_ids(text, prefix)))
    for ink, name in INKS.items():
        text = text.replace(ink, f"var(--{name})")
    return Inline(_called(_STYLE.sub(_tight, text)), letters)


def _called(text: str) -> str:
    """Return a text in which letters have short names: `l4c`, `lB4c` for a bold one."""
    return _NAME.sub(lambda found: f"l{''.join(filter(str.isupper, found[1] or ''))}{found[2]}", text)


def _tight(found: re.Match[str]) -> str:
    return found[0].replace(": ", ":").replace("; ", ";")


def alone(svg: str, colors: Mapping[str, str]) -> str:
    """Return a figure's SVG as a small file of its own, its inks (`style.INK` and the others) replaced by `colors`."""
    text = _BETWEEN.sub("><", _COMMENTS.sub("", _METADATA.sub("", svg)))
    text = _DECIMALS.sub(_rounded, text)
    for ink, color in colors.items():
        text = text.replace(ink, color)
    return text


def _letter(found: re.Match[str]) -> str:
    places = "".join(
        f' {axis}="{_short(float(value), 1)}"'
        for axis, value in (("x", found[2]), ("y", found[3]))
        if value and float(value)
    )
    return f'<use href="#{found[1]}"{places}/>'


def _rounded(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith("scale") else _short(float(found[0]), 2)


def _short(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def _own_ids(text: str, prefix: str) -> str:
    """Return the figure with only those ids that it refers to, and with its prefix on all but letters."""
    used = dict.fromkeys(found[2] for found in _REFERENCE.finditer(text))
    own = {old: f"{prefix}-{number}" for number, old in enumerate(used) if not old.startswith("DejaVu")}

    def name(old: str) -> str:
        return own.get(old, old)

    text = _ID.sub(lambda found: f' id="{name(found[1])}"' if found[1] in used else "", text)
    return _REFERENCE.sub(lambda found: found[1] + name(found[2]), text)
