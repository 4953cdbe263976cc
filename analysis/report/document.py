"""What a report is made of, before it is HTML or Markdown: frozen blocks of plain text, tables and pictures.

Everything is plain text here. Records hold words of servers that may be anybody's, so the two renderers escape all of
it, and there is no way to put markup in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One cell of a table: what it says, a smaller note (an interval), where it leads, what it sorts by.

    `sort` None sorts by the text. `doubt` marks what must not be read without its warning.
    """

    text: str
    note: str = ""
    href: str = ""
    sort: float | None = None
    doubt: bool = False


@dataclass(frozen=True)
class Head:
    """A column's title, unit included; `number` columns are set right."""

    title: str
    number: bool = False


@dataclass(frozen=True)
class Row:
    """A table's row; `anchor` lets other places of the document lead to it.

    The first name in it that leads to a place of the document names the row: its figures lead to the same place
    where they lead nowhere by themselves.
    """

    entries: tuple[Entry, ...]
    anchor: str = ""


@dataclass(frozen=True)
class Table:
    """A table: `caption` says what its figures are. In `wide` ones the last column is a text that needs room."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    wide: bool = False


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of plain texts."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """What is said of something: its title leads to where the statement comes from."""

    title: str
    text: str
    href: str


@dataclass(frozen=True)
class Statements:
    """A list of statements."""

    items: tuple[Statement, ...]


@dataclass(frozen=True)
class Terms:
    """Names and what they mean."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Picture:
    """A figure: the stem of its files in `figures/`, what it shows in words, and its SVG."""

    stem: str
    words: str
    svg: str


Block = Table | Paragraph | Bullets | Statements | Terms | Picture


@dataclass(frozen=True)
class Section:
    """A heading of level 2 or 3 and what stands under it; `anchor` lets other places of the document lead to it.

    A `folded` one of level 3 shows its heading alone until it is opened, or printed. Where a document is too large, a
    folded section without an anchor is the first that a renderer may leave out.
    """

    title: str
    blocks: tuple[Block, ...]
    level: int = 2
    anchor: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
