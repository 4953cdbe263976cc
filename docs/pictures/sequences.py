"""Sequence pictures out of text: `python docs/pictures/sequences.py [--check]`.

Each `NAME.txt` beside this file becomes `NAME.svg`. `--check` writes nothing and fails where a picture is not what its
text makes. A text is a title, a line `actors: a, b, c`, and then one step a line, from the top to the bottom:

    a -> b: words        a message, and what it is; the words may be left out
    a -x b: words        a message that doesn't arrive, or is dropped where it does
    a: words             a note at one actor; `a, c: words` spans from one to another
    new a                from here on the actor lives (without it: from the top)
    end a                here it ends
    = words              a heading across the picture

A picture is 480 units wide with letters of 14, so that it can be read on a telephone, and has a light background of its
own, so that it can be read in the dark.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
WIDTH, MARGIN, LINE, LETTER = 480, 6, 17, 7.1  # LETTER: the mean width of a letter of 14, on the safe side
PAPER, INK, FAINT, CALL, LOST, NOTE = "#fdfdfb", "#1f2328", "#9aa0a6", "#1a5fb4", "#b3261e", "#fff3cd"
STYLE = f"text {{ font: 14px system-ui, sans-serif; fill: {INK} }} .b {{ font-weight: 600 }}"
BOLD = ' class="b"'
OVER_LINES = f' stroke="{PAPER}" stroke-width="4" paint-order="stroke"'  # paper around letters keeps lines off them
STEP = re.compile(r"(?P<one>[^:=]+?) (?P<arrow>->|-x) (?P<other>[^:]+)(?:: (?P<words>.*))?$")


class Picture:
    """A picture in the making: what was drawn, how far down it reaches, who lives where."""

    def __init__(self, title: str, actors: list[str], born_later: set[str]) -> None:
        self._drawn: list[str] = []
        self._lines: list[str] = []  # the lives, drawn below everything else
        self._title = title
        column = WIDTH / len(actors)
        self._column = column
        self._x = {actor: column * (index + 0.5) for index, actor in enumerate(actors)}
        self._y = 12.0
        self._text(title, WIDTH / 2, WIDTH - 2 * MARGIN, look=BOLD)
        self._y += 8
        top = self._y
        heads = max(len(_wrapped(actor, column - 16)) for actor in actors)
        for actor, x in self._x.items():
            self._y = top
            self._box(x - column / 2 + 4, column - 8, heads * LINE + 8, "#e8eef7", CALL)
            self._y += 4
            self._text(actor, x, column - 16, look=BOLD)
        self._y = top + heads * LINE + 8
        self._since = {actor: self._y for actor in actors if actor not in born_later}
        self._y += 8

    def message(self, one: str, other: str, words: str, *, arrives: bool) -> None:
        """Draw an arrow from one actor to another, its words above it."""
        start, end = self._x[one], self._x[other]
        self._text(words, (start + end) / 2, abs(end - start) - 12)
        self._y += 5
        y, toward = self._y, 1 if end > start else -1
        colour = CALL if arrives else LOST
        stop = end - 3 * toward if arrives else end - 14 * toward
        self._drawn.append(f'<path d="M{start:g} {y:g}H{stop:g}" stroke="{colour}" stroke-width="1.6"/>')
        if arrives:
            self._drawn.append(
                f'<path d="M{end - 2 * toward:g} {y:g}l{-9 * toward} -4.5v9z" fill="{colour}" stroke="none"/>'
            )
        else:
            self._cross(stop, y)
        self._y += 9

    def note(self, one: str, other: str, words: str) -> None:
        """Draw a box with words at an actor, or from one to another."""
        left, right = sorted((self._x[one], self._x[other]))
        width = min(WIDTH - 2 * MARGIN, right - left + max(self._column, 150 if one == other else 0) - 10)
        x = min(max(MARGIN, (left + right - width) / 2), WIDTH - MARGIN - width)
        height = len(_wrapped(words, width - 12)) * LINE + 8
        self._box(x, width, height, NOTE, "#c9a227")
        self._y += 3
        self._text(words, x + width / 2, width - 12, look="")
        self._y += 11

    def heading(self, words: str) -> None:
        """Draw a line of words across the picture."""
        self._y += 4
        self._box(0, WIDTH, LINE + 6, "#eceff1", "none")
        self._y += 2
        self._text(words, WIDTH / 2, WIDTH - 2 * MARGIN, look=BOLD)
        self._y += 10

    def begin(self, actor: str) -> None:
        """Let an actor live from here on."""
        self._since[actor] = self._y

    def end(self, actor: str) -> None:
        """Let an actor's life end here."""
        self._life(actor)
        self._cross(self._x[actor], self._y)
        self._y += 12

    def svg(self) -> str:
        """Return the picture."""
        self._y += 4
        for actor in list(self._since):
            self._life(actor)
        height = f"{self._y + MARGIN:g}"
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" role="img">',
                f"<title>{escape(self._title)}</title>",
                f"<style>{STYLE}</style>",
                f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PAPER}"/>',
                *self._lines,
                *self._drawn,
                "</svg>\n",
            ]
        )

    def _life(self, actor: str) -> None:
        x, top = self._x[actor], self._since.pop(actor)
        self._lines.append(f'<path d="M{x:g} {top:g}V{self._y:g}" stroke="{FAINT}" stroke-width="1.5"/>')

    def _cross(self, x: float, y: float) -> None:
        self._drawn.append(f'<path d="M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10" stroke="{LOST}" stroke-width="2"/>')

    def _box(self, x: float, width: float, height: float, fill: str, stroke: str) -> None:
        self._drawn.append(
            f'<rect x="{x:g}" y="{self._y:g}" width="{width:g}" height="{height:g}" rx="4" '
            f'fill="{fill}" stroke="{stroke}"/>'
        )

    def _text(self, words: str, x: float, width: float, *, look: str = OVER_LINES) -> None:
        """Write words centred at `x`, wrapped to a width."""
        for line in _wrapped(words, width):
            self._y += LINE
            self._drawn.append(
                f'<text x="{x:g}" y="{self._y - 4:g}" text-anchor="middle"{look}>{escape(line, quote=False)}</text>'
            )


