"""How figures, intervals, verdicts and warnings read: the same words in the report, the figures and the console.

A figure over rounds is given with three significant digits: the rounds do not carry more. Ranges are written with
`to`, lower bounds with `>=`, upper ones with `<=`, all plain ASCII, so that a pipe or an old terminal shows them too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.stats import Estimate, IntervalKind, median
from harness.schema import LimitedBy, Load, WarningKind, WarningRecord, sweep_fraction

NOTHING = "-"

# How the sentence of a cell begins that was never started, since the machine or its interpreters don't allow it.
IMPOSSIBLE = "can't be measured here"

# Figures of warnings that are parts of a whole, 0 to 1.
SHARES = frozenset({"share", "fraction", "achieved"})

VERDICTS: Mapping[str, str] = {
    LimitedBy.GENERATOR: "generator",
    LimitedBy.SERVER: "server",
    LimitedBy.CONCURRENCY: "connections",
    LimitedBy.OFFERED_LOAD: "offered load",
    LimitedBy.UNDETERMINED: "undetermined",
}

VERDICT_MEANINGS: Mapping[str, str] = {
    LimitedBy.GENERATOR: "the load generator had no time left: the server could do more, so throughput is a lower "
    "bound (>=), times are upper bounds (<=), and neither is ranked",
    LimitedBy.SERVER: "the server's CPUs, or its busiest thread, had no time left: this is its capacity",
    LimitedBy.CONCURRENCY: "nobody was busy: more connections would give more",
    LimitedBy.OFFERED_LOAD: "everything that was due went out in time and came back",
    LimitedBy.UNDETERMINED: "none of the rules applies",
}

WARNING_MEANINGS: Mapping[str, str] = {
    WarningKind.SCHEDULE_MISSED: "requests went out late or their replies came after the window",
    WarningKind.ERRORS: "connections or requests failed, or a reply was not what had been sent",
    WarningKind.UNANSWERED: "requests were never answered; they rank as infinite in every percentile",
    WarningKind.COUNT_MISMATCH: "the server and the load generator counted different numbers of requests",
    WarningKind.STALLED_CONNECTIONS: "some connections had no reply in the whole window",
    WarningKind.UNFAIR: "replies were spread unevenly over the connections",
    WarningKind.KERNEL_DROPS: "the kernel dropped connections from a full listen queue",
    WarningKind.STEAL: "the hypervisor gave the CPUs to somebody else",
    WarningKind.PAUSES: "the machine stopped for long enough to be seen in the times",
    WarningKind.SHORT: "too few requests for a p99",
    WarningKind.SERVER_DIED: "the server ended before it was told to",
    WarningKind.NEAR_CEILING: "throughput came close to the most that the load generator was measured to reach here",
}

# The same word reads better in a sentence that begins "limited by".
VERDICT_PHRASES: Mapping[str, str] = {
    LimitedBy.GENERATOR: "the load generator",
    LimitedBy.SERVER: "the server",
    LimitedBy.CONCURRENCY: "the number of connections",
    LimitedBy.OFFERED_LOAD: "the offered load",
    LimitedBy.UNDETERMINED: "something that no rule found",
}


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` significant digits and thousands separators; `-` for what is not there."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "infinite"
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    # Rounding may have made a digit more of it: 9.996 is 10.0, not 10.00.
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, decimals)}f}"


def ratio(value: float) -> str:
    """Return a ratio: two decimals where that is sensible."""
    return f"{value:.2f}" if 0.1 <= value < 10 else number(value)


def whole(value: float | None) -> str:
    """Return a number rounded to a whole one, with thousands separators."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.0f}"


def milliseconds(value_ns: float | None, timeout_s: float | None = None) -> str:
    """Return nanoseconds as milliseconds, unit left to the column; infinite reads `> 1 s`, the time-out."""
    if value_ns is not None and math.isinf(value_ns):
        return "unanswered" if timeout_s is None or not math.isfinite(timeout_s) else f"> {timeout_s:g} s"
    return NOTHING if value_ns is None or math.isnan(value_ns) else number(value_ns / 1e6)


