"""The two renderers: everything is escaped, and the page loads nothing."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from html.parser import HTMLParser

import pytest

from analysis.report import html, markdown, page
from analysis.report.document import (
    Bullets,
    Document,
    Entry,
    Head,
    Paragraph,
    Picture,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Terms,
)

HOSTILE = "<script>alert('x')</script><img src=http://x.example/a.png onerror=alert(1)> | `code` \x1b[31m\n# head"


def document(text: str) -> Document:
    """Return a document that says a text wherever one can be said."""
    entry = Entry(text, note=text, href=text, sort=1.0, doubt=True)
    table = Table(text, (Head(text, number=True), Head("other")), (Row((entry, Entry("plain")), anchor="a-1"),))
    picture = Picture("stem", text, '<?xml version="1.0"?><svg width="1pt" height="1pt" viewBox="0 0 1 1"></svg>')
    said = Statements((Statement(text, text, text),))
    blocks = (Paragraph(text), Bullets((text,)), said, Terms(((text, text),)), table, picture)
    return Document(text, text, (Section(text, blocks), Section(text, blocks[:1], level=3, folded=True)))


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


def test_what_can_not_be_sorted_as_it_reads_has_a_value_to_sort_by() -> None:
    shown = {"1,000": 1e3, "-": math.nan, "> 1 s": math.inf}
    rows = tuple(Row((Entry(text, sort=value),)) for text, value in shown.items())
    text = html.render(Document("t", "s", (Section("x", (Table("c", (Head("n", number=True),), rows),)),)))
    assert re.findall(r'data-sort="([^"]*)"', text) == ["nan", "Infinity"]


def test_letters_are_drawn_once_for_all_pictures_of_a_page() -> None:
    letter = '<defs><path id="DejaVuSans-41" d="M 1 1"/></defs><use xlink:href="#DejaVuSans-41"/>'
    picture = f'<svg width="1pt" height="1pt" viewBox="0 0 1 1">{letter}</svg>'
    pictures = (Picture("a", "a", picture), Picture("b", "b", picture))
    text = html.render(Document("t", "s", (Section("x", pictures),)))
    assert text.count('id="l41"') == 1
    assert text.count('href="#l41"') == 2


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


def section(title: str, *stems: str, folded: bool = False, anchor: str = "", text: str = "") -> Section:
    """Return a section with figures of 1,000 bytes each, and a text."""
    drawing = f'<svg width="1pt" height="1pt" viewBox="0 0 1 1"><path d="{"M" * 1_000}"/></svg>'
    pictures = tuple(Picture(stem, f"words of {stem}", drawing) for stem in stems)
    level = 3 if folded or anchor else 2
    return Section(title, (Paragraph(text), *pictures), level, anchor, folded)


def shown(text: str) -> list[str]:
    return [str(a["aria-label"]).removeprefix("words of ") for tag, a in tags(text) if tag == "figure"]


def test_a_page_within_its_limit_has_everything_inside_and_says_nothing_of_it() -> None:
    text = html.render(Document("t", "s", (section("one", "a", "b"), section("two", "c"))))
    assert shown(text) == ["a", "b", "c"]
    assert "To keep this page under" not in text


def test_where_there_is_no_room_chapters_take_turns_and_the_other_figures_are_links_to_their_files() -> None:
    parts = (section("one", "a", "b", "c"), section("two", "d", "e"), section("three", "f"))
    text = html.render(Document("t", "s", parts), limit_bytes=html.FRAME_BYTES + 5_000)
    assert shown(text) == ["a", "b", "d", "f"]
    assert "To keep this page under 0.025 MB, 2 of its 6 figures are links to the folder figures/." in text
    assert '<a href="figures/c.svg">Figure: words of c</a>' in text
    assert '<a href="figures/e.svg">' in text


def test_a_page_stays_under_its_limit_even_where_its_tables_alone_are_larger() -> None:
    long = "word " * 1_000
    parts = (
        section("one", "a", text="kept"),
        section("early", folded=True, text="early " + long),
        section("two", text="kept too"),
        section("late", folded=True, text="late " + long),
        section("led to", folded=True, anchor="x", text="kept as well " + long),
    )
    limit = html.FRAME_BYTES + 12_500
    text = html.render(Document("t", "s", parts), limit_bytes=limit)
    assert len(text.encode()) <= limit
    assert "early word" in text
    assert "late word" not in text
    assert 'Left out to keep this page small: <a href="report.md">' in text
    assert "1 folded section can be read in report.md alone." in text
    assert all(words in text for words in ("kept as well", "kept too", ">late</h3>"))


def test_a_folded_section_is_a_fold_with_its_heading() -> None:
    text = html.render(Document("t", "s", (Section("x", (Paragraph("inside"),), 3, "place", folded=True),)))
    assert '<details id="place"><summary><h3>x</h3></summary>\n<p>inside</p>\n</details>' in text


def test_the_figures_of_a_row_lead_where_its_name_leads() -> None:
    heads = (Head("Place"), Head("Model"), Head("Throughput", number=True), Head("p99", number=True), Head("By"))
    row = Row((Entry("1"), Entry("asyncio", href="#c1-0"), Entry("12"), Entry("-", sort=math.nan), Entry("9 of 9")))
    text = html.render(Document("t", "s", (Section("x", (Table("c", heads, (row,)),)),)))
    assert '<td class="n"><a href="#c1-0">12</a></td>' in text
    assert '<th scope="row"><a href="#c1-0">asyncio</a></th>' in text
    assert text.count('href="#c1-0"') == 2


def test_statements_lead_to_where_they_come_from() -> None:
    said = Statements((Statement("TCP", "a leads.", "#c1"),))
    document = Document("t", "s", (Section("x", (said,)),))
    assert '<li><a href="#c1">TCP</a> a leads.</li>' in html.render(document)
    assert "* **TCP**: a leads." in markdown.render(document)


def test_figures_keep_a_third_of_a_page_even_where_folded_tables_would_fill_it() -> None:
    limit = html.FRAME_BYTES + 10_000
    parts = [section("one", "a", "b"), *(section(f"fold {n}", folded=True, text="word " * 600) for n in range(3))]
    text = html.render(Document("t", "s", tuple(parts)), limit_bytes=limit)
    assert shown(text) == ["a", "b"]
    assert text.count("word word") > 0
    assert "1 folded section can be read in report.md alone." in text
    assert len(text.encode()) <= limit
