"""A document as Markdown (GitHub's): pictures by relative link, every text escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import quote

from analysis import wording
from analysis.report.document import Block, Bullets, Document, Entry, Paragraph, Picture, Statements, Table, Terms

_MARKUP = re.compile(r"([\\`*_{}\[\]#|~$])")


def render(document: Document) -> str:
    """Return the document as Markdown."""
    lines = [f"# {escape(document.title)}", "", escape(document.subtitle), ""]
    for section in document.sections:
        lines += [f"{'#' * section.level} {escape(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(r"\\\1", html.escape(wording.printable(text), quote=False))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield escape(text)
        case Bullets(items):
            yield from (f"* {escape(item)}" for item in items)
        case Statements(items):
            yield from (f"* **{escape(item.title)}**: {escape(item.text)}" for item in items)
        case Terms(items):
            yield from (f"* **{escape(name)}**: {escape(meaning)}" for name, meaning in items)
        case Picture(stem, words, _):
            yield f"![{escape(words)}](figures/{quote(stem)}.svg)"
        case Table():
            yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    yield escape(table.caption)
    yield ""
    yield "| " + " | ".join(escape(head.title) for head in table.heads) + " |"
    yield "|" + "|".join("---:" if head.number else "---" for head in table.heads) + "|"
    for row in table.rows:
        yield "| " + " | ".join(_entry(entry) for entry in row.entries) + " |"


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    # Anchors inside the page exist in the HTML report alone.
    if entry.href and not entry.href.startswith("#"):
        text = f"[{text}]({quote(entry.href)})"
    return f"{text} ({escape(entry.note)})" if entry.note else text
