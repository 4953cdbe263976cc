"""Rounds that can't be used, and servers that fail: which end a gate, which are chance, and which tell nothing."""

from __future__ import annotations

from dataclasses import replace

from analysis.gate import Rules, Verdict, decide, wants_more
from harness.schema.gate import GateRound
from tests.analysis.canned_gate import DIED, SCENARIO, STEAL, failing, one, rounds, slot, spoilt, steps, verdict_of

RULES = Rules()


def test_a_head_that_fails_twice_in_a_row_while_base_works_is_broken_at_once() -> None:
    dead = [one(1, head=failing()), one(2, head=failing())]
    assert steps(dead) == 2
    decision = decide({SCENARIO: dead, "other": rounds(12)}, RULES)
    assert (decision.verdict, decision.exit_code()) == (Verdict.BROKEN, 1)
    assert decision.scenarios[0].reason == f"head's server failed in 2 of 2 rounds, base's did not: {DIED}"
    assert {row.verdict for row in decision.scenarios[0].rows} == {Verdict.BROKEN}


def test_a_head_that_fails_in_the_only_round_asked_for_is_broken() -> None:
    assert verdict_of([one(head=failing())], RULES.with_rounds(1)) is Verdict.BROKEN


def test_a_head_that_fails_again_and_again_is_broken_when_chance_is_excluded() -> None:
    def failing_at(count: int, every: int = 5) -> list[GateRound]:
        return [one(n, head=failing() if n % every == 0 and n <= every * count else slot()) for n in range(1, 47)]

    assert steps(failing_at(7)) == 35
    assert verdict_of(failing_at(7)) is Verdict.BROKEN
    assert verdict_of(failing_at(6)) is Verdict.INCONCLUSIVE
    assert steps(failing_at(7, every=2)) == 14  # the more often it fails the sooner, and never a milder verdict
    assert verdict_of(failing_at(7, every=2)[:14]) is Verdict.BROKEN


def test_a_head_that_failed_once_goes_past_the_first_look_and_can_t_simply_pass() -> None:
    once = spoilt(rounds(41), 3, head=failing())
    assert wants_more(once[:13], RULES).more
    assert steps(once) == 41
    decision = decide({SCENARIO: once}, RULES)
    assert (decision.verdict, decision.exit_code(), decision.exit_code(strict=True)) == (Verdict.INCONCLUSIVE, 0, 3)
    assert decision.rows[0].reason == f"head's server failed in 1 of 41 rounds, base's in none of these: {DIED}"
    assert verdict_of(spoilt(rounds(41, 1.2), 3, head=failing())) is Verdict.REGRESSION


def test_a_failure_in_a_round_that_the_machine_disturbed_is_no_evidence() -> None:
    disturbed = [one(n, head=failing(), redo=STEAL) for n in range(1, 4)]
    assert wants_more(disturbed, RULES).more
    assert verdict_of([*disturbed, *rounds(12)]) is Verdict.PASS


def test_a_disturbed_round_between_two_failures_does_not_hide_that_they_follow_each_other() -> None:
    assert verdict_of([one(1, head=failing()), one(2, redo=STEAL), one(3, head=failing())]) is Verdict.BROKEN


def test_a_base_that_fails_leaves_nothing_to_compare_with() -> None:
    dead = [one(1, base=failing("the server did not start")), one(2, base=failing("the server did not start"))]
    assert steps(dead) == 2
    decision = decide({SCENARIO: dead}, RULES)
    assert (decision.verdict, decision.exit_code()) == (Verdict.INVALID, 2)
    assert decision.scenarios[0].reason == "nothing to compare with: base's server fails: the server did not start"
    beside = decide({SCENARIO: dead, "other": rounds(12)}, RULES)
    assert (beside.verdict, beside.exit_code(), beside.exit_code(strict=True)) == (Verdict.INVALID, 0, 3)


def test_a_head_is_not_broken_where_base_fails_too() -> None:
    both = one(1, base=failing(), head=failing())
    decision = decide({SCENARIO: [both, both]}, RULES)
    assert decision.verdict is Verdict.INVALID
    assert decision.scenarios[0].reason.endswith("; head's fails too")


def test_a_harness_that_fails_is_nobody_s_regression() -> None:
    no_load = [one(n, head=failing("the load generator died", "harness")) for n in range(1, 6)]
    assert steps(no_load) == 5
    decision = decide({SCENARIO: no_load}, RULES)
    assert (decision.verdict, decision.exit_code()) == (Verdict.INVALID, 2)
    assert decision.scenarios[0].reason == "5 of 5 rounds can't be used: the load generator died (5 of them)"


def test_redone_rounds_are_measured_again_and_tell_nothing() -> None:
    some = spoilt(rounds(14), 2, 7, redo=STEAL, head=slot(9.0))
    assert steps(some) == 14
    decision = decide({SCENARIO: some}, RULES)
    assert (decision.verdict, decision.scenarios[0].used, decision.scenarios[0].redone) == (Verdict.PASS, 12, 2)
    assert decision.rows[0].ratio < 1.02


def test_a_burst_of_disturbances_is_waited_out() -> None:
    burst = spoilt(rounds(53), *range(4, 13), redo=STEAL)
    after_first = wants_more(burst[:21], RULES)
    assert (after_first.more, after_first.reason) == (True, "the machine disturbed the first look: 12 of 40 rounds")
    assert steps(burst) == 49
    decision = decide({SCENARIO: burst[:49]}, RULES)
    assert (decision.verdict, decision.scenarios[0].used) == (Verdict.PASS, 40)


def test_more_redone_rounds_than_a_quarter_are_invalid() -> None:
    assert wants_more([one(n, redo=STEAL) for n in range(1, 14)], RULES).more
    noisy = [one(n, redo=STEAL) for n in range(1, 15)]
    assert steps(noisy) == 14
    decision = decide({SCENARIO: noisy}, RULES)
    assert (decision.verdict, decision.exit_code(), decision.exit_code(strict=True)) == (Verdict.INVALID, 0, 3)
    quarter = [replace(each, redo=STEAL if n % 4 == 0 else None) for n, each in enumerate(rounds(54, 1.1))]
    assert verdict_of(quarter[1:]) is Verdict.REGRESSION
    third = [replace(each, redo=STEAL if n % 3 == 0 else None) for n, each in enumerate(rounds(60, 1.1))]
    assert verdict_of(third) is Verdict.INVALID
