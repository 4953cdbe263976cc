"""Two runs, or two parts of one, figure by figure: the ratio B/A with its interval, and what it allows to say.

**Matching.** A cell of A is compared with the cell of B whose scenario is the same in everything but what is varied
(`RUN:model=asyncio RUN:model=thread` varies the model). Cells of two runs that differ only in how they were measured
(pinning, windows) are matched as well, and the difference is told. What has no counterpart is told, too.

**Ratios.** Rounds of one run are paired: what the machine did to a round it did to both sides, and the ratio of the
round cancels it. Rounds of two runs are two independent samples. Either way the ratio is a Hodges-Lehmann estimate of
logarithms with an exact rank interval (`stats.ratio`, `stats.unpaired_ratio`).

**Verdicts.** Only an interval of 95 % decides anything. It lies within 5 % of 1: *same*. It lies beside 1: *faster* or
*slower*, which for every figure mean better and worse. Else *unclear*. A throughput or a time of which the load
generator was the limit in any round is a bound, and a bound is never faster nor slower. A time that was not answered is
infinite, and ranks so; where both sides have such times there is no ratio: *incomparable*.

Throughput is compared under closed load, response times under open load, CPU time a request under both, memory once a
cell. Steps of a load sweep are not compared, since each model has rates of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from analysis import ranking, stats, wording
from analysis.comparison import differences as comparison_differences
from analysis.comparison import sides as comparison_sides
from analysis.comparison.differences import Difference
from analysis.comparison.match import Match, matched
from analysis.comparison.sides import ComparisonError, Side
from analysis.report import appendix
from analysis.stats import COVERAGE, Estimate, IntervalKind
from harness.schema import LimitedBy

__all__ = [
    "MEASURES",
    "SAME_WITHIN",
    "Comparison",
    "ComparisonError",
    "Finding",
    "Measure",
    "Reading",
    "Row",
    "Verdict",
    "compare",
    "judge",
    "refusal",
    "tally",
]

SAME_WITHIN = 1.05  # an interval of the ratio from 1/1.05 to 1.05 holds no difference that would matter


class Verdict(StrEnum):
    """What a ratio allows to say of B against A; faster and slower mean better and worse, whatever is compared."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNCLEAR = "unclear"
    INCOMPARABLE = "incomparable"


@dataclass(frozen=True)
class Measure:
    """A figure to compare: its metric, the kinds of windows it is taken from (none: from the cells), how it reads.

    `scale` is how many of the column's units one unit shown is; `bound` what it is where the load generator was the
    limit.
    """

    metric: ranking.Metric
    name: str
    unit: str
    kinds: tuple[str, ...] = ()
    scale: float = 1.0
    bound: str = ""


MEASURES = (
    Measure(ranking.THROUGHPUT, "throughput", "replies/s", ("closed",), bound=">= "),
    Measure(ranking.CPU, "CPU a request", "us", ("closed", "open")),
    Measure(ranking.RESPONSE_P50, "response p50", "ms", ("open",), 1e6, "<= "),
    Measure(ranking.RESPONSE_P99, "response p99", "ms", ("open",), 1e6, "<= "),
    Measure(ranking.Metric("connected_pss_bytes", higher_is_better=False, bounded=False), "PSS", "MB", (), 1e6),
)


@dataclass(frozen=True)
class Reading:
    """One side's figure by round, in the column's unit; `sign` is not empty where it is a bound.

    `warnings` counts the rounds that have each; `dropped` tells that it left too many requests unanswered to be good.
    """

    values: Mapping[int, float]
    sign: str
    timeout_s: float
    warnings: Mapping[str, int]
    dropped: bool = False

    @property
    def median(self) -> Estimate | None:
        """The median over rounds, None without any."""
        return stats.median(list(self.values.values())) if self.values else None


@dataclass(frozen=True)
class Finding:
    """A verdict with the ratio B/A behind it, `sign` where that is a bound, and why nothing more can be said."""

    verdict: Verdict
    ratio: Estimate | None = None
    sign: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """One figure of one match; `window` is empty for figures of the cells."""

    match: Match
    window: str
    measure: Measure
    a: Reading
    b: Reading
    finding: Finding