def render(text: str) -> str:
    """Return the SVG of a text; raises ValueError for a step that it does not know."""
    title, actors, *steps = (line.strip() for line in text.strip().splitlines())
    names = [name.strip() for name in actors.removeprefix("actors:").split(",")]
    picture = Picture(title, names, {step.removeprefix("new ") for step in steps if step.startswith("new ")})
    for step in filter(None, steps):
        _draw(picture, step, names)
    return picture.svg()


def stale() -> Iterator[tuple[Path, str]]:
    """Yield the pictures that are not what their texts make, each with what it should be."""
    for source in sorted(HERE.glob("*.txt")):
        target, wanted = source.with_suffix(".svg"), render(source.read_text(encoding="utf-8"))
        if not target.exists() or target.read_text(encoding="utf-8") != wanted:
            yield target, wanted


def main(arguments: list[str]) -> int:
    """Write the pictures, or with `--check` tell which of them are old."""
    old = list(stale())
    for target, wanted in old:
        if "--check" not in arguments:
            target.write_text(wanted, encoding="utf-8")
        print(f"{target.name} {'is old' if '--check' in arguments else 'written'}")
    return int(bool(old) and "--check" in arguments)


def _draw(picture: Picture, step: str, names: list[str]) -> None:
    if step.startswith("= "):
        picture.heading(step[2:])
    elif step.startswith("new "):
        picture.begin(step[4:])
    elif step.startswith("end "):
        picture.end(step[4:])
    elif found := STEP.match(step):
        one, arrow, other, words = found.groups()
        picture.message(one, other, words or "", arrives=arrow == "->")
    else:
        where, colon, words = step.partition(": ")
        ends = [name.strip() for name in where.split(",")]
        if not colon or not set(ends) <= set(names):
            raise ValueError(f"no step of a sequence: {step!r}")
        picture.note(ends[0], ends[-1], words)


def _wrapped(words: str, width: float) -> list[str]:
    return textwrap.wrap(words, max(8, int(width / LETTER)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