def span(low: str, high: str) -> str:
    """Return a range in words; one figure when both ends read alike."""
    return low if low == high else f"{low} to {high}"


def interval_name(estimate: Estimate) -> str:
    """Return what an interval is, so that nobody takes a range of three for more: `range of 3 rounds`."""
    if estimate.samples == 1:
        return "a single round"
    if estimate.interval.kind is IntervalKind.RANGE:
        return f"range of {rounds(estimate.samples)}"
    return f"{percent(estimate.interval.coverage)} interval of {rounds(estimate.samples)}"


def interval_of(count: int) -> str:
    """Return what the interval of a median of `count` rounds is: `the range of 3 rounds`."""
    return "nothing, for a single round has no spread" if count == 1 else f"the {interval_name(median([1.0] * count))}"


def coverage_name(estimate: Estimate) -> str:
    """Return an interval of paired rounds with its coverage: `75 % interval of 3 paired rounds`."""
    return f"{percent(estimate.interval.coverage)} interval of {estimate.samples} paired rounds"


def percent(share: float, digits: int = 3) -> str:
    """Return a share (0 to 1) in percent."""
    return f"{100 * share:.{digits}g} %"


def rounds(count: int) -> str:
    """Return a number of rounds in words."""
    return "1 round" if count == 1 else f"{count} rounds"


def failed(name: str, count: int, of: int, why: str) -> str:
    """Return in how many of its rounds something failed, and why; or why it could not even be started."""
    return f"{name} {why}" if why.startswith(IMPOSSIBLE) else f"{name} failed in {count} of {rounds(of)}: {why}"


def plural(count: int, noun: str) -> str:
    """Return a number and its noun: `1 cell`, `1,200 cells`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listing(items: Sequence[str], last: str = "and") -> str:
    """Return items as in a sentence: `a, b and c`."""
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def load(text: str) -> str:
    """Return a load in words: `closed load`, `open load, 2,000 requests/s`."""
    what = Load.parse(text)
    if what.kind == "closed":
        return "closed load"
    arrivals = ", constant arrivals" if what.arrivals == "constant" else ""
    return f"open load, {what.rate_per_s:,.10g} requests/s{arrivals}"


def sweep(step: int, of: int) -> str:
    """Return a step of a sweep in words: `load sweep, 30 % of its own capacity`."""
    return f"load sweep, {percent(sweep_fraction(step, of))} of its own capacity"


def verdict(kind: str) -> str:
    """Return a verdict as its table word; one of another version reads as it stands."""
    return VERDICTS.get(kind, kind.replace("_", " "))


def printable(text: str) -> str:
    """Return a text without line breaks and without control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))


def warning_word(kind: str) -> str:
    """Return a kind of warning as its table word."""
    return kind.replace("_", " ")


def warning(record: WarningRecord) -> str:
    """Return a warning in words, its figures in units for reading: `pauses (share 4.2 %, count 17, max 12.1 ms)`."""
    figures = ", ".join(_warning_figure(name, value) for name, value in record["figures"].items())
    return warning_word(record["kind"]) + (f" ({figures})" if figures else "")


def _warning_figure(name: str, value: float | str) -> str:
    words = name.removesuffix("_ns").removesuffix("_per_s").replace("_", " ")
    if isinstance(value, str):
        return f"{words} {value}"
    if name.endswith("_per_s"):
        return f"{words} {whole(value)}/s"
    if name.endswith("_ns"):
        return f"{words} {milliseconds(value)} ms"
    if name in SHARES:
        return f"{words} {percent(value)}"
    return f"{words} {value:,}" if isinstance(value, int) else f"{words} {number(value)}"


def tally(counts: Mapping[str, int], total: int) -> str:
    """Return words with the rounds that they hold in, the number left out where it is all of them."""
    return ", ".join(word if count == total else f"{word} ({count} of {total})" for word, count in counts.items())
