"""Answers about throughput and its price: what limited it, CPU time, memory, and what can be had together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from analysis import lessons, ranking, stats, wording
from analysis.contrasts import Point
from analysis.figures import heatmap, tradeoff
from analysis.figures import of_models as figures
from analysis.lessons import Answer, Lesson
from analysis.report import accounts, contrast_sentences, sentences
from analysis.report.document import Block, Section, Terms
from analysis.views import ConditionView, WindowView

NO_CLOSED = (
    "This run has no window under closed load, so it says nothing about capacity; `echobench run quick` measures some."
)
NO_WINDOW = "This run holds no window."
ALONE = "This run has a single condition: there is nothing to set beside it; `echobench run full` measures more."
SHARED_LEAST = 1.2  # RSS over PSS from which pages that are counted twice are worth a word


def everywhere(lesson: Lesson) -> Answer:
    """Return every condition beside every model: who leads where, and by how much."""
    closed = tuple(view for view in lesson.conditions if view.closed)
    if not closed:
        return lessons.say(NO_CLOSED)
    if len(closed) == 1:
        return lessons.say(ALONE)
    words = "Throughput of each model in each condition, relative to the best there"
    return Answer((Section("", (lessons.draw("heat-map", words, heatmap.figure(closed)),)),))


def throughput(lesson: Lesson) -> Answer:
    """Return the throughput under closed load, who answers the most, and how many times what the others do."""

    def part(view: ConditionView) -> Iterator[Block]:
        for window in view.closed[:1]:
            words = f"Throughput of each model under closed load, {view.label}"
            yield lessons.draw("throughput", words, figures.throughput(window.rows, view.models, view.label))
            yield from lessons.told([*sentences.throughput(view, window), *sentences.failed(view)])

    return lessons.each(lesson.usual, part, NO_CLOSED)


def verdicts(lesson: Lesson) -> Answer:
    """Return how many windows of either load have which verdict, with what each means."""
    windows = lesson.run.windows[lesson.run.windows["outcome"] == "measured"]
    if windows.empty:
        return lessons.say(NO_WINDOW)
    parts = []
    for kind, rows in windows.groupby("kind"):
        counts = Counter(rows["limited_by"]).most_common()
        terms = [
            (
                f"{wording.verdict(name)}: {count:,} of {wording.plural(len(rows), 'window')}",
                wording.VERDICT_MEANINGS.get(name, "a verdict of another version"),
            )
            for name, count in counts
        ]
        parts.append(Section(f"Under {kind} load", (Terms(tuple(terms)),)))
    return Answer(tuple(parts))


def warnings(lesson: Lesson) -> Answer:
    """Return how many windows have which warning, with what each means."""
    windows = lesson.run.windows[lesson.run.windows["outcome"] == "measured"]
    if windows.empty:
        return lessons.say(NO_WINDOW)
    counts = Counter(kind for kinds in windows["warnings"] for kind in set(kinds)).most_common()
    if not counts:
        return lessons.say(f"None of the {wording.plural(len(windows), 'window')} has a warning.")
    terms = [
        (
            f"{wording.warning_word(name)}: {count:,} of {wording.plural(len(windows), 'window')}",
            wording.WARNING_MEANINGS.get(name, "a warning of another version"),
        )
        for name, count in counts
    ]
    return Answer((Section("", (Terms(tuple(terms)),)),))


def cpu(lesson: Lesson) -> Answer:
    """Return the CPU time of a request, user and system, and whose requests cost the least."""

    def part(view: ConditionView) -> Iterator[Block]:
        window = view.cpu_window
        if window is None:
            return
        words = f"CPU time per request of each model, {window.words}, {view.label}"
        yield lessons.draw("cpu", words, figures.cpu_per_request(window.rows, view.models, view.label))
        point = Point(view.label, math.nan, {}, view)
        yield from lessons.told(contrast_sentences.costs(point, f"under {window.words}"))

    return lessons.each(lesson.usual, part, NO_WINDOW)


def memory(lesson: Lesson) -> Answer:
    """Return what a connection takes of the server's memory."""

    def part(view: ConditionView) -> Iterator[Block]:
        if view.measured.empty:
            return
        words = f"Memory per connection of each model, {view.label}"
        yield lessons.draw("memory", words, figures.memory_per_connection(view.measured, view.models, view.label))
        yield from lessons.told(sentences.memory(view))

    return lessons.each(lesson.usual, part, "This run holds no measured cell.")


