"""A document of paragraphs, lists and tables on a console, readable from 80 columns on.

Everything is plain ASCII but the rules of the tables, which rich replaces where the output can't show them, and texts
of others are shown without their control characters.
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis import wording
from analysis.report.document import Block, Bullets, Document, Entry, Head, Paragraph, Table

# What the console calls a unit that it has little room for.
SHORT = {"throughput, replies/s": "replies/s", "CPU a request, us": "CPU us/req", "PSS, MB": "PSS MB"}


def print_document(document: Document, console: Console) -> None:
    """Print a document; pictures and terms, which a comparison does not have, are left out."""
    console.print(_text(document.title, "bold"))
    console.print(_text(document.subtitle))
    for section in document.sections:
        console.print()
        console.print(_text(section.title, "bold"))
        for block in section.blocks:
            _print(block, console)


def _print(block: Block, console: Console) -> None:
    match block:
        case Paragraph(text):
            console.print(_text(text))
        case Bullets(items):
            for item in items:
                console.print(_text(f"- {item}"))
        case Table():
            console.print()
            console.print(_text(block.caption, "italic"))
            console.print(_table(block))


def _table(table: Table) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for head in table.heads:
        shown.add_column(head.title, justify="right" if head.number else "left", overflow="fold", no_wrap=head.number)
    before = ""
    for row in table.rows:
        name = row.entries[0].text
        # A name that is the one above is not said again.
        first = Entry("") if name == before else row.entries[0]
        shown.add_row(*(_cell(entry, head) for entry, head in zip((first, *row.entries[1:]), table.heads, strict=True)))
        before = name
    return shown


def _cell(entry: Entry, head: Head) -> Text:
    words = SHORT.get(entry.text, entry.text.replace("response ", "").replace(", ms", " ms"))
    text = _text(words, "bold red" if entry.doubt else "")
    return text.append(f" ({wording.printable(entry.note)})", style="not bold dim") if entry.note else text


def _text(words: str, style: str = "") -> Text:
    return Text(wording.printable(words), style=style)
