"""A document as one HTML file: no other file, no network, every text escaped, pictures inline, a size that it keeps.

The page's policy forbids it to load anything, and to run any script but the one that is known by its hash: a record
that carries hostile text can change neither, whatever escaping might have missed.

A page is at most `LIMIT_BYTES` large, however many cells a run has. Where everything would be more, pictures are left
to their files, each with a link in its place: the chapters take turns, so that each keeps the pictures that it shows
first. Tables may take two thirds of a page that has more pictures than the last third can hold; beyond that, folded
sections that nothing leads to go, from the end: the report in Markdown has them. The page says at its top what was left
out.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape as _escape
from urllib.parse import quote

from analysis import wording
from analysis.figures import svg
from analysis.report import page
from analysis.report.document import (
    Block,
    Bullets,
    Document,
    Entry,
    Head,
    Paragraph,
    Picture,
    Row,
    Section,
    Statements,
    Table,
    Terms,
)

LIMIT_BYTES = 2_900_000
LEFT_OUT = '<p>Left out to keep this page small: <a href="report.md">report.md</a> has it.</p>\n'
# The part of a page that is kept for pictures, if it has so many.
PICTURES_SHARE = 1 / 3
# What stands around the sections: the frame, and a contents that grows with them.
FRAME_BYTES = 20_000
# The script reads such figures from their text; others get a value to sort by.
_FIGURE = re.compile(r"(?:[<>]= )?-?[\d,]*\.?\d+")

Inlined = Mapping[str, svg.Inline]


@dataclass(frozen=True)
class Fit:
    """What a page has room for: its pictures by stem, and the places of the sections that it leaves out."""

    pictures: Inlined
    omitted: frozenset[int]


def escape(text: str) -> str:
    """Return a text that HTML shows as it is, also inside an attribute."""
    return _escape(wording.printable(text))


def render(document: Document, limit_bytes: int = LIMIT_BYTES) -> str:
    """Return the document as an HTML page; what would make it larger than the limit is left out and told."""
    fit = _fit(document, limit_bytes)
    digest = base64.b64encode(hashlib.sha256(page.SCRIPT.encode()).digest()).decode()
    return page.PAGE.substitute(
        title=escape(document.title),
        subtitle=escape(document.subtitle),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        style=page.STYLE,
        left_out="".join(f"<p>{escape(sentence)}</p>" for sentence in _left_out(document, fit, limit_bytes)),
        contents="".join(_contents(document)),
        letters=_letters(fit.pictures.values()),
        body="".join(_section(section, place, fit) for place, section in enumerate(document.sections)),
        script=page.SCRIPT,
    )


def _fit(document: Document, limit_bytes: int) -> Fit:
    """Choose what there is room for: all tables if possible, and as many pictures as fit beside them."""
    bare = Fit({}, frozenset())
    sizes = [_size(_section(section, place, bare)) for place, section in enumerate(document.sections)]
    room = limit_bytes - FRAME_BYTES - sum(sizes)
    drawn = [block.svg for section in document.sections for block in section.blocks if isinstance(block, Picture)]
    wanted = min(sum(map(_size, drawn)), PICTURES_SHARE * limit_bytes)
    omitted: set[int] = set()
    for place, section in reversed([*enumerate(document.sections)]):
        if room >= wanted:
            break
        if section.folded and not section.anchor:
            omitted.add(place)
            room += sizes[place] - _size(_section(section, place, Fit({}, frozenset({place}))))
    kept = [section for place, section in enumerate(document.sections) if place not in omitted]
    return Fit(_pictures(kept, room), frozenset(omitted))


def _pictures(sections: Sequence[Section], room: int) -> Inlined:
    """Return the pictures that there is room for, the chapters taking turns."""
    chapters: list[list[Picture]] = [[]]
    for section in sections:
        if section.level == 2:
            chapters.append([])
        chapters[-1] += [block for block in section.blocks if isinstance(block, Picture)]
    chosen: dict[str, svg.Inline] = {}
    letters: set[str] = set()
    for number, picture in enumerate(filter(None, itertools.chain.from_iterable(itertools.zip_longest(*chapters)))):
        drawn = svg.inline(picture.svg, f"f{number}")
        outlines = sum(_size(outline) for name, outline in drawn.letters.items() if name not in letters)
        cost = _size(drawn.text) + outlines
        if cost <= room:
            room -= cost
            chosen[picture.stem] = drawn
            letters |= drawn.letters.keys()
    return chosen


def _size(text: str) -> int:
    return len(text.encode())


def _left_out(document: Document, fit: Fit, limit_bytes: int) -> Iterator[str]:
    stems = [block.stem for section in document.sections for block in section.blocks if isinstance(block, Picture)]
    missing = len(stems) - len(fit.pictures)
    parts = [f"{missing:,} of its {len(stems):,} figures are links to the folder figures/"] if missing else []
    if fit.omitted:
        parts.append(f"{wording.plural(len(fit.omitted), 'folded section')} can be read in report.md alone")
    if parts:
        yield f"To keep this page under {limit_bytes / 1e6:.2g} MB, {wording.listing(parts)}."


def _letters(pictures: Iterable[svg.Inline]) -> str:
    """Return the outlines of all letters, once for all pictures of the page."""
    found: dict[str, str] = {}
    for picture in pictures:
        found |= picture.letters
    outlines = "".join(found.values())
    return f'<svg class="letters" aria-hidden="true"><defs>{outlines}</defs></svg>\n' if found else ""


def _contents(document: Document) -> Iterator[str]:
    for place, section in enumerate(document.sections):
        if section.level == 2:
            yield f'<li><a href="#{_id(section, place)}">{escape(section.title)}</a></li>'


def _id(section: Section, place: int) -> str:
    return escape(section.anchor) or f"s{place}"


def _section(section: Section, place: int, fit: Fit) -> str:
    name, level = _id(section, place), section.level
    if section.folded:
        heading = f"<summary><h{level}>{escape(section.title)}</h{level}></summary>\n"
        inside = LEFT_OUT if place in fit.omitted else "".join(_blocks(section, fit.pictures))
        return f'<details id="{name}">{heading}{inside}</details>\n'
    return f'<h{level} id="{name}">{escape(section.title)}</h{level}>\n{"".join(_blocks(section, fit.pictures))}'


def _blocks(section: Section, inlined: Inlined) -> Iterator[str]:
    pictures = [block for block in section.blocks if isinstance(block, Picture)]
    for block in section.blocks:
        if block in pictures[:1]:
            # The pictures of a section stand beside each other where there is room.
            yield f'<div class="pictures">{"".join(_picture(picture, inlined) for picture in pictures)}</div>\n'
        elif not isinstance(block, Picture):
            yield _block(block)


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{escape(text)}</p>\n"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>\n"
        case Statements(items):
            said = (f"<li>{_link(item.title, item.href)} {escape(item.text)}</li>" for item in items)
            return f'<ul class="statements">{"".join(said)}</ul>\n'
        case Terms(items):
            rows = (f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in items)
            return f"<dl>{''.join(rows)}</dl>\n"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, {})


def _link(text: str, href: str) -> str:
    return f'<a href="{escape(quote(href, safe="/#"))}">{escape(text)}</a>'


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col"{_side(head)}><span>{escape(head.title)}</span></th>' for head in table.heads)
    rows = "".join(_row(row, table.heads) for row in table.rows)
    kind = "table wide" if table.wide else "table"
    return (
        f'<div class="{kind}"><table><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>\n"
    )


def _row(row: Row, heads: tuple[Head, ...]) -> str:
    anchor = f' id="{escape(row.anchor)}"' if row.anchor else ""
    pairs = list(zip(row.entries, heads, strict=True))
    leads = next((entry.href for entry, head in pairs if entry.href.startswith("#") and not head.number), "")
    cells = "".join(_entry(entry, head, leads) for entry, head in pairs)
    return f"<tr{anchor}>{cells}</tr>\n"


def _entry(entry: Entry, head: Head, leads: str) -> str:
    named = bool(entry.href)
    figure = head.number and any(letter.isdecimal() for letter in entry.text)
    href = entry.href or (leads if figure else "")
    text = _link(entry.text, href) if href else escape(entry.text)
    if entry.doubt:
        text = f'<strong class="doubt">{text}</strong>'
    if entry.note:
        text += f" <small>{escape(entry.note)}</small>"
    if named and not head.number:
        return f'<th scope="row"{_sort(entry, head)}>{text}</th>'
    return f"<td{_side(head)}{_sort(entry, head)}>{text}</td>"


def _sort(entry: Entry, head: Head) -> str:
    """Return the value to sort by where the script can't read it from the text itself."""
    if entry.sort is None or (head.number and _FIGURE.fullmatch(entry.text)):
        return ""
    # Python's inf and nan are Infinity and NaN to the script; Number("nan") is NaN as well.
    return f' data-sort="{str(entry.sort).replace("inf", "Infinity")}"'


def _side(head: Head) -> str:
    return ' class="n"' if head.number else ""


def _picture(picture: Picture, inlined: Inlined) -> str:
    """Return a figure, or a link to its file where the page has no room for it."""
    drawn = inlined.get(picture.stem)
    if drawn is None:
        return f'<p class="left-out">{_link(f"Figure: {picture.words}", f"figures/{picture.stem}.svg")}</p>\n'
    return f'<figure role="img" aria-label="{escape(picture.words)}">{drawn.text}</figure>\n'
