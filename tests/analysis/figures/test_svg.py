"""Figures made ready for a page: small, in its colours, with ids of their own, and still the same figure."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from analysis.figures import drawing, style, svg

SVG = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="388.8pt" height="200pt" viewBox="0 0 388.8 200"
 xmlns="http://www.w3.org/2000/svg" version="1.1"><metadata><a href="http://purl.org/x"/></metadata>
<!-- words -->
<defs><path id="p1"/></defs><g id="unused" clip-path="url(#p1)" style="fill: #1d2329"><use xlink:href="#p1"
 x="55.539803"/></g>
<g transform="translate(101.342694 256.956869) scale(0.085 -0.085)">
 <defs>
  <path id="DejaVuSans-41" d="M 1 1
L 2 2" transform="scale(0.015625)"/>
 </defs>
 <use xlink:href="#DejaVuSans-41"/>
 <use xlink:href="#DejaVuSans-41" transform="translate(63.623047 0)"/>
</g></svg>
"""


def test_an_inline_picture_takes_the_page_s_ink_and_width_and_has_ids_of_its_own() -> None:
    text = svg.inline(SVG, "memory-0").text
    assert text.startswith("<svg")
    assert "http" not in text
    assert "<!--" not in text
    assert "width=" not in text
    assert "height=" not in text
    assert 'viewBox="0 0 388.8 200"' in text
    assert text.count("memory-0-0") == 3
    assert "fill:var(--ink)" in text


def test_ids_that_nothing_refers_to_are_left_out() -> None:
    assert "unused" not in svg.inline(SVG, "x").text


def test_places_are_rounded_and_the_size_of_letters_is_not() -> None:
    text = svg.inline(SVG, "x").text
    assert 'x="55.54"' in text
    assert "translate(101.34 256.96) scale(0.085 -0.085)" in text


def test_letters_are_taken_out_and_referred_to_at_their_places() -> None:
    found = svg.inline(SVG, "x")
    assert list(found.letters) == ["l41"]
    assert "scale(0.015625)" in found.letters["l41"]
    assert "<path id=" not in found.text.replace('<path id="x-0"/>', "")
    assert '<use href="#l41"/><use href="#l41" x="63.6"/>' in found.text


def test_a_drawn_figure_refers_only_to_what_it_and_its_letters_define() -> None:
    figure, axes = drawing.rows(["asyncio", "<b>"], "Title", "a label")
    axes.plot([0.0, 1.0], [0.0, 1.0])
    found = svg.inline(drawing.as_svg(figure), "drawn")
    defined = set(re.findall(r'id="([^"]*)"', found.text)) | set(found.letters)
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]*)', found.text))
    assert referred
    assert referred <= defined
    ElementTree.fromstring(found.text)


def test_a_file_of_its_own_stays_whole_and_takes_other_inks() -> None:
    figure, _ = drawing.rows(["asyncio"], "Title", "a label")
    text = svg.alone(drawing.as_svg(figure), {style.FAINT: "#abcdef"})
    ElementTree.fromstring(text)
    assert style.FAINT not in text
    assert "#abcdef" in text
    assert "<!--" not in text
    assert 'width="' in text
