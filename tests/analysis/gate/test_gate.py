"""What the gate does with rounds: go on or stop, each verdict, and what each rule is there for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from analysis.gate import Decision, Rules, Verdict, decide, decide_record, holm, wants_more
from analysis.gate.decision import Row
from harness.schema.gate import GateRound, Metric, stored_form
from tests.analysis.canned_gate import (
    SCENARIO,
    from_ratios,
    one,
    record,
    rounds,
    rows_of,
    slot,
    spoilt,
    steps,
    verdict_of,
)

RULES = Rules()
LIMITED = slot(generator_limited=True)


def without(metric: Metric, cost: float = 1.0) -> GateRound:
    return one(head=slot(cost, figures={metric: math.nan}))


def test_nothing_slower_stops_at_the_first_look_and_passes() -> None:
    assert steps(rounds(40)) == 12
    assert wants_more(rounds(12), RULES).reason == "nothing looks slower after 12 rounds"
    assert verdict_of(rounds(12)) is Verdict.PASS


def test_what_may_be_slower_goes_on_to_the_last_look_and_is_decided_once() -> None:
    slower = rounds(40, 1.08)
    assert steps(slower) == 40
    assert verdict_of(slower) is Verdict.REGRESSION
    assert rows_of(slower)[Metric.CPU].rounds == 40


def test_one_gated_metric_that_looks_slower_keeps_the_whole_scenario_going() -> None:
    some = [replace(each, head=slot(1.0, figures={Metric.CPU: 22.0})) for each in rounds(12)]
    assert wants_more(some, RULES).more
    assert not wants_more(some, replace(RULES, gated=(Metric.THROUGHPUT,))).more


def test_what_stopped_at_the_first_look_can_t_fail_later() -> None:
    row = rows_of([*rounds(12), *from_ratios([0.2] * 28)])[Metric.CPU]
    assert (row.rounds, row.p_adjusted, row.verdict) == (12, 1.0, Verdict.PASS)


def test_rounds_beyond_the_last_look_are_not_looked_at() -> None:
    assert rows_of([*rounds(40, 1.08), *from_ratios([-0.5] * 40)])[Metric.CPU].rounds == 40


def test_a_slowdown_below_the_minimum_effect_passes_however_certain_it_is() -> None:
    row = rows_of(rounds(40, 1.02, noise=0.001))[Metric.CPU]
    assert (row.verdict, row.p_adjusted < 1e-6) == (Verdict.PASS, True)
    assert row.reason == "head needs 2.0 % more CPU time per request than base, which is below the 3 % that matter"


def test_a_large_estimate_that_is_not_certain_passes_and_says_so() -> None:
    row = rows_of(rounds(40, 1.04, noise=0.12), replace(RULES, targets=dict.fromkeys(Metric, 10.0)))[Metric.CPU]
    assert (row.verdict, row.p < 0.25, row.p_adjusted > 0.01) == (Verdict.PASS, True, True)
    assert row.reason.startswith("+4.0 % may well be noise (adjusted p 0.0")


def test_an_improvement_is_shown_and_passes() -> None:
    decision = decide({SCENARIO: rounds(12, 0.9)}, RULES)
    assert (decision.verdict, decision.exit_code(strict=True)) == (Verdict.IMPROVEMENT, 0)
    assert decide({"a": rounds(12, 0.9), "b": rounds(12)}, RULES).verdict is Verdict.PASS


def test_a_throughput_is_judged_as_its_cost() -> None:
    slower = [replace(each, head=slot(figures={Metric.THROUGHPUT: 32_000.0 + each.number})) for each in rounds(40)]
    row = rows_of(slower)[Metric.THROUGHPUT]
    assert row.ratio == pytest.approx(1.25, rel=0.01)
    assert (row.base, row.verdict) == (40_000.0, Verdict.REGRESSION)
    assert row.reason.startswith("head has 19.9 % less throughput than base")


def test_only_gated_metrics_gate_and_the_others_are_shown() -> None:
    slower = [replace(each, head=slot(figures={Metric.P99: 9e6})) for each in rounds(40)]
    row = rows_of(slower)[Metric.P99]
    assert (row.verdict, row.ratio, row.gated) == (None, pytest.approx(3.0), False)
    assert verdict_of(slower) is Verdict.PASS
    assert verdict_of(slower, RULES.with_gated(Metric.P99)) is Verdict.REGRESSION


def test_too_much_noise_to_see_the_target_is_inconclusive_and_says_what_would_have_been_seen() -> None:
    decision = decide({SCENARIO: rounds(12, noise=0.3)}, RULES)
    assert (decision.verdict, decision.exit_code(), decision.exit_code(strict=True)) == (Verdict.INCONCLUSIVE, 0, 3)
    row = decision.rows[0]
    assert row.detectable > 0.10
    assert f"only a slowdown of {100 * row.detectable:.1f} % or more would have been found" in row.reason


def test_the_targets_belong_to_the_metrics() -> None:
    rules = RULES.with_gated(Metric.P99)
    rows = rows_of(rounds(12, noise=0.2), rules)
    assert 0.10 < rows[Metric.P99].detectable < 0.25
    assert (rows[Metric.CPU].verdict, rows[Metric.P99].verdict) == (Verdict.INCONCLUSIVE, Verdict.PASS)


def test_a_smallest_detectable_effect_is_never_below_the_minimum_that_matters() -> None:
    assert rows_of(rounds(12, noise=1e-6))[Metric.CPU].detectable == pytest.approx(0.03, abs=1e-4)


def test_arms_that_are_exactly_alike_pass() -> None:
    row = rows_of(rounds(12, noise=0.0))[Metric.CPU]
    assert (row.verdict, row.ratio, row.p) == (Verdict.PASS, 1.0, 1.0)


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_row_needs_a_smaller_p_beside_many_others() -> None:
    # Eight rounds, all of them slower: p = 1 / 256, which one row may fail for and three may not.
    eight = from_ratios([0.10 + 0.001 * n for n in range(8)])
    rules = replace(RULES, gated=(Metric.CPU,)).with_rounds(8)
    assert decide({"a": eight}, rules).verdict is Verdict.REGRESSION
    beside = decide({"a": eight, "b": rounds(8), "c": rounds(8)}, rules)
    assert beside.rows[0].p_adjusted == pytest.approx(3 / 256)
    assert not any(row.verdict is Verdict.REGRESSION for row in beside.rows)


def test_a_gate_that_was_stopped_decides_nothing_whatever_it_saw() -> None:
    decision = decide({"a": rounds(39, 1.5), "b": rounds(12), "c": rounds(5)}, RULES)
    assert [each.verdict for each in decision.scenarios] == ["INCONCLUSIVE", "PASS", "INCONCLUSIVE"]
    assert decision.rows[0].reason == "the gate ended after 39 usable of 40 rounds, before it could decide"
    assert decision.rows[0].ratio == pytest.approx(1.5, rel=0.01)


def test_too_few_rounds_for_the_level_show_nothing_and_say_so() -> None:
    row = rows_of(rounds(4, 1.5), RULES.with_rounds(4))[Metric.CPU]
    assert (row.verdict, row.detectable) == (Verdict.INCONCLUSIVE, math.inf)
    assert row.reason.startswith("4 rounds can't show a slowdown of any size at this level")


@pytest.mark.parametrize("scenarios", [{}, {SCENARIO: []}])
def test_without_rounds_nothing_is_compared(scenarios: dict[str, list[GateRound]]) -> None:
    decision = decide(scenarios, RULES, {"new-tcp": "base does not know it"})
    assert decision.compared_nothing
    assert (decision.exit_code(), decision.exit_code(strict=True)) == (2, 2)


def test_a_scenario_that_base_lacks_fails_nobody() -> None:
    decision = decide({SCENARIO: rounds(12)}, RULES, {"new-tcp": "base does not know it"})
    assert (decision.verdict, decision.exit_code(strict=True)) == (Verdict.PASS, 0)


def test_throughput_is_not_gated_where_the_generator_limited_base() -> None:
    half = [replace(each, base=LIMITED if each.number % 2 else each.base) for each in rounds(40, 1.2)]
    rows = rows_of(half)
    assert (rows[Metric.THROUGHPUT].gated, rows[Metric.THROUGHPUT].verdict) == (False, None)
    assert "the load generator limited base" in rows[Metric.THROUGHPUT].reason
    assert rows[Metric.CPU].verdict is Verdict.REGRESSION
    now_and_then = [replace(each, base=LIMITED if each.number % 5 == 0 else each.base) for each in rounds(40, 1.2)]
    assert rows_of(now_and_then)[Metric.THROUGHPUT].gated


def test_throughput_alone_that_the_generator_limited_leaves_nothing_to_gate() -> None:
    limited = [replace(each, base=LIMITED) for each in rounds(12)]
    assert verdict_of(limited, replace(RULES, gated=(Metric.THROUGHPUT,))) is Verdict.INVALID


def test_a_lower_throughput_that_is_only_a_lower_bound_is_no_regression() -> None:
    limited = [replace(each, head=replace(each.head, generator_limited=True)) for each in rounds(40, 1.2)]
    rows = rows_of(limited)
    assert rows[Metric.THROUGHPUT].verdict is Verdict.INVALID
    assert rows[Metric.CPU].verdict is Verdict.REGRESSION
    faster = [replace(each, head=replace(each.head, generator_limited=True)) for each in rounds(12, 0.8)]
    assert rows_of(faster)[Metric.THROUGHPUT].verdict is Verdict.IMPROVEMENT


def test_a_figure_that_lacks_in_a_few_rounds_costs_these_and_in_many_the_row() -> None:
    few = [without(Metric.CPU) if each.number <= 2 else each for each in rounds(12)]
    assert (rows_of(few)[Metric.CPU].rounds, rows_of(few)[Metric.CPU].verdict) == (10, Verdict.PASS)
    many = [without(Metric.CPU) if each.number <= 5 else each for each in rounds(12)]
    row = rows_of(many)[Metric.CPU]
    assert (row.verdict, row.reason) == (Verdict.INVALID, "the figure could be had in 7 of 12 rounds only")
    never = [without(Metric.CPU) for _ in range(12)]
    assert steps(never) == 12
    assert rows_of(never)[Metric.CPU].verdict is Verdict.INVALID


def test_a_p99_that_was_never_answered_is_as_slow_as_can_be() -> None:
    rules = RULES.with_gated(Metric.P99)
    silent = [replace(each, head=slot(figures={Metric.P99: math.inf})) for each in rounds(40)]
    assert rows_of(silent, rules)[Metric.P99].verdict is Verdict.REGRESSION
    both = [
        replace(each, base=slot(figures={Metric.P99: math.inf}), head=slot(figures={Metric.P99: math.inf}))
        for each in rounds(12)
    ]
    assert rows_of(both, rules)[Metric.P99].verdict is Verdict.INVALID


def notes_of(some: Sequence[GateRound]) -> str:
    return "\n".join(decide({SCENARIO: some}, RULES).scenarios[0].notes)


def test_an_effect_that_drifts_is_noted() -> None:
    drifting = from_ratios([0.005 * n for n in range(40)])
    assert "CPU time per request: the effect drifts, from" in notes_of(drifting)
    assert "drifts" not in notes_of(rounds(40, 1.1))


def test_a_slot_that_is_slower_than_the_other_is_noted_and_does_not_alarm() -> None:
    # Numbers 1, 4, 5, 8, ... begin with base, so that head is second there.
    biased = from_ratios([(0.05 if n % 4 in {1, 0} else -0.05) + 0.001 * (n % 7 - 3) for n in range(1, 13)])
    assert "the second slot of a round differs from the first" in notes_of(biased)
    assert "second slot" not in notes_of(rounds(12))
    assert verdict_of(biased) is Verdict.PASS


def test_warnings_of_slots_are_told_by_arm() -> None:
    some = spoilt(rounds(12), 0, 1, head=slot(warnings=("unfair (jain 0.81)",)))
    assert notes_of(some) == "warnings, in how many of base's 12 slots and of head's: unfair (0 and 2)"


def test_swapping_the_arms_gives_the_reciprocal() -> None:
    some = rounds(40, 1.08)
    swapped = [GateRound(each.number, each.first.other, each.head, each.base) for each in some]
    there, back = (rows_of(each, replace(RULES, first_look=40))[Metric.CPU] for each in (some, swapped))
    assert there.ratio * back.ratio == pytest.approx(1.0)
    assert (there.low * back.high, there.high * back.low) == pytest.approx((1.0, 1.0))
    assert (there.verdict, back.verdict) == (Verdict.REGRESSION, Verdict.IMPROVEMENT)


def test_a_record_is_decided_again_by_its_own_rules() -> None:
    rules = RULES.with_rounds(20)
    kept = record({SCENARIO: rounds(20, 1.2)}, {"rules": stored_form(rules)})
    again = decide_record(kept)
    assert again.rules == rules
    assert comparable(again) == comparable(decide({SCENARIO: rounds(20, 1.2)}, rules))
    with pytest.raises(ValueError, match="no rules to decide by"):
        decide_record(record({}, {}))


def comparable(decision: Decision) -> list[Row]:
    return [replace(row, p_adjusted=0.0) for row in decision.rows]


@pytest.mark.parametrize(("asked", "first"), [(4, 4), (12, 12), (20, 12), (40, 12), (80, 24)])
def test_more_rounds_move_the_first_look_too_and_fewer_only_as_far_as_they_must(asked: int, first: int) -> None:
    rules = RULES.with_rounds(asked)
    assert (rules.first_look, rules.last_look) == (first, asked)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gated": ()}, "at least one metric"),
        ({"first_look": 50}, "not after 50 and 40"),
        ({"first_look": 0}, "not after 0 and 40"),
        ({"alpha": 0.5}, "levels must be"),
        ({"tolerated_share": 1.0}, "share of rounds"),
        ({"targets": {Metric.CPU: 0.1}}, "no target is given for response_time_p50_ns"),
    ],
)
def test_rules_that_can_t_be_followed_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Rules(**changes)  # type: ignore[arg-type]  # wrong on purpose
