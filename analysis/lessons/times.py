"""Answers about time: how long users wait, from when one counts, and what the machine adds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis import lessons, ranking, wording
from analysis.columns import CLOCKS
from analysis.figures import lessons as lesson_figures
from analysis.figures import of_models as figures
from analysis.figures import timeline, unanswered
from analysis.lessons import Answer, Lesson
from analysis.ranking import SERIOUS
from analysis.report import entries, sentences
from analysis.report.document import Block, Section
from analysis.views import ConditionView, WindowView

NO_OPEN = (
    "This run has no window under open load at one rate for all, so it says nothing about response times; "
    "`echobench run quick` measures some."
)
NO_SWEEP = "This run has no load sweep; `echobench run sweep` measures one."
P99 = ranking.RESPONSE_P99.column
# The further out, the more a stall shows; the first that both clocks have is taken.
TAILS = ("p99.9", "p99", "p90")


def waiting(lesson: Lesson) -> Answer:
    """Return the percentiles of response time under the first open load, and who has the lowest p99."""

    def part(view: ConditionView) -> Iterator[Block]:
        for window in view.open[:1]:
            yield _curves(view, window, "response_time", "waiting")
            yield from lessons.told(sentences.response(view, window))

    return lessons.each(lesson.usual, part, NO_OPEN)


def _curves(view: ConditionView, window: WindowView, clock: str, stem: str) -> Block:
    words = f"Percentiles of {clock.replace('_', ' ')} of each model, {view.label}, {window.words}"
    return lessons.draw(stem, words, figures.percentile_curves(window.percentiles, clock, view.models, view.label))


def two_clocks(lesson: Lesson) -> Answer:
    """Return both clocks' percentiles of the window in which they lie furthest apart."""
    found = [(_apart(window), view, window) for view in lesson.usual for window in view.open]
    if not found:
        return lessons.say(NO_OPEN)
    _, view, window = max(found, key=lambda each: each[0])
    parts = [Section("", (_curves(view, window, clock, clock),)) for clock in CLOCKS]
    said = lessons.told(filter(None, (_both(window, model) for model in view.models)))
    return Answer((*parts, Section("", said)))


def _apart(window: WindowView) -> tuple[bool, float]:
    """Return how many times its service time the response time is at most, at one percentile of any model.

    Before it stands whether all was answered: beside infinite times no difference can be seen.
    """
    points = window.percentiles
    answered = bool(np.isfinite(points["value_ns"]).all())
    named = points[(points["name"] != "") & np.isfinite(points["value_ns"])]
    table = named.pivot_table(index=["model", "name"], columns="clock", values="value_ns")
    if not {*CLOCKS} <= {*table.columns}:
        return answered, 0.0
    ratios = (table["response_time"] / table["service_time"]).dropna()
    return answered, float(ratios.max()) if len(ratios) else 0.0


def _both(window: WindowView, model: str) -> str:
    for name in TAILS:
        found = [entries.pooled(window, model, clock, name) for clock in CLOCKS]
        if entries.NONE not in found:
            due, sent = (text.text if text.doubt else f"{text.text} ms" for text in found)
            return (
                f"{model}: {name} of all rounds together is {due} from when requests were due, {sent} from when sent."
            )
    return ""


def averages(lesson: Lesson) -> Answer:
    """Return p99 of each round, their mean, and p99 of all requests, where mean and truth lie furthest apart."""
    found = [
        (lesson_figures.misses(window, view.models), view, window) for view in lesson.usual for window in view.open
    ]
    if not found:
        return lessons.say(NO_OPEN)
    _, view, window = max(found, key=lambda each: each[0])
    figure = lesson_figures.rounds_and_pool(window, view.models, f"{view.label}, {window.words}")
    picture = lessons.draw("rounds", f"p99 of each round, their mean, and p99 of all requests, {view.label}", figure)
    said = filter(None, (_averaged(window, model) for model in view.models))
    return Answer((Section("", (picture, *lessons.told(said))),))


