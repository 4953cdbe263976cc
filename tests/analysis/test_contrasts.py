"""Chapters across conditions: what is put in a row, what is said of it, and what is never said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis import contrasts, frames, report, views
from analysis.contrasts import THROUGHPUT, Series
from analysis.frames import Run
from analysis.report import contrast_sentences, markdown
from analysis.report.document import Picture
from harness.schema import LimitedBy
from tests.analysis.canned import Setting, make_run
from tests.analysis.canned_cell import CannedModel

WORKS = ("echo", "cpu:100us", "wait:5ms", "cpu:100us+wait:5ms")
# Without noise the drift of a round hits all alike, so every ratio is exact.
LOOP = CannedModel("asyncio", 40_000, noise=0.0)
FORK = CannedModel("fork", 20_000, noise=0.0)
THREAD = CannedModel("thread", 20_000, noise=0.0)
BROKEN = "the server died with signal 9"
IMPOSSIBLE = "can't be measured here: 10,000 threads are too many"


def turning(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
    """Return fork as twice as fast where a request uses a CPU, asyncio where it does not; hybrid is never measured."""
    if "cpu" in scenario["work"] and model.name == "fork":
        return replace(model, throughput_per_s=80_000)
    return model


def read(folder: Path, models: Sequence[CannedModel], **setting: Any) -> Run:
    return frames.read(make_run(folder, models, Setting(**{"loads": ("closed",)} | setting)).folder)


def found(run: Run, key: str) -> tuple[Series, ...]:
    return contrasts.find(views.conditions(run), key)


def written(run: Run) -> str:
    return markdown.render(report.compose(run, lambda stem, words, figure: Picture(stem, words, "")))


def chapter(text: str, title: str) -> str:
    return text.partition(f"## {title}")[2].partition("\n## ")[0]


def row(text: str, *cells: str) -> list[str]:
    """Return the cells of the one row of a table that begins with these."""
    (line,) = [line for line in text.splitlines() if line.startswith("| " + " | ".join(cells) + " |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two works, in which two models change places; they are measured in the order of the alphabet backwards."""
    folder = tmp_path_factory.mktemp("runs") / "turned"
    return read(folder, [LOOP, FORK, THREAD], conditions=({"work": "cpu:100us"}, {"work": "echo"}), adjust=turning)


def test_where_nothing_varies_there_is_no_chapter(tmp_path: Path) -> None:
    run = read(tmp_path / "run", [LOOP, FORK])
    assert [found(run, key) for key in contrasts.KEYS] == [()] * 6
    assert written(run).partition("\n## ")[2].startswith("Summary")


def test_a_series_is_in_the_order_of_its_dimension_not_of_measuring(turned: Run) -> None:
    (series,) = found(turned, "work")
    assert [point.words for point in series.points] == ["echo", "cpu:100us"]
    assert series.label == "TCP, 64 B, 64 connections, server on CPU 0"
    assert series.models == ("asyncio", "fork", "thread")


def test_only_what_varies_has_a_series(turned: Run) -> None:
    assert [key for key in contrasts.KEYS if found(turned, key)] == ["work"]


def test_where_two_dimensions_vary_each_has_a_series_for_every_value_of_the_other(tmp_path: Path) -> None:
    conditions = [{"work": work, "connections": count} for work in WORKS[:2] for count in (50, 200, 500)]
    run = read(tmp_path / "run", [LOOP, FORK], rounds=1, conditions=conditions)
    works, counts = found(run, "work"), found(run, "connections")
    assert [series.label.split(", ")[2] for series in works] == ["50 connections", "200 connections", "500 connections"]
    assert {series.label.rpartition(", ")[2] for series in counts} == {"work cpu:100us", "server on CPU 0"}
    assert [len(series.points) for series in (*works, *counts)] == [2, 2, 2, 3, 3]


def test_an_order_that_turns_is_told_of_the_pair_and_of_no_other(turned: Run) -> None:
    (series,) = found(turned, "work")
    assert contrast_sentences.turns(series) == ("asyncio is ahead of fork at echo, and behind at cpu:100us.",)
    said = chapter(written(turned), "How work turns the ranking")
    assert "* At pure echo, asyncio (" in said
    assert "leads: 2.00 times fork (2.00) and 2.00 times thread (2.00)." in said
    assert "* With 100 µs of CPU time a request, fork (" in said


def test_where_no_order_turns_that_is_said(tmp_path: Path) -> None:
    run = read(tmp_path / "run", [LOOP, FORK], conditions=[{"work": work} for work in WORKS[:2]])
    (series,) = found(run, "work")
    (sentence,) = contrast_sentences.turns(series)
    assert sentence.startswith("No two of them")


