"""The report of a run: `report.html`, `report.md` and `figures/` beside its cells, and the ranking for the console.

Compute, then print: a run is read into frames, cut into conditions (`views`), said in blocks of plain text
(`sections`, `appendix`), and only then written by one of two renderers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from analysis import frames, prominence, views, wording
from analysis.figures.gallery import Gallery
from analysis.frames import Run
from analysis.report import (
    appendix,
    contrast_chapters,
    deliveries,
    figure_chapters,
    html,
    markdown,
    scoreboard,
    sections,
    sweeps,
)
from analysis.report.document import Document, Paragraph, Section
from harness.store import StoreError

FIGURES = "figures"


def write_report(run_dir: Path, page_bytes: int = html.LIMIT_BYTES) -> Path:
    """Write the report of a run into its folder and return the path of `report.html`.

    The page takes at most `page_bytes` where its tables alone are not more; figures beyond that are links.
    Raises StoreError where the folder holds no run that can be read, or can't be written to; SchemaError where it is
    of another version.
    """
    run = frames.read(run_dir)
    folder = run_dir / FIGURES
    try:
        folder.mkdir(exist_ok=True)
        gallery = Gallery(folder)
        document = gallery.complete(compose(run, gallery.draw))
        (run_dir / "report.md").write_text(markdown.render(document), encoding="utf-8")
        report = run_dir / "report.html"
        report.write_text(html.render(document, page_bytes), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the report can't be written into {run_dir}: {error.strerror}") from error
    return report


def compose(run: Run, draw: sections.Draw) -> Document:
    """Return the report of a run as a document; `draw` stores the figures."""
    found = views.conditions(run)  # by transport; what comes first in every chapter is what matters most
    conditions = prominence.ordered(found)
    sentences = appendix.missing(run)
    parts = [*sections.summary(run, conditions)]
    if sentences:
        parts.append(Section("Not everything is here", (Paragraph(" ".join(sentences)),), level=3))
    # What a plan varies is what it asks, so the answer comes before the conditions one by one.
    parts.extend(figure_chapters.heat_map(found, draw))
    parts.extend(contrast_chapters.chapters(run, conditions, draw))
    told = (
        deliveries.datagrams(conditions, draw),
        deliveries.connects(conditions),
        figure_chapters.over_time(run, draw),
    )
    for chapter in (sections.ranks(conditions), *(make(conditions, draw) for make in DRAWN), *told):
        parts.extend(chapter)
    parts.extend(appendix.cells(run, conditions))
    parts.append(appendix.environment(run))
    parts.extend(appendix.method(run, conditions))
    parts.append(appendix.problems(run))
    return Document(f"echobench: {run.path.resolve().name}", _subtitle(run), tuple(_folded(parts)))


DRAWN = (
    sections.throughput,
    sections.response,
    figure_chapters.trade_off,
    sweeps.chapter,
    sections.cpu,
    sections.memory,
)


def _folded(parts: Iterable[Section]) -> Iterator[Section]:
    """Fold what a chapter has beyond its first sections: those of the conditions to see first."""
    count = 0
    for section in parts:
        count = 0 if section.level == 2 else count + 1
        yield replace(section, folded=True) if count > prominence.MOST_SHOWN else section


def _subtitle(run: Run) -> str:
    environment = run.document.get("environment")
    started = environment.get("started") if isinstance(environment, dict) else None
    failed = int((run.cells["outcome"] != "measured").sum())
    cells = f"{len(run.cells):,} cells, {failed:,} failed" if failed else f"{len(run.cells):,} cells"
    return f"Started {started or 'at an unknown time'}; {cells}."


def print_ranking(run_dir: Path, console: Console) -> None:
    """Print the ranking of a run on a console, a table a condition.

    Raises StoreError or SchemaError where the folder holds no run that can be read.
    """
    run = frames.read(run_dir)
    conditions = views.conditions(run)
    for view in conditions:
        scoreboard.print_condition(view, console)
    if not conditions:
        console.print(Text("This run holds no cell that can be read."))
    for sentence in appendix.missing(run):
        console.print(Text(wording.printable(sentence)))
