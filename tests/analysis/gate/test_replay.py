"""The gate on a recorded trace: the reader, the rates, and the trace that is committed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats

from analysis.gate import replay as gate_replay
from analysis.gate.decision import Rules, Verdict
from analysis.gate.replay import Trace, clopper_pearson, describe, power_curve, read_trace, replay, trace_document
from harness.schema import SchemaError
from harness.schema.gate import GateRound, Metric, stored_form
from tests.analysis import gate_noise as noise
from tests.analysis.canned_gate import SCENARIO, STEAL, failing, from_ratios, one, record, rounds, slot, spoilt
from tests.analysis.gate_noise import Machine

RULES = Rules()
QUIET = Machine(0.03, drift=0.03)
COMMITTED = Path(__file__).parents[2] / "data" / "gate_trace.json"


def synthetic(machine: Machine = QUIET, count: int = 240) -> Trace:
    """Return a trace of identical arms of a machine that is known."""
    return Trace({SCENARIO: tuple(from_ratios(noise.rounds_of(machine, 1, count, seed=2)[0]))}, {})


def traces() -> dict[str, Trace]:
    """Return the traces that the rates are checked on: a synthetic one, and the recorded one."""
    recorded = read_trace(json.loads(COMMITTED.read_text(encoding="utf-8")), COMMITTED.name)
    return {"synthetic": synthetic(), "recorded": recorded}


every_trace = pytest.mark.parametrize("trace", traces().values(), ids=traces().keys())


@every_trace
def test_identical_arms_of_a_trace_hardly_ever_fail(trace: Trace) -> None:
    found = replay(trace, RULES, stride=8)
    assert found.windows >= 20
    # Neighbouring windows share most of their rounds, so one unlucky stretch may fail several of them.
    assert found.alarms <= 0.1 * found.windows
    assert found.low <= RULES.alpha
    assert sum(found.verdicts.values()) == found.windows


@every_trace
def test_the_more_a_head_is_slowed_down_the_more_windows_fail(trace: Trace) -> None:
    curve = power_curve(trace, RULES, (1.0, 1.1, 1.5), stride=20)
    assert [found.factor for found in curve] == [1.0, 1.1, 1.5]
    alarms = [found.alarms for found in curve]
    assert alarms == sorted(alarms)
    disturbed = curve[-1].verdicts.get(Verdict.INVALID, 0)  # windows with too many redone rounds decide nothing
    assert alarms[-1] == curve[-1].windows - disturbed > 0


def test_slowing_head_down_slows_every_metric() -> None:
    before, after = rounds(1)[0], gate_replay.slower(rounds(1)[0], 2.0)
    assert after.base == before.base
    assert after.head.figures[Metric.THROUGHPUT] == before.head.figures[Metric.THROUGHPUT] / 2
    assert after.head.figures[Metric.CPU] == before.head.figures[Metric.CPU] * 2


def test_windows_that_overlap_are_told_from_those_that_do_not() -> None:
    found = replay(synthetic(count=100), RULES)
    assert (found.windows, found.alone) == (61, 2)
    assert found.high == pytest.approx(clopper_pearson(found.alarms_alone, 2)[1])
    assert "the windows overlap, 0 of the 2 that do not overlap failed" in describe(found)


def test_a_window_reaches_over_redone_rounds_to_its_full_length() -> None:
    disturbed = tuple(spoilt(rounds(44), 3, 9, redo=STEAL))
    assert replay(Trace({SCENARIO: disturbed}, {}), RULES).windows == 3


def test_a_trace_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than a window of 40 usable rounds"):
        replay(synthetic(count=39), RULES)


def test_scenarios_are_replayed_together_as_one_gate() -> None:
    both = Trace({"slow": tuple(rounds(60, 1.2)), "same": tuple(rounds(60))}, {})
    found = replay(both, RULES, stride=10)
    assert found.verdicts == {Verdict.REGRESSION: 3}


def test_a_trace_survives_being_stored() -> None:
    odd = [
        *rounds(3),
        one(4, redo=STEAL),
        one(5, head=slot(figures={Metric.P99: math.inf}, generator_limited=True)),
        one(6, base=slot(figures={Metric.CPU: math.nan})),
    ]
    document = json.loads(json.dumps(trace_document(record({SCENARIO: odd}, {"a": 1})), allow_nan=False))
    trace = read_trace(document, "trace.json")
    assert trace.about["settings"] == {"a": 1}
    assert [stored_form(rounded(each)) for each in trace.rounds[SCENARIO]] == [stored_form(rounded(e)) for e in odd]


def rounded(each: GateRound) -> GateRound:
    """Return a round with figures of five digits, as a trace keeps them."""
    arms = {
        arm: replace(own, figures={Metric(name): float(f"{value:.5g}") for name, value in own.figures.items()})
        for arm, own in (("base", each.base), ("head", each.head))
    }
    return replace(each, **arms)


def test_rounds_in_which_a_server_failed_are_no_part_of_a_trace() -> None:
    document = trace_document(record({SCENARIO: [*rounds(2), one(3, head=failing())]}, {}))
    assert document["scenarios"][SCENARIO]["number"] == [1, 2]


def test_a_trace_of_240_rounds_of_three_scenarios_is_small() -> None:
    trace = {name: rounds(240) for name in ("a", "b", "c")}
    assert len(json.dumps(trace_document(record(trace, {})), separators=(",", ":"))) < 100_000


@pytest.mark.parametrize("change", [{"schema": "echobench.trace/9"}, {"scenarios": {"a": {}}}, {"scenarios": None}])
def test_a_trace_of_another_shape_is_refused_in_a_sentence(change: dict[str, object]) -> None:
    document = trace_document(record({SCENARIO: rounds(2)}, {})) | change
    with pytest.raises(SchemaError, match=r"trace\.json is"):
        read_trace(document, "trace.json")


@pytest.mark.parametrize(("successes", "trials"), [(0, 60), (1, 60), (3, 300), (30, 60), (60, 60), (0, 1)])
def test_the_interval_of_a_rate_is_scipy_s(successes: int, trials: int) -> None:
    theirs = scipy.stats.binomtest(successes, trials).proportion_ci(method="exact")
    assert clopper_pearson(successes, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_a_rate_without_trials_is_refused() -> None:
    with pytest.raises(ValueError, match="no rate"):
        clopper_pearson(0, 0)
