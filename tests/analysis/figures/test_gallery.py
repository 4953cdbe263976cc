"""Figures are drawn by children or here, with the same result, and an error is told where it can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from analysis.figures import drawing
from analysis.figures.gallery import Gallery
from analysis.report.document import Document, Paragraph, Section


def figure(title: str) -> Figure:
    drawn, axes = drawing.rows(["asyncio"], title, "a label")
    axes.plot([0.0, 1.0], [0.0, 0.0])
    return drawn


def drawn(folder: Path, processes: int) -> tuple[Document, dict[str, bytes]]:
    """Return a document with three figures, and the files that were drawn for it."""
    folder.mkdir()
    gallery = Gallery(folder, processes)
    pictures = [gallery.draw(f"figure-{number}", "words", figure(f"Title {number}")) for number in range(3)]
    document = gallery.complete(Document("t", "s", (Section("x", (Paragraph("p"), *pictures)),)))
    return document, {path.name: path.read_bytes() for path in folder.iterdir()}


def test_children_draw_what_would_be_drawn_here(tmp_path: Path) -> None:
    here, children = (drawn(tmp_path / str(count), count) for count in (1, 2))
    assert here == children
    assert sorted(here[1]) == sorted(f"figure-{number}.{kind}" for number in range(3) for kind in ("svg", "png"))


def test_a_completed_document_has_the_svg_of_each_picture(tmp_path: Path) -> None:
    document, files = drawn(tmp_path / "figures", 2)
    paragraph, *pictures = document.sections[0].blocks
    assert paragraph == Paragraph("p")
    assert [getattr(picture, "svg", "").encode() for picture in pictures] == [
        files[f"figure-{number}.svg"] for number in range(3)
    ]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_can_not_be_written_is_an_error_here(tmp_path: Path, processes: int) -> None:
    gallery = Gallery(tmp_path / "nowhere", processes)

    def make() -> None:
        gallery.draw("figure", "words", figure("Title"))
        gallery.complete(Document("t", "s", ()))

    with pytest.raises(FileNotFoundError):
        make()