@dataclass(frozen=True)
class Comparison:
    """All that two sides say of each other.

    `unlike` is what makes them incomparable, `told` what else differs, `missing` what could not be compared and why.
    """

    a: Side
    b: Side
    varied: frozenset[str]
    unlike: tuple[Difference, ...]
    told: tuple[Difference, ...]
    rows: tuple[Row, ...]
    missing: tuple[str, ...]

    @property
    def paired(self) -> bool:
        """Whether the rounds of both sides are those of one run."""
        return self.a.run is self.b.run


def compare(first: str, second: str) -> Comparison:
    """Compare two sides, `PATH[:key=value]...` each.

    Raises ComparisonError where they have nothing to compare, StoreError or SchemaError where a path is no run that can
    be read.
    """
    a, b = comparison_sides.read_both(first, second)
    varied = comparison_sides.varied(a, b)
    matches, alone = matched(a, b, varied)
    if not matches:
        raise ComparisonError(f"A ({first}) and B ({second}) have no scenario in common: {alone[0]}")
    paired = a.run is b.run
    rows: list[Row] = []
    missing = list(alone)
    for match in matches:
        rows += _rows(match, paired, missing)
    unlike = (
        *comparison_differences.unlike(a, b),
        *comparison_differences.of_scenarios([match.scenarios for match in matches], varied),
        *(() if "python" in varied else comparison_differences.of_servers([match.pythons for match in matches])),
    )
    missing += _problems(a, b)
    return Comparison(a, b, varied, unlike, comparison_differences.told(a, b), tuple(rows), tuple(missing))


def refusal(comparison: Comparison) -> str:
    """Return why two sides should not be compared, in a sentence that names each difference; empty when they may."""
    if not comparison.unlike:
        return ""
    words = "; ".join(difference.words for difference in comparison.unlike)
    return f"A and B were not measured alike, so a ratio would be one of that: {words}; --force compares all the same"


def judge(measure: Measure, a: Reading, b: Reading, paired: bool) -> Finding:
    """Return what the rounds of both sides allow to say of a figure."""
    rounds = sorted(a.values.keys() & b.values.keys())
    why = _incomparable(a, b, bool(rounds) or not paired)
    if why:
        return Finding(Verdict.INCOMPARABLE, reason=why)
    if paired:
        ratio = stats.ratio([b.values[number] for number in rounds], [a.values[number] for number in rounds])
    else:
        ratio = stats.unpaired_ratio(list(b.values.values()), list(a.values.values()))
    sign = b.sign or {"": "", ">= ": "<= ", "<= ": ">= "}[a.sign]
    if sign:
        side = "B" if b.sign else "A"
        return Finding(Verdict.UNCLEAR, ratio, sign, f"a bound: the load generator was the limit of {side}")
    if ratio.interval.kind is IntervalKind.RANGE:
        return Finding(Verdict.UNCLEAR, ratio, reason=_few(ratio, len(a.values), len(b.values), paired))
    return _doubted(_decided(measure, ratio), a, b)


def _decided(measure: Measure, ratio: Estimate) -> Finding:
    low, high = ratio.interval.low, ratio.interval.high
    if low >= 1 / SAME_WITHIN and high <= SAME_WITHIN:
        return Finding(Verdict.SAME, ratio)
    if ratio.interval.holds(1):
        return Finding(Verdict.UNCLEAR, ratio)
    better = (low > 1) == measure.metric.higher_is_better
    return Finding(Verdict.FASTER if better else Verdict.SLOWER, ratio)


def _doubted(finding: Finding, a: Reading, b: Reading) -> Finding:
    """Return a finding, but for one that makes a side look good, or as good, that drops requests."""
    for name, reading, worse in (("A", a, Verdict.FASTER), ("B", b, Verdict.SLOWER)):
        if reading.dropped and finding.verdict is not worse:
            why = f"{name} left over {wording.percent(ranking.UNANSWERED_TO_RANK)} of its requests unanswered"
            return replace(finding, verdict=Verdict.UNCLEAR, reason=why)
    return finding


