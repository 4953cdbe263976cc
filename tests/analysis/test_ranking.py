"""Who is ahead of whom: known answers, and everything that must not be ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import frames, ranking
from analysis.ranking import CPU, RESPONSE_P99, THROUGHPUT, Ranking, Status
from analysis.stats import IntervalKind
from harness.schema import LimitedBy, WarningKind, warning
from tests.analysis.canned import Setting, make_run
from tests.analysis.canned_cell import CannedModel


def ranked(tmp_path: Path, models: Sequence[CannedModel], rounds: int = 8, seed: int = 1) -> tuple[pd.DataFrame, ...]:
    """Return closed and open windows of a canned run."""
    run = frames.read(make_run(tmp_path / f"run{seed}", models, Setting(rounds=rounds, seed=seed)).folder)
    return run.windows[run.windows["kind"] == "closed"], run.windows[run.windows["kind"] == "open"]


def table(values: Mapping[str, Sequence[float]], limited_by: str = "server") -> pd.DataFrame:
    """Return windows with given throughputs, a round each; NaN leaves a round out."""
    answered = {"due": 1_000, "unanswered": 0}
    rows = [
        {"model": model, "round": number, "throughput_per_s": value, "limited_by": limited_by, **answered}
        for model, series in values.items()
        for number, value in enumerate(series, 1)
        if value == value  # noqa: PLR0124 - not NaN
    ]
    return pd.DataFrame(rows)


def places(found: Ranking) -> dict[str, tuple[int | None, int | None]]:
    return {standing.model: (standing.first, standing.last) for standing in found.standings}


def test_ten_percent_apart_with_little_noise_is_a_rank_apart(tmp_path: Path) -> None:
    models = [CannedModel("slow", 40_000, noise=0.02), CannedModel("fast", 44_000, noise=0.02)]
    closed, _ = ranked(tmp_path, models)
    found = ranking.rank(closed, THROUGHPUT, ["slow", "fast"])
    assert places(found) == {"fast": (1, 1), "slow": (2, 2)}
    assert found.leader == "fast"
    ratio = found.of("slow").ratio
    assert ratio is not None
    assert ratio.interval.low < 40 / 44 < ratio.interval.high < 1
    assert ratio.interval.kind is IntervalKind.INTERVAL


@pytest.mark.parametrize("seed", range(1, 6))
def test_two_percent_apart_with_much_noise_is_a_tie(tmp_path: Path, seed: int) -> None:
    models = [CannedModel("a", 40_000, noise=0.15), CannedModel("b", 40_800, noise=0.15)]
    closed, _ = ranked(tmp_path, models, seed=seed)
    found = ranking.rank(closed, THROUGHPUT, ["a", "b"])
    assert places(found) == {"a": (1, 2), "b": (1, 2)}


def test_a_generator_limited_model_has_no_place_and_never_leads(tmp_path: Path) -> None:
    models = [
        CannedModel("fastest", 90_000, closed_verdict=LimitedBy.GENERATOR),
        CannedModel("second", 50_000),
        CannedModel("third", 30_000),
    ]
    closed, _ = ranked(tmp_path, models)
    found = ranking.rank(closed, THROUGHPUT, ["fastest", "second", "third"])
    assert found.leader == "second"
    assert found.of("fastest").status is Status.BOUND
    assert places(found) == {"second": (1, 1), "third": (2, 2), "fastest": (None, None)}
    assert [standing.model for standing in found.standings][-1] == "fastest"
    assert not any("fastest" in pair for pair in found.pairs)


def test_one_generator_limited_round_makes_a_bound_of_the_median() -> None:
    windows = table({"a": [50, 51, 52, 53], "b": [40, 41, 42, 43]})
    windows.loc[0, "limited_by"] = LimitedBy.GENERATOR.value
    assert ranking.rank(windows, THROUGHPUT, ["a", "b"]).of("a").status is Status.BOUND


def test_cpu_time_a_request_is_ranked_also_where_the_generator_was_the_limit(tmp_path: Path) -> None:
    models = [
        CannedModel("cheap", cpu_us=10, closed_verdict=LimitedBy.GENERATOR),
        CannedModel("dear", cpu_us=20, closed_verdict=LimitedBy.GENERATOR),
    ]
    closed, _ = ranked(tmp_path, models)
    assert places(ranking.rank(closed, CPU, ["dear", "cheap"])) == {"cheap": (1, 1), "dear": (2, 2)}


def test_a_model_that_leaves_requests_unanswered_has_no_place_in_time(tmp_path: Path) -> None:
    models = [CannedModel("drops", service_ns=50_000, unanswered_share=0.02), CannedModel("answers")]
    _, opened = ranked(tmp_path, models)
    found = ranking.rank(opened, RESPONSE_P99, ["drops", "answers"])
    assert found.of("drops").status is Status.UNANSWERED
    assert found.leader == "answers"


def test_lower_is_better_for_times(tmp_path: Path) -> None:
    _, opened = ranked(tmp_path, [CannedModel("slow", service_ns=300_000), CannedModel("quick", service_ns=100_000)])
    found = ranking.rank(opened, RESPONSE_P99, ["slow", "quick"])
    assert found.leader == "quick"
    assert found.ahead("quick", "slow")
    assert not found.ahead("slow", "quick")


def test_a_drift_of_the_machine_does_not_hide_a_difference_inside_rounds() -> None:
    drift = np.exp(np.linspace(0, 1, 8))
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, 8))
    found = ranking.rank(table({"a": list(100 * drift * noise), "b": list(95 * drift)}), THROUGHPUT, ["a", "b"])
    assert places(found) == {"a": (1, 1), "b": (2, 2)}


def test_no_place_claims_what_its_pair_does_not_show() -> None:
    steps = np.array([0.97, 1.03, 0.98, 1.02, 0.99, 1.01, 0.985, 1.015])
    found = ranking.rank(
        table({"a": list(110 * steps), "b": list(105 * steps[::-1] ** 2), "c": list(100 * steps)}),
        THROUGHPUT,
        ["a", "b", "c"],
    )
    assert found.ahead("a", "c")
    assert not found.ahead("a", "b")
    assert not found.ahead("b", "c")
    assert places(found) == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}


@pytest.mark.parametrize("rounds", [1, 2])
def test_fewer_than_three_rounds_rank_nothing(rounds: int) -> None:
    found = ranking.rank(table({"a": [100.0] * rounds, "b": [10.0] * rounds}), THROUGHPUT, ["a", "b"])
    assert {standing.status for standing in found.standings} == {Status.FEW_ROUNDS}
    assert found.leader is None
    assert [standing.model for standing in found.standings] == ["a", "b"]


def test_a_round_without_any_reply_is_not_ranked_and_not_left_out() -> None:
    found = ranking.rank(table({"a": [100, 0, 102], "b": [90, 91, 92]}), THROUGHPUT, ["a", "b"])
    assert found.of("a").status is Status.ZERO
    assert found.leader == "b"


def test_three_rounds_rank_with_the_interval_that_they_have() -> None:
    found = ranking.rank(table({"a": [100, 101, 102], "b": [90, 91, 92]}), THROUGHPUT, ["a", "b"])
    ratio = found.of("b").ratio
    assert places(found) == {"a": (1, 1), "b": (2, 2)}
    assert ratio is not None
    assert ratio.interval.coverage == pytest.approx(0.75)
    assert ratio.interval.kind is IntervalKind.RANGE


def test_only_common_rounds_are_compared() -> None:
    nothing = float("nan")
    values = {"a": [100, 101, 102, nothing, nothing], "b": [nothing, nothing, 9, 9, 9]}
    found = ranking.rank(table(values), THROUGHPUT, ["a", "b"])
    assert found.pairs["a", "b"].samples == 1
    assert places(found) == {"a": (1, 2), "b": (1, 2)}


def test_a_model_without_a_figure_stands_last() -> None:
    found = ranking.rank(table({"a": [1, 2, 3]}), THROUGHPUT, ["gone", "a"])
    assert [standing.model for standing in found.standings] == ["a", "gone"]
    assert found.of("gone").status is Status.NO_FIGURE


def test_nothing_at_all_ranks_nobody() -> None:
    windows = table({"a": [1.0]}).iloc[:0]
    found = ranking.rank(windows, THROUGHPUT, ["a"])
    assert found.leader is None
    assert found.of("a").figure is None


def test_doubts_count_the_rounds_in_which_they_were_raised(tmp_path: Path) -> None:
    steal = warning(WarningKind.STEAL, fraction=0.07)
    model = CannedModel("a", warnings=(steal, steal), unanswered_share=0.02)
    _, opened = ranked(tmp_path, [model], rounds=3)
    found = ranking.doubts(opened, "a")
    assert found.rounds == 3
    assert found.warnings == {"steal": 3, "unanswered": 3}
    assert found.serious == ("unanswered",)
    assert found.verdicts == {"offered_load": 3}
    assert found.unanswered == found.errors > 0
