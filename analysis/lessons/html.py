"""An answer as HTML, for a place in a notebook: no script, nothing loaded, every text escaped.

The same markup stands in Jupyter, whose page knows none of our colours, and in the pages that are made of the executed
notebooks. So an answer brings its own few rules of style, and each colour names what to fall back to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from analysis.figures import svg
from analysis.report import html
from analysis.report.document import Block, Bullets, Entry, Paragraph, Picture, Section, Statements, Table, Terms

STYLE = (
    "<style>.answer{display:grid;gap:1rem 2rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))}"
    ".answer>section{min-width:0}.answer figure{max-width:560px;margin:0}"
    ".answer figure svg{display:block;width:100%;height:auto}.answer .table{overflow-x:auto}"
    ".answer>.whole{grid-column:1/-1}.answer small{display:block;white-space:nowrap}</style>"
)
LETTERS = '<svg class="letters" aria-hidden="true" width="0" height="0" style="position:absolute"><defs>'
_OUTLINES = re.compile(rf"(?<={re.escape(LETTERS)}).*?(?=</defs>)", re.DOTALL)
_OUTLINE = re.compile(r'<path id="([^"]*)"[^>]*/>')
_FALLBACKS = {name: ink for ink, name in svg.INKS.items()}
_INK = re.compile(rf"var\(--({'|'.join(_FALLBACKS)})\)")


def render(parts: Iterable[Section]) -> str:
    """Return the parts of an answer, side by side where there is room.

    A part takes the whole width when it holds a table, or is but sentences of all the others: no title and no picture.
    """
    letters: dict[str, str] = {}
    found = "".join(_part(part, letters) for part in parts)
    # The outlines of letters are defined once for all figures of the answer.
    shared = f"{LETTERS}{''.join(letters.values())}</defs></svg>" if letters else ""
    text = f'{STYLE}<div class="answer">{shared}{found}</div>'
    return _INK.sub(lambda ink: f"var(--{ink[1]}, {_FALLBACKS[ink[1]]})", text)


def letters_once(answers: Iterable[str]) -> list[str]:
    """Return the answers of one page with the outline of each letter in the first of those that use it alone."""
    seen: set[str] = set()

    def first(found: re.Match[str]) -> str:
        new = found[1] not in seen
        seen.add(found[1])
        return found[0] if new else ""

    return [_OUTLINES.sub(lambda outlines: _OUTLINE.sub(first, outlines[0]), answer) for answer in answers]


def _part(part: Section, letters: dict[str, str]) -> str:
    title = f"<h4>{html.escape(part.title)}</h4>" if part.title else ""
    kinds = {type(block) for block in part.blocks}
    whole = ' class="whole"' if Table in kinds or not (part.title or Picture in kinds) else ""
    return f"<section{whole}>{title}{''.join(_block(block, letters) for block in part.blocks)}</section>\n"


def _block(block: Block, letters: dict[str, str]) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"
        case Statements(items):
            said = (f"<li>{html.escape(each.title)}: {html.escape(each.text)}</li>" for each in items)
            return f"<ul>{''.join(said)}</ul>"
        case Terms(items):
            rows = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(meaning)}</dd>" for name, meaning in items)
            return f"<dl>{''.join(rows)}</dl>"
        case Picture(stem, words, drawn):
            inline = svg.inline(drawn, stem)
            letters.update(inline.letters)
            return f'<figure role="img" aria-label="{html.escape(words)}">{inline.text}</figure>'
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col">{html.escape(head.title)}</th>' for head in table.heads)
    rows = "".join(f"<tr>{''.join(map(_entry, row.entries))}</tr>" for row in table.rows)
    caption = f"<caption>{html.escape(table.caption)}</caption>"
    return f'<div class="table"><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _entry(entry: Entry) -> str:
    note = f" <small>{html.escape(entry.note)}</small>" if entry.note else ""
    return f"<td>{html.escape(entry.text)}{note}</td>"


def lines(parts: Iterable[Section]) -> list[str]:
    """Return what an answer says, line by line, where there is no HTML: titles, sentences, what pictures show."""
    return [line for part in parts for line in (part.title, *_lines(part.blocks)) if line]


def _lines(blocks: Iterable[Block]) -> Iterable[str]:
    for block in blocks:
        match block:
            case Paragraph(text):
                yield text
            case Bullets(items):
                yield from items
            case Statements(items):
                yield from (f"{each.title}: {each.text}" for each in items)
            case Terms(items):
                yield from (f"{name}: {meaning}" for name, meaning in items)
            case Picture(words=words):
                yield f"[{words}]"
            case Table(caption=caption, rows=rows):
                yield caption
                yield from ("  ".join(entry.text for entry in row.entries) for row in rows)
