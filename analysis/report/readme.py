"""The results in README.md: `python -m analysis.report.readme [RUN]` writes them from a run, or from the reference run.

What stands between the markers `<!-- results:begin -->` and `<!-- results:end -->` is replaced: a figure of the
throughput over all transports, a ranking for each transport with the server on its own CPUs, what can be said of the
other conditions to see first, and what the figures are. Figures are drawn twice, for a light and for a dark page.

Nothing here is written by hand, so nothing here can be older than the run: `tests/analysis/report/test_readme.py` makes
it anew and compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from analysis import frames, prominence, ranking, views, wording
from analysis.conditions import TRANSPORT_NAMES
from analysis.figures import contrast_figures, drawing, style, svg
from analysis.figures import of_models as figures
from analysis.figures.contrast_figures import Bar, Group
from analysis.frames import Run
from analysis.ranking import Status
from analysis.report import headlines, leaderboard, markdown, sentences
from analysis.report.document import Entry
from analysis.report.leaderboard import Line
from analysis.views import ConditionView
from harness.schema import SchemaError
from harness.store import StoreError

REFERENCE = Path("results/reference")
README = Path("README.md")
PICTURES = Path("docs/figures")
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

LIGHT: Mapping[str, str] = {}
DARK: Mapping[str, str] = {
    style.INK: "#e6edf3",
    style.FAINT: "#9da7b1",
    style.GRID: "#30363d",
    style.PAPER: "#0d1117",
}
HEADS = (
    "| place | model | requests/s, closed load | of the leader's | p50 response | p99 response | CPU a request "
    "| memory (PSS) |",
    "|---|---|---:|---:|---:|---:|---:|---:|",
)


@dataclass(frozen=True)
class Shown:
    """A figure of the README: the stem of its files, what it shows in words, and how it is drawn."""

    stem: str
    words: str
    figure: Figure


class ReadmeError(Exception):
    """README.md has no place for results, or the run has none to show: one sentence."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write README.md and its figures; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report.readme", description="Write the results in README.md."
    )
    parser.add_argument("run", nargs="?", type=Path, default=REFERENCE, help="a run folder (default: %(default)s)")
    folder = parser.parse_args(argv).run
    try:
        run = frames.read(folder)
        README.write_text(renewed(README.read_text(encoding="utf-8"), results(run)), encoding="utf-8")
        for path, text in drawn(run).items():
            path.write_text(text, encoding="utf-8")
    except (ReadmeError, StoreError, SchemaError, OSError) as error:
        print(f"readme: {error}", file=sys.stderr)
        return 2
    return 0


def renewed(readme: str, text: str) -> str:
    """Return a README with its results replaced; raises ReadmeError where their markers are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ReadmeError(f"{README} has no place for results: put {BEGIN} and {END} where they belong")
    return f"{before}{BEGIN}\n{text}{END}{after}"


def results(run: Run) -> str:
    """Return the results of a run in Markdown; raises ReadmeError where it measured nothing under closed load."""
    ranked, others = _chosen(run)
    parts = [_pictures(shown) for shown in _shown(ranked)]
    for view in ranked:
        parts.append(f"**Over {_transport(view)}**")
        parts.append("\n".join([*HEADS, *(_row(line) for line in leaderboard.lines(view))]))
    said = [f"* **{markdown.escape(view.label)}**: {markdown.escape(headlines.headline(view))}" for view in others]
    parts += ["\n".join(said)] if said else []
    parts.append(_about(run, ranked))
    return "\n\n".join(parts) + "\n"


def drawn(run: Run) -> dict[Path, str]:
    """Return the README's figures by their paths, each for a light and for a dark page."""
    found = {}
    for shown in _shown(_chosen(run)[0]):
        text = drawing.as_svg(shown.figure)
        found[PICTURES / f"{shown.stem}.svg"] = svg.alone(text, LIGHT)
        found[PICTURES / f"{shown.stem}-dark.svg"] = svg.alone(text, DARK)
    return found


def _chosen(run: Run) -> tuple[tuple[ConditionView, ...], tuple[ConditionView, ...]]:
    """Return a condition for each transport, with a server that is pinned if there is one, and the others to see."""
    shown = [view for view in prominence.main(views.conditions(run)) if view.closed]
    if not shown:
        raise ReadmeError(f"{run.path} has no window under closed load to show")
    first: dict[str, ConditionView] = {}
    for view in sorted(shown, key=lambda view: str(view.cells["server_cpus"].iloc[0]).startswith("unpinned")):
        first.setdefault(_transport(view), view)
    ranked = tuple(view for view in shown if first[_transport(view)] is view)
    return ranked, tuple(view for view in shown if first[_transport(view)] is not view)


