"""Where the figures of a report are drawn: files in a folder, by as many processes as there are CPUs.

Drawing is most of what a report costs: a third of a second a figure, and a large run has a hundred. A figure that is
composed is drawn by a child process, forked for this one figure (it is there as it is, nothing has to be sent), while
the report goes on to the next one. The SVG files are read back when all are there.

A child that fails says nothing: what is not there then is drawn again here, so that the error is raised where somebody
can tell it. Where processes cannot be forked, or there is one CPU, all figures are drawn here.
"""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass, replace
from multiprocessing.context import ForkProcess
from pathlib import Path

from matplotlib.figure import Figure

from analysis.figures import drawing
from analysis.report.document import Block, Document, Picture

FAILED = 1


@dataclass(frozen=True)
class _Begun:
    """A figure that a child is drawing."""

    stem: str
    figure: Figure
    child: ForkProcess


class Gallery:
    """Draws figures into a folder, which is there."""

    def __init__(self, folder: Path, processes: int | None = None) -> None:
        can_fork = "fork" in multiprocessing.get_all_start_methods()
        self._folder = folder
        self._processes = (processes or len(os.sched_getaffinity(0))) if can_fork else 1
        self._begun: list[_Begun] = []

    def draw(self, stem: str, words: str, figure: Figure) -> Picture:
        """Begin to draw a figure and return its picture, for now without its SVG; raises OSError."""
        if self._processes == 1:
            self._write(stem, figure)
        else:
            while len(self._begun) >= self._processes:
                self._finish(self._begun.pop(0))
            child = multiprocessing.get_context("fork").Process(target=self._write_or_fail, args=(stem, figure))
            child.start()
            self._begun.append(_Begun(stem, figure, child))
        return Picture(stem, words, "")

    def complete(self, document: Document) -> Document:
        """Return the document with the SVG of all its pictures, when all are drawn; raises OSError."""
        while self._begun:
            self._finish(self._begun.pop(0))
        sections = (
            replace(section, blocks=tuple(self._block(block) for block in section.blocks))
            for section in document.sections
        )
        return replace(document, sections=tuple(sections))

    def _block(self, block: Block) -> Block:
        if not isinstance(block, Picture):
            return block
        return replace(block, svg=(self._folder / f"{block.stem}.svg").read_text(encoding="utf-8"))

    def _finish(self, begun: _Begun) -> None:
        begun.child.join()
        if begun.child.exitcode != 0:
            self._write(begun.stem, begun.figure)

    def _write_or_fail(self, stem: str, figure: Figure) -> None:
        try:
            self._write(stem, figure)
        except Exception:  # noqa: BLE001 - whatever it is, it is raised again where it can be told
            os._exit(FAILED)

    def _write(self, stem: str, figure: Figure) -> None:
        (self._folder / f"{stem}.svg").write_text(drawing.as_svg(figure), encoding="utf-8")
        (self._folder / f"{stem}.png").write_bytes(drawing.as_png(figure))