def _incomparable(a: Reading, b: Reading, rounds: bool) -> str:
    """Return why there is no ratio; empty when there is one."""
    for name, reading in (("A", a), ("B", b)):
        if not reading.values:
            return f"{name} has no such figure"
        if min(reading.values.values()) <= 0:
            return f"{name} was zero in some round"
    if a.sign and b.sign:
        return "the load generator was the limit of both"
    if all(math.inf in reading.values.values() for reading in (a, b)):
        return "both left so many requests unanswered that it is infinite"
    return "" if rounds else "they have no round in common"


def _few(ratio: Estimate, first: int, second: int, paired: bool) -> str:
    reached = wording.percent(ratio.interval.coverage)
    counted = wording.plural(ratio.samples, "paired round") if paired else f"{first} and {wording.rounds(second)}"
    needed = "6 paired rounds" if paired else "4 rounds on each side"
    return f"too few rounds: {counted} carry {reached}, and {wording.percent(COVERAGE)} needs {needed}"


def _rows(match: Match, paired: bool, missing: list[str]) -> Iterator[Row]:
    """Yield the figures of a match, window by window; tell in `missing` which window only one side has."""
    one, other = _windows(match.windows[0]), _windows(match.windows[1])
    for name in dict.fromkeys((*one, *other)):
        if name not in one or name not in other:
            side = "A" if name in one else "B"
            missing.append(f"{match.title}: {side} alone has {name}")
            continue
        kind = str(one[name]["kind"].iloc[0])
        for measure in MEASURES:
            if kind in measure.kinds:
                yield _row(match, name, measure, (one[name], other[name]), paired)
    for measure in MEASURES:
        if not measure.kinds:
            yield _row(match, "", measure, match.measured, paired)


def _row(match: Match, name: str, measure: Measure, tables: Sequence[pd.DataFrame], paired: bool) -> Row:
    a, b = (_reading(table, model, measure) for table, model in zip(tables, match.models, strict=True))
    return Row(match, name, measure, a, b, judge(measure, a, b, paired))


def _reading(table: pd.DataFrame, model: str, measure: Measure) -> Reading:
    windows = "limited_by" in table
    bound = windows and measure.metric.bounded and bool((table["limited_by"] == LimitedBy.GENERATOR).any())
    warnings = ranking.doubts(table, model).warnings if windows else {}
    values = ranking.by_round(table, model, measure.metric.column)
    timeout_s = float(table["timeout_s"].max())
    return Reading(values, measure.bound if bound else "", timeout_s, warnings, windows and ranking.dropped(table))


def _windows(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the windows of a side by their load in words, numbered where one load has several; no sweeps."""
    found: dict[str, pd.DataFrame] = {}
    seen: Counter[str] = Counter()
    for _, own in table[table["sweep_step"].isna()].groupby("window"):
        name = wording.load(str(own["load"].iloc[0]))
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = own
    return found


def _problems(a: Side, b: Side) -> list[str]:
    """Return what is missing in the runs themselves; steps of sweeps among the windows are told, too."""
    sides = [a] if a.run is b.run else [a, b]
    names = {side.name: "" if len(sides) == 1 else f"{side.name}: " for side in sides}
    told = [f"{names[side.name]}{sentence}" for side in sides for sentence in appendix.missing(side.run)]
    if any(side.windows["sweep_step"].notna().any() for side in (a, b)):
        told.append("Steps of load sweeps are not compared: each model has rates of its own.")
    return told


def tally(comparison: Comparison) -> dict[Verdict, int]:
    """Return how many figures have which verdict, those that there are."""
    counts = Counter(row.finding.verdict for row in comparison.rows)
    return {verdict: counts[verdict] for verdict in Verdict if counts[verdict]}
