"""A gate over canned slots: trials, the order of slots, what is redone, what is left out, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.gate.errors import GateError
from harness.gate.session import GateStarted, LeftOut, RoundMeasured, SlotStarted
from harness.gate.slots import Measured
from harness.interrupts import Interrupted
from harness.schema.gate import Arm, gate_document, read_gate_record
from tests.harness.gates import BUILDS, Call, Machine, failed, good, hold


def test_each_arm_has_a_trial_in_each_scenario_before_the_first_round() -> None:
    machine = Machine()
    hold(machine, "one", "two")
    trials = [(call.scenario, call.arm, call.number) for call in machine.calls[:4]]
    assert trials == [("one", Arm.BASE, 0), ("one", Arm.HEAD, 0), ("two", Arm.BASE, 0), ("two", Arm.HEAD, 0)]
    assert all(call.number > 0 for call in machine.calls[4:])


def test_the_slots_of_a_round_stand_back_to_back_in_blocks_of_both_orders() -> None:
    machine = Machine()
    held = hold(machine, "one", "two", rounds=6)
    measured = machine.calls[4:]
    pairs = list(zip(measured[::2], measured[1::2], strict=True))
    assert all((one.scenario, one.number) == (two.scenario, two.number) for one, two in pairs)
    for scenario in ("one", "two"):
        orders = machine.rounds(scenario)
        assert len(orders) == 6
        assert all({orders[place], orders[place + 1]} == {"bh", "hb"} for place in (0, 2, 4))
        assert [each.first[0] for each in held.record.rounds[scenario]] == [order[0] for order in orders]


def test_scenarios_are_interleaved_round_by_round() -> None:
    machine = Machine()
    hold(machine, "one", "two", "three", rounds=5)
    numbers = [call.number for call in machine.calls[6:]]
    assert numbers == sorted(numbers)


def test_both_arms_of_a_round_share_their_seeds_and_rounds_differ_in_them() -> None:
    machine = Machine()
    hold(machine, rounds=6)
    pairs = list(zip(machine.calls[::2], machine.calls[1::2], strict=True))
    assert all((one.seed, one.hash_seed) == (two.seed, two.hash_seed) for one, two in pairs)
    assert len({one.hash_seed for one, _ in pairs}) == len(pairs)
    assert None not in {one.hash_seed for one, _ in pairs}


def test_the_same_seed_holds_the_same_gate() -> None:
    first, again, other = Machine(), Machine(), Machine()
    hold(first, "one", "two", seed=5)
    hold(again, "one", "two", seed=5)
    hold(other, "one", "two", seed=6)
    assert first.calls == again.calls != other.calls


def test_a_disturbed_round_is_kept_and_measured_again_in_the_same_order() -> None:
    disturbed = {2: Arm.BASE, 4: Arm.HEAD}

    def answer(call: Call) -> Measured:
        hit = disturbed.get(call.number) is call.arm
        return good(disturbance="the hypervisor took 9% of a window" if hit else None)

    machine = Machine(answer)
    rounds = hold(machine, rounds=4).record.rounds["one"]
    assert [each.number for each in rounds] == [1, 2, 3, 4, 5, 6]
    assert [each.number for each in rounds if each.redo] == [2, 4]
    assert rounds[1].first is rounds[2].first is rounds[0].first.other
    used = [each.first for each in rounds if each.redo is None]
    assert used[0] is used[1].other
    assert used[2] is used[3].other


def test_whether_a_round_is_redone_does_not_depend_on_its_figures() -> None:
    wild = Machine(lambda call: good(cpu_us=10.0 if call.arm is Arm.BASE else 1e6))
    assert all(each.redo is None for each in hold(wild).record.rounds["one"])


def test_the_open_rate_is_a_share_of_what_base_did_in_its_trial_and_the_same_for_both_arms() -> None:
    machine = Machine(lambda call: good(cpu_us=10.0 if call.arm is Arm.BASE else 20.0))
    record = hold(machine, open_window=True).record
    assert {call.loads for call in machine.calls if call.number == 0} == {("closed",)}
    assert {call.loads for call in machine.calls if call.number > 0} == {("closed", "open:55000")}
    assert record.settings["open_rates_per_s"] == {"one": 55_000}


def test_without_an_open_window_only_the_closed_one_is_measured() -> None:
    machine = Machine()
    hold(machine)
    assert {call.loads for call in machine.calls} == {("closed",)}


def test_a_scenario_that_base_refuses_is_new_and_not_compared() -> None:
    def answer(call: Call) -> Measured:
        new = call.scenario == "new" and call.arm is Arm.BASE
        return failed("the server ended with exit code 2 before it was ready", refused=True) if new else good()

    machine = Machine(answer)
    held = hold(machine, "old", "new")
    assert "base lacks it (a new scenario)" in held.record.not_compared["new"]
    assert list(held.record.rounds) == ["old"]
    assert len([call for call in machine.calls if call.scenario == "new"]) == 2  # asked once, not twice
    assert [event.scenario for event in held.events if isinstance(event, LeftOut)] == ["new"]


def test_base_that_fails_in_its_trial_gets_a_second_one() -> None:
    def once(call: Call) -> Measured:
        return failed() if len(machine.calls) == 1 else good()

    machine = Machine(once)
    record = hold(machine).record
    assert (len(record.rounds["one"]), record.not_compared) == (4, {})


def test_base_that_works_no_more_is_no_new_scenario_its_failures_are_kept() -> None:
    machine = Machine(lambda call: failed("the server died") if call.arm is Arm.BASE else good())
    record = hold(machine, rounds=2, open_window=True).record
    assert record.not_compared == {}
    assert [each.base.failure for each in record.rounds["one"][:2]] == ["the server died"] * 2


def test_where_both_arms_refuse_that_is_said() -> None:
    record = hold(Machine(lambda call: failed(refused=True))).record
    assert "so does head" in record.not_compared["one"]


def test_head_that_fails_in_both_of_its_trials_has_failed_two_rounds() -> None:
    machine = Machine(lambda call: failed("the server died") if call.arm is Arm.HEAD else good())
    rounds = hold(machine, rounds=2).record.rounds["one"]
    assert [each.head.failure for each in rounds] == ["the server died"] * 2
    assert [each.number for each in rounds] == [1, 2]
    assert {call.number for call in machine.calls} == {0}


@pytest.mark.parametrize("arm", list(Arm))
def test_one_failure_in_a_trial_is_forgiven_to_either_arm(arm: Arm) -> None:
    machine = Machine(lambda call: failed() if call.arm is arm and len(machine.calls) <= 2 else good())
    record = hold(machine).record
    assert all(each.head.failure is None and each.base.failure is None for each in record.rounds["one"])
    assert len([call for call in machine.calls if call.number == 0]) == 4


def test_a_gate_that_is_stopped_keeps_its_rounds() -> None:
    def answer(call: Call) -> Measured:
        if call.number == 3:
            raise Interrupted
        return good()

    held = hold(Machine(answer))
    assert held.record.state == "interrupted"
    assert len(held.record.rounds["one"]) == 2
    assert [len(record.rounds["one"]) for record in held.kept] == [1, 2]


def test_what_is_kept_can_be_read_again() -> None:
    held = hold(Machine(), "one", "two")
    document = gate_document(held.record)
    again = read_gate_record(document, "the record")
    assert gate_document(again) == document
    assert again.state == "complete"
    assert again.settings["scenarios"]["one"]["model"] == "good"


def test_the_gate_refuses_code_that_is_not_the_arms() -> None:
    builds = {arm: replace(build, code=f"tree of {arm}") for arm, build in BUILDS.items()}
    with pytest.raises(GateError, match="both arms run the same code"):
        hold(Machine(lambda call: good(code="the same")), builds=builds)


def test_progress_tells_each_slot_before_and_each_round_after() -> None:
    events = hold(Machine(), rounds=2).events
    assert isinstance(events[0], GateStarted)
    assert [type(event) for event in events[1:]] == [SlotStarted] * 4 + [RoundMeasured] + [SlotStarted] * 2 + [
        RoundMeasured
    ]
    measured = [event for event in events if isinstance(event, RoundMeasured)]
    assert [(event.done, event.target) for event in measured] == [(1, 2), (2, 2)]
    left_s = [event.seconds_left for event in measured]
    assert left_s[0] >= left_s[1] == 0


def test_a_failure_is_not_excused_by_a_disturbance() -> None:
    head_fails = Machine(lambda call: failed() if call.arm is Arm.HEAD else good(disturbance="steal"))
    assert all(each.redo is None for each in hold(head_fails, rounds=2).record.rounds["one"])
