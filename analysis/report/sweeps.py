"""Load sweeps in the report: how response times grow with the load. Views of a run in, sections out.

A step is the same part of each model's own capacity, measured a moment before in the same process. So models stand side
by side at equal parts and not at equal rates: no step has a ranking, and none is mixed with a plain open load.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis import wording
from analysis.figures import of_models as figures
from analysis.report import entries, leaderboard
from analysis.report.document import Block, Entry, Head, Paragraph, Row, Section, Table
from analysis.report.sections import Draw, who
from analysis.views import ConditionView, WindowView
from harness.schema import sweep_fraction

NOTE = (
    "Open load at even steps of what each model had just reached under closed load, in the same process and over the "
    "same connections. A step is the same part of the capacity for every model, so at the same step a faster model "
    "carries more requests: compare along the axis of the rate. Steps are added up over rounds by their number, since "
    "the rate differs a little from round to round; the models are not ranked by them. Where the load generator was "
    "the limit under closed load, the capacity is what it could ask for, and the server could do more."
)
TIMES = ("response_time_p50_ns", "response_time_p99_ns")
HEADS = (
    Head("Model"),
    Head("Server CPUs"),
    Head("Part of its capacity, %", number=True),
    Head("Offered, requests/s", number=True),
    Head("Throughput, replies/s", number=True),
    Head("Response time p50, ms", number=True),
    Head("Response time p99, ms", number=True),
    Head("Achieved, %", number=True),
    Head("Unanswered", number=True),
    Head("CPU time per request, µs", number=True),
    Head("Limited by"),
    Head("Warnings"),
)


def chapter(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield figure and table of each sweep; nothing where a run has none."""
    if not any(view.sweeps for view in views):
        return
    yield Section("Response time against load", (Paragraph(NOTE),))
    for place, view in enumerate(views):
        blocks: list[Block] = []
        for steps in view.sweeps:
            rows = pd.concat([window.rows for window in steps])
            words = f"Response time of each model at {steps[0].of} steps of its capacity, {view.label}"
            figure = figures.latency_against_load(rows, view.models, view.label)
            blocks += [draw(f"sweep-{place}-{steps[0].index}", words, figure), _table(view, steps)]
        if blocks:
            yield Section(view.label, tuple(blocks), level=3)


def _table(view: ConditionView, steps: Sequence[WindowView]) -> Table:
    rows = [_row(view, model, step) for model in view.models for step in steps]
    caption = f"A load sweep of {steps[0].of} steps. Medians over rounds; below them {leaderboard.kinds(view)}."
    return Table(caption, HEADS, tuple(rows), wide=True)


def _row(view: ConditionView, model: str, step: WindowView) -> Row:
    own = step.rows[step.rows["model"] == model]
    part = 100 * sweep_fraction(step.step, step.of)
    medians = [
        entries.of_estimate(entries.over_rounds(own[column]), wording.number)
        for column in ("offered_per_s", "throughput_per_s", "cpu_us_per_request")
    ]
    return Row(
        (
            *who(view, model),
            Entry(f"{part:.3g}", sort=part),
            *medians[:2],
            *(entries.time(step, model, column) for column in TIMES),
            entries.percent(own["achieved"]),
            entries.count(own["unanswered"]),
            medians[2],
            entries.limits([step], model),
            entries.warnings(view, model, [step]),
        )
    )