def test_nobody_leads_in_a_tie_and_no_tie_turns(turned: Run, tmp_path: Path) -> None:
    tied = [replace(LOOP, noise=0.2), replace(LOOP, name="fork", noise=0.2)]
    run = read(tmp_path / "run", tied, rounds=6, conditions=[{"work": work} for work in WORKS[:2]])
    (series,) = found(run, "work")
    assert "ahead" not in " ".join(contrast_sentences.turns(series))
    for point in series.points:
        (said,) = contrast_sentences.leads(point, "there")
        assert said.startswith("There, it cannot be said which leads: ")
        standing = point.standing("fork")
        assert standing is not None
        assert (standing.first, standing.last) == (1, 2)
    # The tie of fork and thread at echo is in the table of the run above, too.
    assert "place 2-3" in row(chapter(written(turned), "How work"), "fork", "0")[2]


def test_what_the_generator_limited_is_a_bound_without_a_place_and_never_leads(tmp_path: Path) -> None:
    def limited(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
        bound = model.name == "asyncio" and scenario["work"] == "echo"
        shown = turning(model, scenario)
        return replace(shown, closed_verdict=LimitedBy.GENERATOR) if bound else shown

    run = read(tmp_path / "run", [LOOP, FORK], conditions=[{"work": work} for work in WORKS[:2]], adjust=limited)
    (series,) = found(run, "work")
    said = " ".join(contrast_sentences.leads(series.points[0], "at pure echo"))
    assert "leads:" not in said
    assert "the load generator was the limit of asyncio (at least " in said
    assert "ahead" not in " ".join(contrast_sentences.turns(series))
    cell = row(chapter(written(run), "How work"), "asyncio", "0")[2]
    assert cell.startswith("&gt;= ")
    assert cell.endswith("no place)")


def test_what_failed_is_named_with_its_reason_and_leaves_a_gap(tmp_path: Path) -> None:
    def failing(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel | None:
        if model.name == "fork" and scenario["connections"] == 100:
            return replace(model, failed_rounds=(1, 2, 3), failure=BROKEN)
        if model.name == "thread" and scenario["connections"] == 10_000:
            return replace(model, failed_rounds=(1, 2, 3), failure=IMPOSSIBLE)
        return None if model.name == "fork" and scenario["connections"] == 10_000 else model

    conditions = [{"connections": count} for count in (1, 100, 10_000)]
    run = read(tmp_path / "run", [LOOP, FORK, THREAD], conditions=conditions, adjust=failing)
    said = chapter(written(run), "Growth with connections")
    assert f"* At 100 connections: fork failed in 3 of 3 rounds: {BROKEN}." in said
    assert f"* At 10,000 connections: thread {IMPOSSIBLE}." in said
    assert row(said, "fork", "0", "100")[4] == "-"
    assert row(said, "thread", "0", "10,000")[-1] == "can't be measured here"
    assert "| fork | 0 | 10,000 |" not in said
    (series,) = found(run, "connections")
    assert [bool(contrasts.read(point, THROUGHPUT, "fork").values) for point in series.points] == [True, False, False]


def test_a_cell_that_could_not_be_started_is_not_called_failed(tmp_path: Path) -> None:
    never = replace(THREAD, failed_rounds=(1, 2, 3), failure=IMPOSSIBLE)
    text = written(read(tmp_path / "run", [LOOP, never]))
    assert f"* thread {IMPOSSIBLE}" in text
    assert row(chapter(text, "Ranking"), "impossible")[1] == "thread"
    assert "failed:" not in chapter(text, "Every cell")
    assert chapter(text, "Every cell").count(IMPOSSIBLE) == 3


def test_connections_that_only_wait_count_as_held_and_the_active_ones_are_told(tmp_path: Path) -> None:
    conditions = [{"connections": 50, "idle": idle} for idle in (900, 0)]
    run = read(tmp_path / "run", [LOOP], conditions=conditions)
    (series,) = found(run, "idle")
    assert [(point.words, point.value) for point in series.points] == [("50 connections", 50), ("950 connections", 950)]
    said = chapter(written(run), "Growth with connections")
    assert "against connections held, 50 of them active" in said
    assert row(said, "asyncio", "0", "950")[3] == "50"


def test_variants_of_one_model_are_compared_with_each_other(tmp_path: Path) -> None:
    def slower(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
        many = scenario["options"] == ["--selector", "select"] and scenario["idle"] == 900
        return replace(model, throughput_per_s=10_000, cpu_us=90.0) if many else model

    conditions = [
        {"connections": 50, "idle": idle, "options": options}
        for options in ([], ["--selector", "select"])
        for idle in (0, 900)
    ]
    fast = CannedModel("selectors", 50_000, noise=0.0, cpu_us=18.0)
    run = read(tmp_path / "run", [fast], conditions=conditions, adjust=slower)
    assert set(run.cells["model"]) == {"selectors", "selectors --selector select"}
    assert set(run.cells["base_model"]) == {"selectors"}
    assert run.cells["condition"].nunique() == 2
    (series,) = found(run, "idle")
    assert series.models == ("selectors", "selectors --selector select")
    said = chapter(written(run), "Growth with connections")
    assert "With 950 connections held, selectors (" in said
    assert "leads: 5.00 times selectors --selector select (5.00)." in said
    assert "selectors --selector select 5.00 times that (5.00)" in said
    assert (
        "0.20 times for selectors --selector select (0.20); no difference that the rounds can tell for selectors."
        in said
    )


def test_payloads_are_told_in_bytes_a_second_too_and_mixes_stand_apart(tmp_path: Path) -> None:
    run = read(tmp_path / "run", [LOOP], conditions=[{"payload": size} for size in ("65536", "64", "64*9,4096*1")])
    (series,) = found(run, "payload")
    assert [point.value for point in series.points] == [64, 65_536]
    one, other = (contrasts.read(point, contrasts.BYTES, "asyncio").estimate for point in series.points)
    assert one is not None
    assert other is not None
    assert other.value / one.value == pytest.approx(1024)


def test_pinned_comes_first_and_the_ratio_is_that_of_paired_rounds(tmp_path: Path) -> None:
    def faster(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
        return replace(model, throughput_per_s=60_000) if scenario["pin"] == "none" and model.name == "fork" else model

    run = read(tmp_path / "run", [LOOP, FORK], conditions=({"pin": "none"}, {"pin": "0:1"}), adjust=faster)
    said = chapter(written(run), "CPUs of the server")
    assert "3.00 times for fork (3.00); no difference that the rounds can tell for asyncio." in said
    assert row(said, "fork", "unpinned (0,1)")[3] == "3.00 (3.00)"
    assert row(said, "fork", "0")[3] == "1"


def test_interpreters_stand_by_version_with_the_state_of_their_lock(tmp_path: Path) -> None:
    told = {
        "3.13t": ("CPython 3.13.1", False),
        "3.13": ("CPython 3.13.1", True),
        None: ("CPython 3.9.7", True),
        "pypy3.11": ("PyPy 3.11.9", True),
    }

    def by_version(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel:
        python, gil = told[scenario["python"]]
        return replace(model, python=python, gil=gil)

    run = read(tmp_path / "run", [LOOP], conditions=[{"python": name} for name in told], adjust=by_version)
    (series,) = found(run, "python")
    assert [point.words for point in series.points] == ["3.9.7", "3.13.1", "3.13.1 no GIL", "PyPy 3.11.9"]
    assert set(run.cells["server_gil"]) == {"on", "off"}
    assert row(chapter(written(run), "Interpreters"), "asyncio", "0", "3.13.1 no GIL")[4] == "1.00 (1.00)"


def test_interpreters_of_one_version_are_told_apart_by_their_names(tmp_path: Path) -> None:
    run = read(tmp_path / "run", [LOOP], rounds=1, conditions=({"python": None}, {"python": "/opt/python"}))
    (series,) = found(run, "python")
    assert {point.words for point in series.points} == {"3.11.7 (default)", "3.11.7 (/opt/python)"}


def test_few_rounds_say_nothing_and_that_is_said(tmp_path: Path) -> None:
    run = read(tmp_path / "run", [LOOP, FORK], rounds=2, conditions=({"pin": "none"}, {"pin": "0:1"}))
    said = chapter(written(run), "CPUs of the server")
    assert "The rounds are too few" in said
    assert "times for" not in said


def test_a_work_of_another_version_is_shown_as_it_stands(tmp_path: Path) -> None:
    run = read(tmp_path / "run", [LOOP, FORK], conditions=({"work": "echo"}, {"work": "disk:5ms"}))
    assert "* With work disk:5ms, asyncio (" in chapter(written(run), "How work turns the ranking")


def test_a_contrast_without_closed_load_says_so(tmp_path: Path) -> None:
    conditions = [{"work": work} for work in WORKS[:2]]
    run = read(tmp_path / "run", [LOOP, FORK], loads=("open:2000",), conditions=conditions)
    assert "At pure echo, nothing was measured under closed load." in chapter(written(run), "How work")
