"""Answers with known answers: what is usual, what a mean of percentiles is worth, who is beaten in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import comparison, lessons
from analysis.figures import comparisons as comparison_figures
from analysis.figures import lessons as lesson_figures
from analysis.lessons import Lesson
from analysis.lessons import comparison as lesson_comparison
from analysis.lessons import costs as lesson_costs
from analysis.lessons import html as lesson_html
from analysis.lessons import scaling as lesson_scaling
from analysis.lessons import times as lesson_times
from analysis.report.document import Entry, Head, Paragraph, Picture, Row, Section, Table
from harness.schema import LimitedBy, WarningKind, warning
from tests.analysis import readable
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel

LOOP = CannedModel("asyncio", 4_000, noise=0.01, service_ns=100_000, cpu_us=10)
HEAVY = CannedModel("fork", 2_000, noise=0.01, service_ns=400_000, cpu_us=40)
HOSTILE = '"><script>alert(1)</script>'


def opened(folder: Path, models: Sequence[CannedModel], **setting: Any) -> Lesson:
    return lessons.open_run(make_run(folder, models, Setting(**setting)).folder)


def test_the_usual_condition_is_the_one_most_like_the_rest_of_its_transport_and_pin(tmp_path: Path) -> None:
    conditions = (
        {"connections": 1},
        {"work": "cpu:100us"},
        {},
        {"connections": 1024},
        {"pin": "none", "connections": 1},
        {"pin": "none"},
        {"transport": "udp"},
    )
    lesson = opened(tmp_path / "run", [LOOP], rounds=1, conditions=conditions)
    assert [view.label for view in lesson.usual] == [
        "TCP, 64 B, 64 connections, server on CPU 0",
        "TCP, 64 B, 64 connections, server unpinned (CPUs 0,1)",
        "UDP, 64 B, 64 connections, server on CPU 0",
    ]
    assert len(lesson.conditions) == len(conditions)


def test_a_condition_in_which_nothing_was_measured_is_not_the_usual_one(tmp_path: Path) -> None:
    def broken(model: CannedModel, scenario: Any) -> CannedModel:
        return replace(model, failed_rounds=(1, 2, 3)) if scenario["connections"] == 64 else model

    conditions = ({}, {"work": "wait:1ms"}, {"connections": 256})
    lesson = opened(tmp_path / "run", [LOOP], conditions=conditions, adjust=broken)
    assert ["256 connections" in view.label for view in lesson.usual] == [True]


def test_a_relative_path_begins_at_the_repository_s_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lessons.open_run("results/reference").run.path == lessons.ROOT / "results" / "reference"


def test_the_mean_of_p99_over_rounds_is_not_p99_of_all_requests(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [LOOP], Setting(loads=("open:2000",)))
    (window,) = lessons.open_run(run.folder).conditions[0].open
    tail = lesson_figures.tail(window, "asyncio")
    assert tail is not None
    raw = [run.raw["asyncio", number][0].response_time for number in (1, 2, 3)]
    pooled = np.sort(np.concatenate(raw))
    assert tail.pooled_ns == pytest.approx(pooled[math.ceil(0.99 * len(pooled)) - 1], rel=2e-3)
    assert tail.mean_ns == pytest.approx(np.mean([np.sort(each)[math.ceil(0.99 * len(each)) - 1] for each in raw]))


def test_who_leaves_requests_unanswered_has_no_mean_to_show(tmp_path: Path) -> None:
    drops = replace(LOOP, unanswered_share=0.02)
    lesson = opened(tmp_path / "run", [drops, HEAVY], loads=("open:2000",))
    said = repr(lesson_times.averages(lesson))
    assert "fork: p99 over 3 rounds goes from" in said
    assert "asyncio: p99" not in said
    (window,) = lesson.conditions[0].open
    assert "never answered" in readable.words(lesson_figures.rounds_and_pool(window, ("asyncio", "fork"), "TCP"))


def test_both_clocks_are_told_of_each_model(tmp_path: Path) -> None:
    said = repr(lesson_times.two_clocks(opened(tmp_path / "run", [LOOP, HEAVY], loads=("open:2000",))))
    for model in ("asyncio", "fork"):
        assert f"{model}: p99 of all rounds together is" in said


def test_a_model_that_another_beats_in_both_is_named(tmp_path: Path) -> None:
    said = repr(lesson_costs.trade_off(opened(tmp_path / "run", [LOOP, HEAVY], rounds=6)))
    assert "asyncio is for certain beaten in both by no other model." in said
    assert "fork takes more CPU time and has a higher p99 than asyncio." in said


def test_a_model_that_is_cheap_and_slow_is_beaten_in_both_by_nobody(tmp_path: Path) -> None:
    said = repr(lesson_costs.trade_off(opened(tmp_path / "run", [LOOP, replace(HEAVY, cpu_us=5)], rounds=6)))
    assert "are for certain beaten in both by no other model." in said
    assert "takes more CPU time and" not in said


def test_nobody_is_named_in_the_corner_on_too_few_rounds(tmp_path: Path) -> None:
    assert "beaten" not in repr(lesson_costs.trade_off(opened(tmp_path / "run", [LOOP, HEAVY], rounds=2)))


def test_verdicts_and_warnings_are_counted_by_window(tmp_path: Path) -> None:
    pauses = warning(WarningKind.PAUSES, count=2)
    models = [replace(LOOP, closed_verdict=LimitedBy.GENERATOR), replace(HEAVY, warnings=(pauses,))]
    lesson = opened(tmp_path / "run", models)
    said = repr(lesson_costs.verdicts(lesson))
    assert "generator: 3 of 6 windows: " in said
    assert "server: 3 of 6 windows: " in said
    assert "pauses: 6 of 12 windows: " in repr(lesson_costs.warnings(lesson))


def test_a_run_in_which_all_was_answered_says_so(tmp_path: Path) -> None:
    said = repr(lesson_times.never_answered(opened(tmp_path / "run", [LOOP])))
    assert said.endswith("requests of this run was answered.")


def test_too_few_rounds_are_said_to_rank_nothing(tmp_path: Path) -> None:
    assert "Nothing is ranked" in repr(lesson_costs.rounds(opened(tmp_path / "one", [LOOP], rounds=1)))
    assert "one in 4 would be told apart by chance" in repr(lesson_costs.rounds(opened(tmp_path / "three", [LOOP])))
    assert "96.9 % interval of 6 rounds" in repr(lesson_costs.rounds(opened(tmp_path / "six", [LOOP], rounds=6)))


def test_one_series_a_transport_is_shown_through_the_usual_condition(tmp_path: Path) -> None:
    conditions = [
        {"transport": transport, "connections": connections, "pin": pin}
        for transport in ("tcp", "udp")
        for connections in (16, 64)
        for pin in ("0:1", "none")
    ]
    lesson = opened(tmp_path / "run", [LOOP], loads=("closed",), conditions=conditions)
    parts = lesson_scaling.varied(lesson, "connections").parts
    assert [part.title.partition(",")[0] for part in parts] == ["TCP", "UDP"]
    assert not any(isinstance(block, Table) for part in parts for block in part.blocks)


def test_the_dimensions_that_have_a_plan_are_those_that_the_report_knows() -> None:
    assert lesson_scaling.PLANS.keys() == {*lesson_scaling.contrasts.KEYS}


def test_every_verdict_of_a_comparison_has_a_meaning() -> None:
    assert lesson_comparison.MEANINGS.keys() == {*comparison.Verdict}


def test_a_run_stands_against_itself_by_the_cpus_of_its_server(tmp_path: Path) -> None:
    def faster(model: CannedModel, scenario: Any) -> CannedModel:
        return replace(model, throughput_per_s=8_000) if scenario["pin"] == "none" else model

    setting = Setting(rounds=6, conditions=({}, {"pin": "none"}), adjust=faster)
    folder = make_run(tmp_path / "run", [LOOP, HEAVY], setting).folder
    pair = lesson_comparison.open_pair(str(folder))
    said = repr(lesson_comparison.ratios(pair, "throughput"))
    assert "asyncio: B has 2." in said or "asyncio: B has 1.9" in said
    assert "faster." in said
    assert "The rounds are paired." in repr(lesson_comparison.sides(pair))


def test_a_bound_is_drawn_hollow_and_never_faster(tmp_path: Path) -> None:
    def bound(model: CannedModel, scenario: Any) -> CannedModel:
        free = scenario["pin"] == "none"
        return replace(model, throughput_per_s=9_000, closed_verdict=LimitedBy.GENERATOR) if free else model

    setting = Setting(rounds=6, conditions=({}, {"pin": "none"}), adjust=bound)
    pair = lesson_comparison.open_pair(str(make_run(tmp_path / "run", [LOOP, HEAVY], setting).folder))
    assert pair.comparison is not None
    rows = [row for row in pair.comparison.rows if row.measure.name == "throughput"]
    words = readable.words(comparison_figures.ratios(rows, "TCP"))
    assert "hollow: a bound" in words
    assert "faster" not in words
    assert "the load generator was the limit of B" in repr(lesson_comparison.ratios(pair, "throughput"))


def test_a_figure_that_nobody_has_is_said_to_be_missing(tmp_path: Path) -> None:
    setting = Setting(conditions=({}, {"pin": "none"}), loads=("closed",))
    pair = lesson_comparison.open_pair(str(make_run(tmp_path / "run", [LOOP], setting).folder))
    said = repr(lesson_comparison.ratios(pair, "response p99"))
    assert said == "Neither side has a figure of response p99 to compare."


MODELS = (
    *(replace(model, throughput_per_s=3_000) for model in QUICK),
    CannedModel("a-foreign-server-with-a-name-as-long-as-can-be", 5_000, unanswered_share=0.02),
    CannedModel("selectors --selector poll", 2_000),
)


def test_the_figure_of_rounds_is_readable(tmp_path: Path) -> None:
    lesson = opened(tmp_path / "run", MODELS, loads=("open:2000",))
    (view,) = lesson.conditions
    readable.assert_readable(lesson_figures.rounds_and_pool(view.open[0], view.models, f"{view.label}, {HOSTILE}"))


@pytest.mark.parametrize("factor", [1.0, 1.5, 300.0])
def test_the_figure_of_ratios_is_readable(factor: float, tmp_path: Path) -> None:
    def changed(model: CannedModel, scenario: Any) -> CannedModel:
        times = factor if model.name in ("fork", "thread") else 1 / factor
        return replace(model, cpu_us=model.cpu_us * times) if scenario["pin"] == "none" else model

    setting = Setting(loads=("closed",), conditions=({}, {"pin": "none"}), adjust=changed)
    pair = lesson_comparison.open_pair(str(make_run(tmp_path / "run", MODELS, setting).folder))
    assert pair.comparison is not None
    rows = [row for row in pair.comparison.rows if row.measure.name == "CPU a request"]
    assert len(rows) == len(MODELS)
    readable.assert_readable(comparison_figures.ratios(rows, "TCP, 64 B, 64 connections, closed load"))


def test_an_answer_escapes_all_of_its_texts() -> None:
    row = Row((Entry(HOSTILE, HOSTILE),))
    table = Table(HOSTILE, (Head(HOSTILE),), (row,))
    blocks = (Paragraph(HOSTILE), lesson_html.Bullets((HOSTILE,)), lesson_html.Terms(((HOSTILE, HOSTILE),)), table)
    picture = Picture("stem", HOSTILE, "<svg></svg>")
    assert "<script>" not in lesson_html.render([Section(HOSTILE, (*blocks, picture))])


def test_an_answer_keeps_its_inks_where_no_page_defines_them(tmp_path: Path) -> None:
    text = lesson_costs.throughput(opened(tmp_path / "run", [LOOP]))._repr_html_()
    assert "var(--ink, #" in text
    assert "var(--ink)" not in text