def _averaged(window: WindowView, model: str) -> str:
    own = lesson_figures.tail(window, model)
    if own is None or not own.finite:
        return ""
    low, high, mean, pooled = (
        wording.milliseconds(value) for value in (min(own.rounds_ns), max(own.rounds_ns), own.mean_ns, own.pooled_ns)
    )
    count = wording.rounds(len(own.rounds_ns))
    return (
        f"{model}: p99 over {count} goes from {low} to {high} ms. The mean of these is {mean} ms; p99 of all their "
        f"requests is {pooled} ms."
    )


def growing(lesson: Lesson) -> Answer:
    """Return how p50 and p99 of response time grow with the load, from the sweeps of the run."""

    def part(view: ConditionView) -> Iterator[Block]:
        for steps in view.sweeps:
            rows = pd.concat([window.rows for window in steps])
            words = f"Response time of each model at {steps[0].of} steps of its capacity, {view.label}"
            yield lessons.draw("sweep", words, figures.latency_against_load(rows, view.models, view.label))
        yield from lessons.told(sentences.swept(view))

    return lessons.each(lesson.conditions, part, NO_SWEEP)


def never_answered(lesson: Lesson) -> Answer:
    """Return which requests were never answered, against the load where there are several, and what p99 makes of it."""
    windows = lesson.run.windows
    measured = windows[windows["outcome"] == "measured"]
    due, lost = int(measured["due"].sum()), int(measured["unanswered"].sum())
    if not due:
        return lessons.say("This run holds no window, so nothing was asked.")
    if not lost:
        return lessons.say(f"Every one of the {due:,} requests of this run was answered.")

    def part(view: ConditionView) -> Iterator[Block]:
        opened = [window.rows for window in view.windows if window.kind == "open"]
        if not sum(int(window.rows["unanswered"].sum()) for window in view.windows):
            return
        if opened:
            words = f"Share of requests that were never answered against the offered load, {view.label}"
            figure = unanswered.figure(pd.concat(opened), view.models, view.label)
            yield lessons.draw("unanswered", words, figure)
        yield from lessons.told(sentences.doubtful(view))

    share = wording.percent(lost / due, 2)
    total = Section("", lessons.told([f"{lost:,} of the {due:,} requests of this run were never answered ({share})."]))
    return Answer((total, *lessons.each(_worst_first(lesson), part, "").parts))


def _worst_first(lesson: Lesson) -> list[ConditionView]:
    def left(view: ConditionView) -> int:
        return sum(int(window.rows["unanswered"].sum()) for window in view.windows)

    return sorted(lesson.conditions, key=left, reverse=True)


def doubtful_cell(lesson: Lesson) -> Answer:
    """Return the cell with the gravest warnings over time, and its warnings in words."""
    windows = lesson.run.windows
    warned = windows[(windows["outcome"] == "measured") & (windows["warnings_text"] != "")]
    if warned.empty:
        return lessons.say("No window of this run has a warning." if len(windows) else "This run holds no window.")
    gravity = [
        (len(SERIOUS.intersection(kinds)), len(kinds), 0.0 if math.isnan(pause) else pause)
        for kinds, pause in zip(warned["warnings"], warned["pauses_max_ns"], strict=True)
    ]
    worst = warned.iloc[max(range(len(gravity)), key=lambda place: gravity[place])]
    own = warned[warned["file"] == worst["file"]]
    title = f"{worst['model']}, {worst['label']}, round {worst['round']}"
    said = [f"Under {wording.load(row['load'])}: {row['warnings_text']}." for _, row in own.iterrows()]
    figure = timeline.figure(lesson.run, str(worst["file"]))
    picture = lessons.draw("over-time", f"One cell over time: {title}", figure)
    return Answer((Section("", (picture,)), Section("Its warnings", lessons.told(said))))
