"""Answers about scale: what happens to the models when one thing of the scenario changes, and all else stays.

The chapters are the report's own. They are made of the conditions of one series at a time: those that differ in this
dimension alone.
"""

from __future__ import annotations

from analysis import contrasts, lessons
from analysis.lessons import Answer, Lesson
from analysis.report import contrast_chapters
from analysis.report.document import Section, Table

PLANS = {
    "connections": ("number of connections", "connections"),
    "idle": ("number of idle connections", "idle"),
    "payload": ("size of the payload", "payload"),
    "pin": ("CPUs of the server", "pinning"),
    "work": ("work of a request", "work"),
    "python": ("interpreter", "interpreters"),
}


def varied(lesson: Lesson, key: str) -> Answer:
    """Return how the models change with one key of the scenario: figures and sentences, a part a series.

    Where a run has several series, one a transport is shown, through a usual condition. Raises KeyError for an unknown
    key.
    """
    words, plan = PLANS[key]
    found = contrasts.find(lesson.conditions, key)
    usual = {id(view) for view in lesson.usual}
    through = [series for series in found if any(id(point.view) in usual for point in series.points)] or [*found]
    first = {str(series.points[0].scenario.get("transport")): series for series in reversed(through)}
    if not through:
        return lessons.say(f"In this run the {words} is one throughout; `echobench run {plan}` varies it.")
    parts = []
    for series in (series for series in through if series in first.values()):
        views = [point.view for point in series.points]
        for section in contrast_chapters.chapters(lesson.run, views, lessons.draw):
            if section.level > 2:
                blocks = tuple(block for block in section.blocks if not isinstance(block, Table))
                parts.append(Section(section.title, blocks))
    return Answer(tuple(parts))
