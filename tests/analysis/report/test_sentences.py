"""The summary says what the data carries, and nothing across a tie or a bound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis import frames, views
from analysis.report import sentences
from harness.schema import LimitedBy, WarningKind, warning
from tests.analysis.canned import ENVIRONMENT, Setting, make_run
from tests.analysis.canned_cell import CannedModel

EIGHT_ROUNDS = Setting(rounds=8)


def summary(tmp_path: Path, models: Sequence[CannedModel], setting: Setting = EIGHT_ROUNDS) -> str:
    run = frames.read(make_run(tmp_path / "run", models, setting).folder)
    return "\n".join(sentences.summary(views.conditions(run)[0]))


def test_a_clear_leader_is_named_with_its_ratio_its_cpu_time_and_its_limit(tmp_path: Path) -> None:
    models = [CannedModel("fast", 80_000, cpu_us=10), CannedModel("slow", 40_000, cpu_us=20)]
    said = summary(tmp_path, models)
    assert "Under closed load fast (" in said
    assert "answers the most; it is limited by the server." in said
    assert "fast answers 2.0" in said or "fast answers 1.9" in said
    assert "of the CPU time per request (0.4" in said or "of the CPU time per request (0.5" in said


def test_nobody_is_ahead_across_a_tie(tmp_path: Path) -> None:
    models = [CannedModel("a", 40_000, 0.15, cpu_us=18), CannedModel("b", 40_400, 0.15, cpu_us=18)]
    said = summary(tmp_path, models)
    assert "it cannot be said which is the fastest: " in said
    assert "answers the most" not in said
    assert "times what" not in said


def test_a_generator_limited_model_is_a_lower_bound_that_may_be_the_fastest(tmp_path: Path) -> None:
    models = [CannedModel("bound", 90_000, closed_verdict=LimitedBy.GENERATOR), CannedModel("known", 50_000)]
    said = summary(tmp_path, models)
    assert "bound reached at least " in said
    assert "it may well be the fastest" in said
    assert "bound (" not in said.split("\n")[0]
    assert "known (" in said
    assert "is the only model with a rank" in said


def test_a_model_that_drops_two_percent_is_never_praised(tmp_path: Path) -> None:
    models = [
        CannedModel("drops", service_ns=40_000, unanswered_share=0.02),
        CannedModel("a", service_ns=150_000),
        CannedModel("b", service_ns=400_000),
    ]
    said = summary(tmp_path, models)
    assert "drops has no rank: with what it left unanswered its p99 is > 1 s" in said
    assert "a (" in next(line for line in said.splitlines() if "has the lowest p99" in line)
    assert "Doubt: drops, open load, 2,000 requests/s: " in said
    assert "requests unanswered (2 %)" in said


def test_serious_warnings_are_doubts(tmp_path: Path) -> None:
    mismatch = warning(WarningKind.COUNT_MISMATCH, server_messages=1, requests_total=2)
    steal = warning(WarningKind.STEAL, fraction=0.1)
    said = summary(tmp_path, [CannedModel("a", warnings=(mismatch,)), CannedModel("b", warnings=(steal,))])
    assert "Doubt: a, closed load: count mismatch in 8 of 8 rounds." in said
    assert "Doubt: b" not in said


def test_a_leader_whose_answers_are_in_doubt_is_named_with_its_doubt(tmp_path: Path) -> None:
    mismatch = warning(WarningKind.COUNT_MISMATCH, server_messages=1, requests_total=2)
    said = summary(tmp_path, [CannedModel("fast", 80_000, warnings=(mismatch,)), CannedModel("slow", 20_000)])
    first = said.splitlines()[0]
    assert "fast (" in first
    assert "in doubt, see below) answers the most" in first


def test_failures_are_told_with_their_sentence(tmp_path: Path) -> None:
    models = [CannedModel("a", failed_rounds=(1, 2), failure="the server died with exit code 1"), CannedModel("b")]
    assert "a failed in 2 of 8 rounds: the server died with exit code 1" in summary(tmp_path, models)


def test_two_rounds_rank_nobody(tmp_path: Path) -> None:
    said = summary(tmp_path, [CannedModel("a", 80_000), CannedModel("b", 20_000)], Setting(rounds=2))
    assert "a and b have no rank: fewer than 3 rounds" in said
    assert "times what" not in said
    assert "lowest p99" not in said


def test_without_an_open_window_nothing_is_said_of_times(tmp_path: Path) -> None:
    said = summary(tmp_path, [CannedModel("a"), CannedModel("b", 10_000)], Setting(rounds=8, loads=("closed",)))
    assert "answers the most" in said
    assert "p99" not in said


def test_without_any_window_that_is_said(tmp_path: Path) -> None:
    said = summary(tmp_path, [CannedModel("a", failed_rounds=(1,))], Setting(rounds=1))
    assert "No window was measured." in said
    assert "a failed in 1 of 1 round: " in said


def test_few_rounds_are_told_with_what_their_intervals_are_worth(tmp_path: Path) -> None:
    run = frames.read(make_run(tmp_path / "run", setting=Setting(rounds=3)).folder)
    note = sentences.pairing(views.conditions(run)[0])
    assert "the range of 3 rounds" in note
    assert "75 % interval of 3 paired rounds" in note
    assert "one in 4 would be told apart by chance" in note


def test_the_machine_is_named_as_far_as_it_is_known() -> None:
    named = sentences.machine({"environment": ENVIRONMENT})
    assert named == "Canned CPU @ 2.50GHz, 2 CPUs, Linux 6.1.0, virtual, Python 3.11.7"
    assert sentences.machine({}) == "a machine that the run does not describe"
    assert sentences.machine({"environment": {"cpu": None, "kernel": "Linux"}}) == "Linux"
