"""What a comparison reads like: on a console of 80 columns, as Markdown, and as JSON that can be computed again."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis import stats
from analysis.comparison import Comparison, compare
from analysis.comparison import console as comparison_console
from analysis.comparison import record as comparison_record
from analysis.comparison import text as comparison_text
from analysis.comparison.differences import Difference
from analysis.report import markdown
from harness.schema import LimitedBy, WarningKind, warning
from tests.analysis.canned import Setting, make_run
from tests.analysis.canned_cell import CannedModel

FAST = CannedModel("asyncio", 44_000, 0.01, 150_000, 16.0)
SLOW = CannedModel("thread", 40_000, 0.01, 150_000, 18.0)
LONG = CannedModel("selectors --selector poll", 160_000, 0.01, 150_000, 8.0, closed_verdict=LimitedBy.GENERATOR)


def shown(found: Comparison, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    comparison_console.print_document(comparison_text.compose(found), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def make(folder: Path, models: Sequence[CannedModel], rounds: int = 6) -> Comparison:
    made = make_run(folder, models, Setting(rounds=rounds)).folder
    return compare(f"{made}:model={models[0].name}", f"{made}:model={models[1].name}")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A model against one that is slower."""
    return make(tmp_path_factory.mktemp("run") / "run", [SLOW, FAST])


def test_a_figure_is_one_line_of_80_columns(found: Comparison) -> None:
    lines = shown(found)
    assert max(map(len, lines)) <= 80
    (line,) = [line for line in lines if "replies/s" in line]
    assert line.rstrip().endswith("faster")
    assert "1.1" in line


def test_the_widest_figures_fit_80_columns(tmp_path: Path) -> None:
    leaky = replace(SLOW, unanswered_share=0.02, throughput_per_s=160_000)
    lines = shown(make(tmp_path / "run", [leaky, LONG]))
    assert max(map(len, lines)) <= 80
    assert any("> 1 s" in line for line in lines)
    assert any(">= 160,000" in line or ">= 16" in line or ">= 15" in line for line in lines)
    assert any("unclear" in line for line in lines)


def test_a_doubt_stands_beside_the_verdict_and_the_warnings_under_the_table(tmp_path: Path) -> None:
    leaky = replace(FAST, unanswered_share=0.02, warnings=(warning(WarningKind.STEAL, share=0.1),))
    text = "\n".join(shown(make(tmp_path / "run", [SLOW, leaky]), 120))
    assert "slower *" in text
    assert "steal 0 / 6, unanswered 0 / 6" in text
    assert "The answers themselves are in doubt" in text


def test_the_reason_of_all_figures_is_said_once(tmp_path: Path) -> None:
    text = " ".join(" ".join(shown(make(tmp_path / "run", [SLOW, FAST], rounds=3))).split())
    assert text.count("All of these: too few rounds: 3 paired rounds carry 75 %, and 95 % needs 6 paired rounds.") == 2


def test_what_was_not_alike_stands_above_the_figures(found: Comparison) -> None:
    text = "\n".join(shown(replace(found, unlike=(Difference("kernel", "Linux 6.1", "Linux 7.0"),))))
    assert text.index("not measured alike") < text.index("Linux 7.0") < text.index("In short") < text.index("replies/s")


def test_markdown_holds_the_same_figures(found: Comparison) -> None:
    text = markdown.render(comparison_text.compose(found))
    (line,) = [line for line in text.splitlines() if "throughput, replies/s" in line]
    assert line.rstrip("| ").endswith("faster")
    assert line.count("|") == 7


def test_words_of_others_are_shown_without_control_characters_and_without_markup(found: Comparison) -> None:
    evil = replace(found, missing=("\x1b[31m<script>|[red]",))
    assert any("\ufffd[31m<script>|[red]" in line for line in shown(evil))
    assert "<script>" not in markdown.render(comparison_text.compose(evil))


def test_json_holds_all_that_a_ratio_is_made_of(found: Comparison) -> None:
    document: dict[str, Any] = json.loads(json.dumps(comparison_record.record(found), allow_nan=False))
    assert document["schema"] == "echobench.compare/1"
    assert document["paired"] is True
    assert document["a"]["selection"] == {"model": "thread"}
    assert len(document["rows"]) == len(found.rows)
    for row in document["rows"]:
        rounds = row["a"]["values"].keys() & row["b"]["values"].keys()
        again = stats.ratio([row["b"]["values"][i] for i in rounds], [row["a"]["values"][i] for i in rounds])
        assert row["ratio"]["value"] == pytest.approx(again.value)
        assert row["ratio"]["low"] == pytest.approx(again.interval.low)


def test_json_names_what_is_infinite_in_a_word(tmp_path: Path) -> None:
    found = make(tmp_path / "run", [SLOW, replace(FAST, unanswered_share=0.02)])
    document = json.loads(json.dumps(comparison_record.record(found), allow_nan=False))
    (row,) = [row for row in document["rows"] if row["figure"] == "response p99"]
    assert set(row["b"]["values"].values()) == {"infinite"}
    assert (row["ratio"]["value"], row["verdict"]) == ("infinite", "slower")
