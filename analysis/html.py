"""A document as one HTML file: no other file, no network, every text escaped, pictures inline.

The page's policy forbids it to load anything, and to run any script but the one that is known by its hash: a record
that carries hostile text can change neither, whatever escaping might have missed.

Inline pictures take the page's ink and paper, so that they fit a light and a dark page alike. All pictures of a page
share one name space: their ids are made unique, but for the outlines of letters, which stand once for all of them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html import escape as _escape
from urllib.parse import quote

from analysis import page, style, wording
from analysis.document import Block, Bullets, Document, Entry, Head, Paragraph, Picture, Row, Section, Table, Terms

_OUTER = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACES = re.compile(r'\sxmlns(?::\w+)?="[^"]*"')
_SIZE = re.compile(r'<svg([^>]*?)\swidth="[^"]*"([^>]*?)>')
_HEIGHT = re.compile(r'(<svg[^>]*?)\sheight="[^"]*"')
_COMMENTS = re.compile(r"<!--.*?-->", re.DOTALL)
_BETWEEN = re.compile(r">\s+<")
# Letters are outlines, called after font and number: the same name is the same outline in every picture of a page.
_LETTER = re.compile(r'<path id="(DejaVu[^"]*)"[^>]*/>')
_IDS = re.compile(r'(\bid="|href="#|url\(#)(?!DejaVu)')
_INKS = {style.INK: "--ink", style.FAINT: "--faint", style.GRID: "--line", style.PAPER: "--paper"}


def escape(text: str) -> str:
    """Return a text that HTML shows as it is, also inside an attribute."""
    return _escape(wording.printable(text))


def render(document: Document) -> str:
    """Return the document as an HTML page."""
    digest = base64.b64encode(hashlib.sha256(page.SCRIPT.encode()).digest()).decode()
    return page.PAGE.substitute(
        title=escape(document.title),
        subtitle=escape(document.subtitle),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        style=page.STYLE,
        contents="".join(_contents(document)),
        body=_letters_once("".join(_section(section, place) for place, section in enumerate(document.sections))),
        script=page.SCRIPT,
    )


def _letters_once(body: str) -> str:
    """Return the page without the repeated outlines of letters."""
    seen: set[str] = set()

    def first_only(found: re.Match[str]) -> str:
        new = found[1] not in seen
        seen.add(found[1])
        return found[0] if new else ""

    return _LETTER.sub(first_only, body)


def _contents(document: Document) -> Iterator[str]:
    for place, section in enumerate(document.sections):
        if section.level == 2:
            yield f'<li><a href="#s{place}">{escape(section.title)}</a></li>'


def _section(section: Section, place: int) -> str:
    level = section.level
    pictures = [block for block in section.blocks if isinstance(block, Picture)]
    parts = [f'<h{level} id="s{place}">{escape(section.title)}</h{level}>\n']
    for block in section.blocks:
        if block in pictures[:1]:
            # The pictures of a section stand beside each other where there is room.
            parts.append(f'<div class="pictures">{"".join(_picture(picture) for picture in pictures)}</div>\n')
        elif not isinstance(block, Picture):
            parts.append(_block(block))
    return "".join(parts)


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{escape(text)}</p>\n"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>\n"
        case Terms(items):
            rows = (f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in items)
            return f"<dl>{''.join(rows)}</dl>\n"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block)


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col"{_side(head)}><span>{escape(head.title)}</span></th>' for head in table.heads)
    rows = "".join(_row(row, table.heads) for row in table.rows)
    kind = "wide" if table.wide else "cards"
    return (
        f'<div class="table {kind}"><table><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>\n"
    )


def _row(row: Row, heads: tuple[Head, ...]) -> str:
    anchor = f' id="{escape(row.anchor)}"' if row.anchor else ""
    cells = "".join(_entry(entry, head) for entry, head in zip(row.entries, heads, strict=True))
    return f"<tr{anchor}>{cells}</tr>\n"


def _entry(entry: Entry, head: Head) -> str:
    text = escape(entry.text)
    if entry.href:
        text = f'<a href="{escape(quote(entry.href, safe="/#"))}">{text}</a>'
    if entry.doubt:
        text = f'<strong class="doubt">{text}</strong>'
    if entry.note:
        text += f" <small>{escape(entry.note)}</small>"
    # Python's inf and nan are Infinity and NaN to the script; Number("nan") is NaN as well.
    sort = "" if entry.sort is None else f' data-sort="{str(entry.sort).replace("inf", "Infinity")}"'
    return f'<td data-head="{escape(head.title)}"{_side(head)}{sort}><span>{text}</span></td>'


def _side(head: Head) -> str:
    return ' class="number"' if head.number else ""


def _picture(picture: Picture) -> str:
    return f'<figure role="img" aria-label="{escape(picture.words)}">{inline(picture.svg, picture.stem)}</figure>\n'


def inline(svg: str, prefix: str) -> str:
    """Return a figure's SVG for a place inside an HTML page; `prefix` makes its ids unique there."""
    text = _COMMENTS.sub("", _METADATA.sub("", _OUTER.sub("", svg, count=1)))
    text = _HEIGHT.sub(r"\1", _SIZE.sub(r"<svg\1\2>", text, count=1), count=1)
    text = _BETWEEN.sub("><", _NAMESPACES.sub("", text))
    text = _IDS.sub(lambda found: found[1] + f"{prefix}-", text)
    for ink, name in _INKS.items():
        text = text.replace(ink, f"var({name})")
    return text
