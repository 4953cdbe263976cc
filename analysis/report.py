"""The report of a run: `report.html`, `report.md` and `figures/` beside its cells, and the ranking for the console.

Compute, then print: a run is read into frames, cut into conditions (`views`), said in blocks of plain text
(`sections`, `appendix`), and only then written by one of two renderers.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from analysis import (
    appendix,
    contrast_chapters,
    deliveries,
    drawing,
    frames,
    html,
    markdown,
    scoreboard,
    sections,
    sweeps,
    views,
    wording,
)
from analysis.document import Document, Paragraph, Picture, Section
from analysis.frames import Run
from harness.store import StoreError

FIGURES = "figures"


def write_report(run_dir: Path) -> Path:
    """Write the report of a run into its folder and return the path of `report.html`.

    Raises StoreError where the folder holds no run that can be read, or can't be written to; SchemaError where it is
    of another version.
    """
    run = frames.read(run_dir)
    folder = run_dir / FIGURES

    def draw(stem: str, words: str, figure: Figure) -> Picture:
        svg = drawing.as_svg(figure)
        (folder / f"{stem}.svg").write_text(svg, encoding="utf-8")
        (folder / f"{stem}.png").write_bytes(drawing.as_png(figure))
        return Picture(stem, words, svg)

    try:
        folder.mkdir(exist_ok=True)
        document = compose(run, draw)
        (run_dir / "report.md").write_text(markdown.render(document), encoding="utf-8")
        report = run_dir / "report.html"
        report.write_text(html.render(document), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the report can't be written into {run_dir}: {error.strerror}") from error
    return report


def compose(run: Run, draw: sections.Draw) -> Document:
    """Return the report of a run as a document; `draw` stores the figures."""
    conditions = views.conditions(run)
    sentences = appendix.missing(run)
    # What a plan varies is what it asks, so the answer comes before the conditions one by one.
    parts = [*contrast_chapters.chapters(run, conditions, draw), *sections.summary(run, conditions)]
    if sentences:
        parts.append(Section("Not everything is here", (Paragraph(" ".join(sentences)),), level=3))
    told = (deliveries.datagrams(conditions), deliveries.connects(conditions))
    for chapter in (sections.ranks(conditions), *(make(conditions, draw) for make in DRAWN), *told):
        parts.extend(chapter)
    parts.extend(appendix.cells(run, conditions))
    parts.append(appendix.environment(run))
    parts.extend(appendix.method(run, conditions))
    parts.append(appendix.problems(run))
    return Document(f"echobench: {run.path.resolve().name}", _subtitle(run), tuple(parts))


DRAWN = (sections.throughput, sections.response, sweeps.chapter, sections.cpu, sections.memory)


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
