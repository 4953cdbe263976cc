"""A comparison as a document: what the sides are, in what they differ, the verdicts in short, then figure by figure.

It becomes Markdown (`analysis.report.markdown`) and what a console shows (`analysis.comparison.console`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from analysis import wording
from analysis.comparison import SAME_WITHIN, Comparison, Measure, Reading, Row, tally
from analysis.comparison.differences import Difference
from analysis.ranking import SERIOUS
from analysis.report.document import Block, Bullets, Document, Entry, Head, Paragraph, Section, Table
from analysis.report.document import Row as TableRow

HEADS = (
    Head("Model"),
    Head("Figure"),
    Head("A", number=True),
    Head("B", number=True),
    Head("B/A", number=True),
    Head("Verdict"),
)
DIFFERENCE_HEADS = (Head("What"), Head("A"), Head("B"))
OF_CELLS = "with all connections up"
DOUBT = " *"

PAIRED = "B/A is the Hodges-Lehmann estimate over paired rounds of one run, with the interval of the signed-rank test."
UNPAIRED = (
    "B/A is the Hodges-Lehmann shift between the rounds of two runs, which are no pairs, with the interval of the "
    "rank-sum test. What happened to one run and not to the other is in no interval."
)
LEGEND = (
    "Faster and slower: B is better or worse for certain (more replies; less time, CPU time or memory). Same: the "
    f"whole interval lies within {wording.percent(SAME_WITHIN - 1)} of 1. Unclear: it does not, and holds 1, or the "
    "rounds can't carry more. A and B are medians over rounds."
)


def compose(comparison: Comparison) -> Document:
    """Return a comparison as a document."""
    sections = [*_differences(comparison), _short(comparison)]
    groups: dict[str, list[Row]] = {}
    for row in comparison.rows:
        groups.setdefault(row.match.label, []).append(row)
    sections += [Section(label, tuple(_tables(rows))) for label, rows in groups.items()]
    if comparison.missing:
        sections.append(Section("What is missing", (Bullets(comparison.missing),)))
    a, b = comparison.a.wanted.text, comparison.b.wanted.text
    return Document("Comparison of A with B", f"A is {a}, B is {b}.", tuple(sections))


def _differences(comparison: Comparison) -> Iterator[Section]:
    if comparison.unlike:
        words = "A and B were not measured alike: every ratio below is one of these differences, too."
        yield Section("Not alike", (Paragraph(words), _difference_table(comparison.unlike, "The values of both.")))
    if comparison.told:
        yield Section(
            "Code", (_difference_table(comparison.told, "Of the program that was measured, and of what measured it."),)
        )


def _difference_table(differences: Sequence[Difference], caption: str) -> Table:
    rows = tuple(TableRow((Entry(each.name), Entry(each.a), Entry(each.b))) for each in differences)
    return Table(caption, DIFFERENCE_HEADS, rows)


def _short(comparison: Comparison) -> Section:
    counts = tally(comparison)
    words = wording.listing([f"{count} {verdict}" for verdict, count in counts.items()])
    verdicts = f"Of {wording.plural(len(comparison.rows), 'figure')} of B, {words}."
    how = f"{PAIRED if comparison.paired else UNPAIRED} {LEGEND}"
    return Section("In short", (Paragraph(verdicts), Paragraph(how)))


def _tables(rows: Sequence[Row]) -> Iterator[Block]:
    """Yield a table for each window of a condition, and under it what has to be known to read it."""
    windows: dict[str, list[Row]] = {}
    for row in rows:
        windows.setdefault(row.window or OF_CELLS, []).append(row)
    for window, own in windows.items():
        yield Table(f"{window[0].upper()}{window[1:]}", HEADS, tuple(TableRow(_entries(row)) for row in own))
        notes = (*_reasons(own), *_warnings(own))
        if notes:
            yield Bullets(notes)


def _entries(row: Row) -> tuple[Entry, ...]:
    finding, measure = row.finding, row.measure
    ratio = Entry(wording.NOTHING)
    if finding.ratio is not None:
        bounds = finding.ratio.interval
        interval = wording.span(wording.ratio(bounds.low), wording.ratio(bounds.high))
        ratio = Entry(finding.sign + wording.ratio(finding.ratio.value), interval)
    serious = _serious(row)
    verdict = Entry(finding.verdict + DOUBT * serious, doubt=serious)
    figures = (_figure(reading, measure) for reading in (row.a, row.b))
    return (Entry(row.match.model), Entry(f"{measure.name}, {measure.unit}"), *figures, ratio, verdict)


def _figure(reading: Reading, measure: Measure) -> Entry:
    median = reading.median
    if median is None:
        return Entry(wording.NOTHING)
    if math.isinf(median.value):
        return Entry(wording.milliseconds(median.value, reading.timeout_s), doubt=True)
    return Entry(reading.sign + wording.number(median.value / measure.scale))


def _serious(row: Row) -> bool:
    return not SERIOUS.isdisjoint({*row.a.warnings, *row.b.warnings})


def _reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Yield why figures are unclear or incomparable, each reason once."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.finding.reason:
            found.setdefault(row.finding.reason, []).append(f"{row.match.model} {row.measure.name}")
    for reason, names in found.items():
        every = len(names) == len(rows) and len(names) > 1
        yield f"{'All of these' if every else wording.listing(names)}: {reason}."


def _warnings(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the warnings of a window's figures, with the number of rounds of A and of B that have them."""
    parts = []
    for model, row in {row.match.model: row for row in rows}.items():
        kinds = dict.fromkeys((*row.a.warnings, *row.b.warnings))
        counts = [f"{wording.warning_word(kind)} {_rounds(row, kind)}" for kind in kinds]
        if counts:
            parts.append(f"{model} {', '.join(counts)}")
    if parts:
        yield f"Warnings, in so many rounds of A / of B: {'; '.join(parts)}."
    if any(map(_serious, rows)):
        yield "* The answers themselves are in doubt: read the warnings first."


def _rounds(row: Row, kind: str) -> str:
    one, other = (reading.warnings.get(kind, 0) for reading in (row.a, row.b))
    return f"{one} / {other}"
