"""The two renderers: everything is escaped, and the page loads nothing."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from html.parser import HTMLParser

import pytest

from analysis import html, markdown, page
from analysis.document import Bullets, Document, Entry, Head, Paragraph, Picture, Row, Section, Table, Terms

HOSTILE = "<script>alert('x')</script><img src=http://x.example/a.png onerror=alert(1)> | `code` \x1b[31m\n# head"


def document(text: str) -> Document:
    """Return a document that says a text wherever one can be said."""
    entry = Entry(text, note=text, href=text, sort=1.0, doubt=True)
    table = Table(text, (Head(text, number=True), Head("other")), (Row((entry, Entry("plain")), anchor="a-1"),))
    picture = Picture("stem", text, '<?xml version="1.0"?><svg width="1pt" height="1pt" viewBox="0 0 1 1"></svg>')
    blocks = (Paragraph(text), Bullets((text,)), Terms(((text, text),)), table, picture)
    return Document(text, text, (Section(text, blocks),))


class Tags(HTMLParser):
    """Collects the tags of a page and the attributes they have."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(text)
    return parser.found


def test_hostile_text_makes_no_tag_and_no_attribute() -> None:
    harmless, hostile = (tags(html.render(document(text))) for text in ("plain", HOSTILE))
    assert [tag for tag, _ in hostile] == [tag for tag, _ in harmless]
    assert [set(attributes) for _, attributes in hostile] == [set(attributes) for _, attributes in harmless]


def test_hostile_links_stay_inside_the_run_folder() -> None:
    links = [attributes["href"] for tag, attributes in tags(html.render(document("javascript:alert(1)"))) if tag == "a"]
    assert "javascript%3Aalert%281%29" in links


def test_a_page_allows_nothing_to_be_loaded_and_one_script_to_run() -> None:
    found = tags(html.render(document("plain")))
    policy = next(a["content"] for tag, a in found if tag == "meta" and "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(page.SCRIPT.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert f"<script>{page.SCRIPT}</script>" in html.render(document("plain"))


def test_a_page_is_light_and_dark_and_narrow_and_printable() -> None:
    text = html.render(document("plain"))
    for rule in ("prefers-color-scheme: dark", "max-width: 640px", "@media print", "width=device-width"):
        assert rule in text


def test_columns_sort_by_their_raw_values() -> None:
    shown = {"1,000": 1e3, "-": math.nan, "> 1 s": math.inf}
    rows = tuple(Row((Entry(text, sort=value),)) for text, value in shown.items())
    text = html.render(Document("t", "s", (Section("x", (Table("c", (Head("n", number=True),), rows),)),)))
    assert re.findall(r'data-sort="([^"]*)"', text) == ["1000.0", "nan", "Infinity"]


SVG = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="388.8pt" height="200pt" viewBox="0 0 388.8 200"
 xmlns="http://www.w3.org/2000/svg" version="1.1"><metadata><a href="http://purl.org/x"/></metadata>
<!-- words -->
<defs><path id="p1"/></defs><g clip-path="url(#p1)" style="fill: #1d2329"><use xlink:href="#p1"/></g></svg>
"""


def test_an_inline_picture_takes_the_page_s_ink_and_width_and_has_ids_of_its_own() -> None:
    text = html.inline(SVG, "memory-0")
    assert text.startswith("<svg")
    assert "http" not in text
    assert "<!--" not in text
    assert "width=" not in text
    assert "height=" not in text
    assert 'viewBox="0 0 388.8 200"' in text
    assert text.count("memory-0-p1") == 3
    assert "fill: var(--ink)" in text


def test_letters_are_drawn_once_for_all_pictures_of_a_page() -> None:
    letter = '<defs><path id="DejaVuSans-41" d="M 1 1"/></defs><use xlink:href="#DejaVuSans-41"/>'
    picture = f'<svg width="1pt" height="1pt" viewBox="0 0 1 1">{letter}</svg>'
    pictures = (Picture("a", "a", picture), Picture("b", "b", picture))
    text = html.render(Document("t", "s", (Section("x", pictures),)))
    assert text.count('id="DejaVuSans-41"') == 1
    assert text.count('href="#DejaVuSans-41"') == 2


def test_markdown_shows_hostile_text_as_it_is() -> None:
    text = markdown.render(document(HOSTILE))
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert not re.search(r"(?<!\\)`", text)
    row = next(line for line in text.splitlines() if "plain" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


@pytest.mark.parametrize("word", ["a_b", "a*b*", "[x](y)", "#1", "~~a~~", "$a$"])
def test_markdown_escapes_its_own_marks(word: str) -> None:
    assert re.sub(r"\\(.)", r"\1", markdown.escape(word)) == word
    assert not re.search(r"(?<!\\)[\[\]_*#~$]", markdown.escape(word))


def test_markdown_pictures_and_files_are_relative() -> None:
    links = (Entry("a", href="cells/000 x.json"), Entry("b", href="#in-page"))
    table = Table("c", (Head("cell"),), tuple(Row((link,)) for link in links))
    text = markdown.render(Document("t", "s", (Section("x", (Picture("memory-0", "words", ""), table)),)))
    assert "![words](figures/memory-0.svg)" in text
    assert "[a](cells/000%20x.json)" in text
    assert "in-page" not in text