def shared_pages(lesson: Lesson) -> Answer:
    """Return RSS, PSS and USS of the server that shares the most between its processes."""
    windows = lesson.run.windows
    known = windows[(windows["outcome"] == "measured") & (windows["pss_bytes"] > 0) & windows["rss_bytes"].notna()]
    if known.empty:
        return lessons.say("This run tells no RSS beside its PSS.")
    row = known.iloc[int((known["rss_bytes"] / known["pss_bytes"]).argmax())]
    rss, pss, uss = (f"{wording.number(row[name] / 1e6)} MB" for name in ("rss_bytes", "pss_bytes", "uss_bytes"))
    who = f"{row['model']}, {row['label']}, round {row['round']}"
    count = row["processes"]
    processes = "" if math.isnan(count) else " of 1 process" if count == 1 else f" of {count:,.0f} processes"
    if row["rss_bytes"] < SHARED_LEAST * row["pss_bytes"]:
        return lessons.say(f"No server of this run shares much: RSS {rss}, PSS {pss} where they differ most ({who}).")
    return lessons.say(
        f"The tree{processes} that shares the most ({who}) has {rss} of RSS, in which a page counts once for each "
        f"process that has it. Its PSS, in which a page counts once, is {pss}; {uss} of that belongs to one process "
        "alone (USS)."
    )


def trade_off(lesson: Lesson) -> Answer:
    """Return p99 of response time against CPU time a request, and who is behind another model in both."""

    def part(view: ConditionView) -> Iterator[Block]:
        for window in view.open[:1]:
            words = f"p99 of response time against CPU time per request of each model, {view.label}, {window.words}"
            yield lessons.draw("trade-off", words, tradeoff.figure(window.rows, view.models, view.label))
            yield from lessons.told(corner(view, window))

    return lessons.each(lesson.usual, part, "This run has no window under open load at one rate for all.")


def corner(view: ConditionView, window: WindowView) -> Iterator[str]:
    """Say whom another model beats for certain in both, CPU time a request and p99, and who is left."""
    orders = [view.rank(window, metric) for metric in (ranking.CPU, ranking.RESPONSE_P99)]
    placed = [
        model for model in view.models if all(order.of(model).status is ranking.Status.RANKED for order in orders)
    ]
    if len(placed) < 2:
        return
    behind = {
        model: [other for other in placed if all(order.ahead(other, model) for order in orders)] for model in placed
    }
    left = [model for model in placed if not behind[model]]
    verb = "is" if len(left) == 1 else "are"
    yield f"Under {window.words}, {wording.listing(left)} {verb} for certain beaten in both by no other model."
    for model, others in behind.items():
        if others:
            yield f"{model} takes more CPU time and has a higher p99 than {wording.listing(others)}."


def accounting(lesson: Lesson) -> Answer:
    """Return what the accounting itself took."""
    said = accounts.cost(lesson.run)
    return lessons.say(*said) if said else lessons.say("This run does not tell what the accounting took.")


def rounds(lesson: Lesson) -> Answer:
    """Return what intervals so many rounds can have: their coverage, and what would be told apart by chance."""
    count = int(lesson.run.cells["round"].nunique())
    if count == 0:
        return lessons.say(NO_WINDOW)
    alone = f"With {wording.rounds(count)}, a median stands beside {wording.interval_of(count)}."
    if count < ranking.ROUNDS_TO_RANK:
        return lessons.say(alone, f"Nothing is ranked on fewer than {ranking.ROUNDS_TO_RANK} rounds.")
    return lessons.say(alone, f"Ratios are {sentences.worth(stats.center([0.0] * count))}.")
