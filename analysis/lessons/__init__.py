"""What the notebooks stand on: a run that is opened once, and answers made of pictures and sentences.

A run of sixty conditions would drown a reader. So pictures of a single condition are drawn of the *usual* ones only:
for each transport and each choice of the server's CPUs, the condition that has most in common with the rest of the
run. How the others differ is asked in its own notebook, a dimension at a time; the report shows them all.

An answer never fails for want of data. Where a run can't answer, the answer is a sentence that says what it lacks and
which plan measures it. Sentences come from the functions that write the report.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis import frames, views, wording
from analysis.figures import drawing
from analysis.frames import Run
from analysis.lessons import html as lesson_html
from analysis.report import appendix, sentences
from analysis.report.document import Block, Bullets, Paragraph, Picture, Section
from analysis.views import ConditionView

ROOT = Path(__file__).resolve().parents[2]

# What has a usual condition of its own for each value.
KEPT_APART = ("transport", "pin")
MOST_PARTS = 6


@dataclass(frozen=True)
class Answer:
    """What a notebook shows below a question: parts with a title, pictures and sentences, side by side."""

    parts: tuple[Section, ...]

    def _repr_html_(self) -> str:
        return lesson_html.render(self.parts)

    def __repr__(self) -> str:
        return "\n".join(lesson_html.lines(self.parts))


@dataclass(frozen=True, eq=False)
class Lesson:
    """A run with its conditions, and those of them that are drawn one by one."""

    run: Run
    conditions: tuple[ConditionView, ...]
    usual: tuple[ConditionView, ...]


def open_run(path: str | Path) -> Lesson:
    """Open a run folder; a relative path begins at the repository's root, wherever the notebook is started.

    Raises StoreError or SchemaError, a sentence each, where the folder holds no run that can be read.
    """
    run = frames.read(ROOT / path)
    conditions = views.conditions(run)
    return Lesson(run, conditions, usual(conditions))


def usual(conditions: Sequence[ConditionView]) -> tuple[ConditionView, ...]:
    """Return the usual condition for each transport and pin: measured, and most like the rest of the run."""
    scenarios = [json.loads(str(view.cells["condition"].iloc[0])) for view in conditions]
    places = most_alike(scenarios, KEPT_APART, [not view.windows for view in conditions])
    return tuple(conditions[place] for place in places[:MOST_PARTS])


def most_alike(scenarios: Sequence[Mapping[str, Any]], apart: Sequence[str], avoided: Sequence[bool] = ()) -> list[int]:
    """Return for each combination of values of the keys `apart` the place of the scenario most like all others.

    It differs in the fewest keys from the most frequent values. What is `avoided` is taken only where nothing else is.
    """
    keys = {key for scenario in scenarios for key in scenario if key not in apart}
    common = {key: Counter(_text(each.get(key)) for each in scenarios).most_common(1)[0][0] for key in keys}
    best: dict[tuple[str, ...], tuple[bool, int, int]] = {}
    for place, scenario in enumerate(scenarios):
        unlike = sum(_text(scenario.get(key)) != value for key, value in common.items())
        order = (any(avoided[place : place + 1]), unlike, place)
        group = tuple(_text(scenario.get(key)) for key in apart)
        best[group] = min(best.get(group, order), order)
    return [place for _, _, place in best.values()]


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def draw(stem: str, words: str, figure: Figure) -> Picture:
    """Return a figure as a picture; its stem is unlike that of every other picture that a page may hold."""
    svg = drawing.as_svg(figure)
    return Picture(f"{stem}-{zlib.crc32(svg.encode()):08x}", words, svg)


def each(conditions: Iterable[ConditionView], part: Callable[[ConditionView], Iterable[Block]], lacking: str) -> Answer:
    """Return a part for each condition that has anything to show; `lacking` where none has."""
    found = [(view.label, tuple(part(view))) for view in conditions]
    # A picture says itself which condition it is of.
    parts = [Section("" if isinstance(blocks[0], Picture) else label, blocks) for label, blocks in found if blocks]
    return Answer(tuple(parts[:MOST_PARTS])) if parts else say(lacking)


def say(*texts: str) -> Answer:
    """Return an answer in words alone."""
    return Answer((Section("", tuple(Paragraph(text) for text in texts)),))


def told(texts: Iterable[str]) -> tuple[Block, ...]:
    """Return sentences as a list, or nothing."""
    items = tuple(texts)
    return (Bullets(items),) if items else ()


def about(lesson: Lesson) -> Answer:
    """Return what was measured and on what, which conditions are drawn, and what is missing."""
    run = lesson.run
    if run.cells.empty:
        return say("This run holds no cell that can be read.", *appendix.missing(run))
    rounds = wording.rounds(run.cells["round"].nunique())
    counts = (
        f"{wording.plural(len(run.cells), 'cell')}, {wording.plural(len(lesson.conditions), 'condition')}, {rounds}"
    )
    blocks: list[Block] = [Paragraph(f"{run.path.name}: {counts}, on {sentences.machine(run.document)}.")]
    if len(lesson.conditions) > len(lesson.usual):
        blocks.append(Paragraph("Pictures of a single condition are drawn of the most usual ones:"))
    blocks += told(view.label for view in lesson.usual)
    blocks += [Paragraph(text) for text in [*_worth(lesson), *appendix.missing(run)]]
    return Answer((Section("", tuple(blocks)),))


def _worth(lesson: Lesson) -> Iterable[str]:
    """Return what the intervals are worth, a sentence for each number of rounds that there is."""
    return dict.fromkeys(filter(None, (sentences.pairing(view) for view in lesson.usual)))
