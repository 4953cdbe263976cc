"""A condition in a few sentences: known answers, and everything that must not be said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from analysis import frames, views
from analysis.report import headlines
from harness.schema import LimitedBy, WarningKind, warning
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel

EIGHT_ROUNDS = Setting(rounds=8)
LEADS = "answers the most"


def headline(tmp_path: Path, models: Sequence[CannedModel], setting: Setting = EIGHT_ROUNDS) -> str:
    run = frames.read(make_run(tmp_path / "run", models, setting).folder)
    return headlines.headline(views.conditions(run)[0])


def test_ten_percent_apart_with_little_noise_has_a_leader_with_interval_cost_and_limit(tmp_path: Path) -> None:
    models = [CannedModel("slow", 40_000, cpu_us=20), CannedModel("fast", 44_000, cpu_us=10)]
    said = headline(tmp_path, models)
    assert said.startswith("Under closed load fast (")
    assert f"{LEADS}, limited by the server: 1.1" in said or f"{LEADS}, limited by the server: 1.0" in said
    assert "times what slow does (1.0" in said
    assert ", at 0.5" in said or ", at 0.4" in said
    assert "of the CPU time per request (0." in said


@pytest.mark.parametrize("seed", range(1, 4))
def test_two_percent_apart_with_much_noise_has_no_leader(tmp_path: Path, seed: int) -> None:
    models = [CannedModel("a", 40_000, noise=0.15), CannedModel("b", 40_800, noise=0.15)]
    said = headline(tmp_path, models, Setting(rounds=8, seed=seed))
    assert LEADS not in said.replace("which answers the most", "")
    assert "it cannot be said which answers the most: " in said
    assert "times what" not in said


def test_a_tie_at_the_top_is_told_with_how_far_the_others_are_behind(tmp_path: Path) -> None:
    models = [CannedModel("a", 40_000, 0.1), CannedModel("b", 40_400, 0.1), CannedModel("c", 10_000, 0.02)]
    said = headline(tmp_path, models)
    assert "it cannot be said which answers the most: " in said
    assert "times what c does (" in said
    assert "times what a does" not in said
    assert "times what b does" not in said


def test_what_the_generator_limited_is_a_bound_and_never_leads(tmp_path: Path) -> None:
    models = [
        CannedModel("bound", 90_000, closed_verdict=LimitedBy.GENERATOR),
        CannedModel("known", 50_000),
        CannedModel("slow", 20_000),
    ]
    said = headline(tmp_path, models)
    assert "Of those with a place under closed load, known (" in said
    assert said.startswith("Under closed load it is not known who answers the most: the load generator was the ")
    assert "limit of bound (at least " in said


def test_a_bound_below_the_leader_is_told_after_it(tmp_path: Path) -> None:
    low = CannedModel("low", 10_000, closed_verdict=LimitedBy.GENERATOR)
    said = headline(tmp_path, [low, CannedModel("known", 50_000), CannedModel("slow", 20_000)])
    assert said.startswith("Of those with a place under closed load, known (")
    assert "The load generator was the limit of low (at least " in said
    assert "which has no place." in said


def test_a_model_that_drops_two_percent_never_looks_good(tmp_path: Path) -> None:
    drops = CannedModel("drops", 200_000, service_ns=40_000, cpu_us=1, unanswered_share=0.02)
    said = headline(tmp_path, [drops, CannedModel("a", 40_000), CannedModel("b", 20_000)])
    assert "a (" in said.partition(LEADS)[0]
    assert "drops (" not in said
    assert "than drops" not in said
    assert "what drops" not in said
    assert "In doubt: drops, 2 % of its requests unanswered, too many for a place." in said


def test_few_losses_leave_a_place_and_are_told(tmp_path: Path) -> None:
    said = headline(tmp_path, [CannedModel("a", 40_000, unanswered_share=0.004), CannedModel("b", 20_000)])
    assert f"{LEADS}, limited by the server" in said
    assert "In doubt: a, 0.4 % of its requests unanswered." in said


def test_serious_warnings_are_told_with_whoever_leads(tmp_path: Path) -> None:
    mismatch = warning(WarningKind.COUNT_MISMATCH, server_messages=1, requests_total=2)
    said = headline(tmp_path, [CannedModel("a", 40_000, warnings=(mismatch,)), CannedModel("b", 20_000)])
    assert "In doubt: a, count mismatch." in said


def test_the_lowest_p99_is_told_where_the_rounds_tell_it_and_not_where_they_do_not(tmp_path: Path) -> None:
    clear = [CannedModel("a", service_ns=100_000), CannedModel("b", service_ns=900_000)]
    assert "a has the lowest p99 of response time (" in headline(tmp_path / "clear", clear)
    alike = [CannedModel("a", noise=0.1), CannedModel("b", noise=0.1)]
    assert "p99 of response time cannot be told apart" in headline(tmp_path / "alike", alike)


def test_two_rounds_give_nobody_a_place(tmp_path: Path) -> None:
    said = headline(tmp_path, [CannedModel("a", 80_000), CannedModel("b", 20_000)], Setting(rounds=2))
    assert said.startswith("Nobody has a place: fewer than 3 rounds")
    assert "times what" not in said


def test_failures_are_told_and_a_condition_without_windows_too(tmp_path: Path) -> None:
    broken = CannedModel("broken", failed_rounds=(1, 2))
    assert "broken failed in 2 of 8 rounds." in headline(tmp_path / "some", [broken, *QUICK[:2]])
    said = headline(tmp_path / "all", [CannedModel("broken", failed_rounds=(1,))], Setting(rounds=1))
    assert said == "No window was measured. broken failed in 1 of 1 round."


def test_without_closed_load_nobody_is_ranked_by_throughput(tmp_path: Path) -> None:
    said = headline(tmp_path, QUICK[:2], Setting(rounds=8, loads=("open:2000",)))
    assert said.startswith("No closed load was measured, so nobody is ranked by throughput.")