def _transport(view: ConditionView) -> str:
    name = str(view.cells["transport"].iloc[0])
    return TRANSPORT_NAMES.get(name, name)


def _shared(ranked: Sequence[ConditionView]) -> str:
    """Return what the conditions have in common beside their transport: the label that names the least."""
    return min((view.label.partition(", ")[2] for view in ranked), key=len)


def _shown(ranked: Sequence[ConditionView]) -> tuple[Shown, ...]:
    label = _shared(ranked)
    note = f"bars: medians; lines: {leaderboard.kinds(ranked[0])}; dots: the rounds"
    groups = [_group(view) for view in ranked]
    if any(bar.bound for group in groups for bar in group.bars):
        note += "; hatched: a lower bound, the load generator was the limit"
    titles = ("Throughput under closed load", label)
    throughput = contrast_figures.groups(groups, titles, "replies/s", note)
    found = [Shown("results-throughput", f"Throughput of each model over each transport, {label}", throughput)]
    for window in ranked[0].open[:1]:
        words = f"Percentiles of response time of each model, {ranked[0].label}, {wording.load(window.load)}"
        curves = figures.percentile_curves(window.percentiles, "response_time", ranked[0].models, ranked[0].label)
        found.append(Shown("results-response-time", words, curves))
    return tuple(found)


def _group(view: ConditionView) -> Group:
    """Return the bars of a condition, best first."""
    window, looks = view.closed[0], style.looks(view.models)
    ranks, bars = view.rank(window, ranking.THROUGHPUT), []
    for standing in ranks.standings:
        figure, bound = standing.figure, standing.status is Status.BOUND
        words = "no figure" if figure is None else (">= " if bound else "") + wording.number(figure.value)
        values = tuple(ranking.by_round(window.rows, standing.model, ranking.THROUGHPUT.column).values())
        remark = "" if standing.status is Status.RANKED else "no place"
        bars.append(Bar(standing.model, looks[standing.model], values, words, remark, bound))
    return Group(_transport(view), tuple(bars))


def _pictures(shown: Shown) -> str:
    words = markdown.escape(shown.words).replace('"', "&quot;")
    return (
        f'<picture>\n<source media="(prefers-color-scheme: dark)" srcset="{PICTURES}/{shown.stem}-dark.svg">\n'
        f'<img alt="{words}" src="{PICTURES}/{shown.stem}.svg" width="560">\n</picture>'
    )


def _row(line: Line) -> str:
    cells = (
        _figure(line.place),
        f"`{markdown.escape(line.model)}`",
        _figure(line.throughput),
        "leader" if line.relative.note == "leader" else _figure(line.relative),
        _figure(line.p50, "ms"),
        _figure(line.p99, "ms"),
        _figure(line.cpu, "us"),
        _figure(line.pss, "MB"),
    )
    return f"| {' | '.join(cells)} |"


def _figure(entry: Entry, unit: str = "") -> str:
    """Return a figure with its unit, or with its interval where it has none."""
    text = markdown.escape(entry.text)
    if unit and entry.text != wording.NOTHING and not entry.text.startswith("> "):
        text += f" {unit}"
    return f"{text} ({markdown.escape(entry.note)})" if entry.note and not unit else text


def _about(run: Run, ranked: Sequence[ConditionView]) -> str:
    """Return what the figures are, and what stands against them."""
    view = ranked[0]
    started = str((run.document.get("environment") or {}).get("started", ""))[:10]
    where = ", ".join(filter(None, (_shared(ranked), sentences.machine(run.document), started)))
    times = f" Response times are under {wording.load(view.open[0].load)}." if view.open else ""
    warned = " ".join(sentences.warned([window for each in ranked for window in each.windows]))
    shared = "Places are shared where the interval of the ratio holds 1; `>=` is a lower bound, which has no place."
    said = " ".join(markdown.escape(text) for text in (f"{where}.", sentences.pairing(view) + times) if text)
    return (
        f"{said} {shared} {markdown.escape(warned)} The whole run, with its report, is `{run.path}/`; "
        f"`make bench ROUNDS={view.cells['round'].nunique()}` makes one of yours."
    )


if __name__ == "__main__":
    sys.exit(main())
