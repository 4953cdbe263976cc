"""Answers about two runs, or two parts of one: what differs, by how much, and what the rounds allow to say.

Without another run the reference answers a question of its own: what does it change when the server may use every CPU?
Its cells on one choice of CPUs stand against those on another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analysis import comparison, frames, lessons, wording
from analysis.comparison import Comparison, Row, Verdict
from analysis.comparison.sides import ComparisonError
from analysis.figures import comparisons as comparison_figures
from analysis.lessons import ROOT, Answer
from analysis.report.document import Bullets, Paragraph, Section, Terms
from analysis.stats import IntervalKind

ONE_PIN = (
    "This run has its server on the same CPUs throughout, so it has no two sides of its own; name another run as OTHER,"
    " or select two sides of this one as RUN and OTHER, such as results/reference:model=asyncio and "
    "results/reference:model=thread."
)
MEANINGS = {
    Verdict.FASTER: "the interval lies beside 1, and B is better",
    Verdict.SLOWER: "the interval lies beside 1, and B is worse",
    Verdict.SAME: "the interval lies within 5 % of 1: no difference that would matter",
    Verdict.UNCLEAR: "the interval allows both: too few rounds, too much noise, or a bound",
    Verdict.INCOMPARABLE: "there is no ratio: a figure is missing, or both are bounds, or both are infinite",
}


@dataclass(frozen=True, eq=False)
class Pair:
    """A comparison; None with the reason, a sentence each, where there is none to show."""

    comparison: Comparison | None
    why: str = ""


def open_pair(run: str, other: str = "", *, force: bool = False) -> Pair:
    """Compare two sides, `PATH[:key=value]...` each; without `other` two choices of CPUs within `run`.

    Relative paths begin at the repository's root. Sides that were not measured alike are compared by `force` alone.
    Raises StoreError or SchemaError where a path is no run that can be read.
    """
    one, two = f"{ROOT / run}", f"{ROOT / other}"
    if not other:
        pins = list(dict.fromkeys(frames.read(one).cells["pin"]))
        if len(pins) < 2:
            return Pair(None, ONE_PIN if pins else "This run holds no cell that can be read.")
        one, two = (f"{one}:pin={pin}" for pin in pins[:2])
    try:
        found = comparison.compare(one, two)
    except ComparisonError as error:
        return Pair(None, f"{error}.".replace(f"{ROOT}/", ""))
    refused = comparison.refusal(found)
    return Pair(None, f"{refused}.") if refused and not force else Pair(found)


def sides(pair: Pair) -> Answer:
    """Return what A and B are, what differs between them, and what could not be compared."""
    found = pair.comparison
    if found is None:
        return lessons.say(pair.why)
    named = [
        f"{side.name}: {side.wanted.text.replace(f'{ROOT}/', '')}, {wording.plural(len(side.cells), 'cell')}"
        for side in (found.a, found.b)
    ]
    rounds = "The rounds are paired" if found.paired else "The rounds are two independent samples"
    parts = [Section("", (Bullets(tuple(named)), Paragraph(f"{rounds}.")))]
    differences = [difference.words for difference in (*found.unlike, *found.told)]
    if differences:
        parts.append(Section("What else differs", (Bullets(tuple(differences)),)))
    if found.missing:
        parts.append(Section("What could not be compared", (Bullets(found.missing),)))
    return Answer(tuple(parts))


def verdicts(pair: Pair) -> Answer:
    """Return how many figures have which verdict, with what each means."""
    if pair.comparison is None:
        return lessons.say(pair.why)
    counts = comparison.tally(pair.comparison)
    total = sum(counts.values())
    terms = [
        (f"{verdict}: {count:,} of {wording.plural(total, 'figure')}", MEANINGS[verdict])
        for verdict, count in counts.items()
    ]
    return Answer((Section("", (Terms(tuple(terms)), *lessons.told(_by_chance(pair.comparison)))),))


def _by_chance(found: Comparison) -> Iterator[str]:
    """Say how many figures would be told apart if nothing differed: many comparisons find something."""
    ratios = [row.finding.ratio for row in found.rows if row.finding.ratio is not None and not row.finding.sign]
    missed = [1 - ratio.interval.coverage for ratio in ratios if ratio.interval.kind is IntervalKind.INTERVAL]
    if missed:
        yield (
            f"Were A and B the same in truth, about {max(1, round(sum(missed)))} of the {len(missed):,} ratios that "
            "enough rounds carry would still lie beside 1, by chance."
        )


def ratios(pair: Pair, name: str) -> Answer:
    """Return the ratios of one figure (a name of `comparison.MEASURES`), a picture for the usual conditions.

    Not for those with the clearest ratios: among many there are always some by chance. Of several windows the first.
    """
    if pair.comparison is None:
        return lessons.say(pair.why)
    groups: dict[str, list[Row]] = {}
    for row in pair.comparison.rows:
        if row.measure.name == name:
            groups.setdefault(row.match.label, []).append(row)
    if not groups:
        return lessons.say(f"Neither side has a figure of {name} to compare.")
    found = list(groups.values())
    places = lessons.most_alike([rows[0].match.scenarios[0] for rows in found], lessons.KEPT_APART)
    parts = []
    for several in [found[place] for place in places][: lessons.MOST_PARTS]:
        rows = [row for row in several if row.window == several[0].window]
        label = ", ".join(filter(None, (rows[0].match.label, rows[0].window)))
        words = f"Ratio of {name}, B to A, of each model, {label}"
        picture = lessons.draw("ratios", words, comparison_figures.ratios(rows, label))
        parts.append(Section("", (picture, *lessons.told(_said(rows)))))
    return Answer(tuple(parts))


CLEAR = (Verdict.FASTER, Verdict.SLOWER)


def _said(rows: list[Row]) -> Iterator[str]:
    """Say what is certain, then why the others are not."""
    for row in rows:
        ratio = row.finding.ratio
        if row.finding.verdict in CLEAR and ratio is not None:
            ends = wording.span(wording.ratio(ratio.interval.low), wording.ratio(ratio.interval.high))
            times = f"{wording.ratio(ratio.value)} times what A has ({ends})"
            yield f"{row.match.model}: B has {times}: {row.finding.verdict}."
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.finding.reason:
            reasons.setdefault(row.finding.reason, []).append(row.match.model)
    for reason, models in reasons.items():
        yield f"{wording.listing(models)}: {reason}."
