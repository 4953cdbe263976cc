"""The gate as an instrument: its rates on noise whose truth is known, and those of the rules that it does not use.

Every bound follows from the number of trials: a count is compared with the binomial quantile that a right rule exceeds
once in a hundred thousand. The seeds are fixed, so that a test fails for a change of the rule and not by chance.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from analysis import stats
from analysis.gate import Rules, Verdict, decide
from analysis.gate import power as gate_power
from analysis.gate.power import Looks
from harness.schema.gate import Metric
from tests.analysis import gate_noise as noise
from tests.analysis.canned_gate import SCENARIO, from_ratios, rows_of
from tests.analysis.gate_noise import Floats, Machine

ALPHA = 0.01
LAST = 40
ONE_METRIC = Rules(gated=(Metric.CPU,))
MACHINES = {
    "normal": Machine(0.05),
    "spiky": Machine(0.05, noise.spiky),
    "heavy-tailed": Machine(0.05, noise.heavy),
    "drifting": Machine(0.03, drift=0.06, memory=0.9),
    "second slot slower": Machine(0.03, drift=0.03, bias=0.02),
    "spiky, drifting, second slot slower": Machine(0.05, noise.spiky, drift=0.06, bias=0.02),
}
machines = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())


def most(trials: int, rate: float) -> int:
    """Return the count that a rate of at most `rate` exceeds once in a hundred thousand."""
    return int(scipy.stats.binom.ppf(1 - 1e-5, trials, rate))


def least(trials: int, rate: float) -> int:
    """Return the count that a rate of at least `rate` falls below once in a hundred thousand."""
    return int(scipy.stats.binom.ppf(1e-5, trials, rate))


@pytest.mark.parametrize("count", [12, 40])
@machines
def test_the_p_value_of_a_row_is_scipy_s(machine: Machine, count: int) -> None:
    for ratios in noise.rounds_of(machine, 5, count, effect=0.03):
        row = rows_of(from_ratios(ratios), Rules(first_look=count, last_look=count))[Metric.CPU]
        assert row.p == pytest.approx(scipy.stats.wilcoxon(ratios, alternative="greater", method="exact").pvalue)


@pytest.mark.parametrize("count", [12, 40])
@machines
def test_the_interval_of_a_row_holds_the_truth_as_often_as_it_says(machine: Machine, count: int) -> None:
    trials, truth = 1500, math.log(1.05)
    ratios = noise.rounds_of(machine, trials, count, effect=0.05)
    averages = noise.walsh(ratios)
    row = rows_of(from_ratios(ratios[0]), Rules(first_look=count, last_look=count))[Metric.CPU]
    k = int(np.argmin(np.abs(averages[0] - math.log(row.low))))
    assert (row.low, row.high) == pytest.approx(tuple(np.exp(averages[0, [k, -1 - k]])))
    held = int(np.sum((averages[:, k] <= truth) & (truth <= averages[:, -1 - k])))
    assert 0.95 <= row.coverage < 0.96
    assert held >= least(trials, row.coverage)
    if machine.draw is noise.normal and not (machine.drift or machine.bias):
        assert held <= most(trials, row.coverage)


@machines
def test_identical_code_fails_no_more_often_than_the_level(machine: Machine) -> None:
    trials = 4000
    ratios = noise.rounds_of(machine, trials, LAST)
    without_a_minimum = int(noise.two_looks(ratios, minimum=0.0).sum())
    assert without_a_minimum <= most(trials, ALPHA)
    assert int(noise.two_looks(ratios).sum()) <= without_a_minimum


def test_the_level_is_used_where_one_look_decides_so_that_the_bounds_here_bound_something() -> None:
    trials = 20_000
    alarms = int((noise.p_slower(noise.rounds_of(Machine(0.05), trials, 12)) <= ALPHA).sum())
    exact = noise.tail(12)[noise.tail(12) <= ALPHA].max()
    assert least(trials, exact) <= alarms <= most(trials, exact)


@machines
def test_the_rule_in_arrays_is_the_gate_s_own(machine: Machine) -> None:
    for effect in (0.0, 0.04, 0.08):
        ratios = noise.rounds_of(machine, 12, LAST, effect, seed=3)
        ours = [decide({SCENARIO: from_ratios(each)}, ONE_METRIC).verdict is Verdict.REGRESSION for each in ratios]
        assert ours == noise.two_looks(ratios).tolist()


def test_a_gate_of_many_rows_of_identical_code_fails_no_more_often_than_the_level() -> None:
    trials, scenarios = 120, 3
    rules = Rules(screening_p=0.9, minimum_effects=dict.fromkeys(Metric, 0.0))  # as hard on the level as can be
    ratios = noise.rounds_of(Machine(0.05), trials * scenarios, LAST, seed=4).reshape(trials, scenarios, LAST)
    verdicts = [
        decide({f"scenario {i}": from_ratios(each) for i, each in enumerate(gate)}, rules).verdict for gate in ratios
    ]
    assert verdicts.count(Verdict.REGRESSION) <= most(trials, ALPHA)


# The power of 12 rounds, then 40, by simulation: coefficient of variation of a slot; slowdown; chance of REGRESSION.
POWER = [
    (0.02, {0.05: 1.0, 0.10: 1.0}),
    (0.03, {0.05: 0.99, 0.10: 1.0}),
    (0.05, {0.05: 0.88, 0.07: 0.99, 0.10: 1.0}),
    (0.07, {0.05: 0.64, 0.07: 0.91, 0.10: 0.99}),
    (0.10, {0.05: 0.31, 0.07: 0.61, 0.10: 0.91, 0.15: 1.0}),
]


@pytest.mark.parametrize(("cv", "expected"), POWER, ids=[f"{cv:.0%}" for cv, _ in POWER])
def test_a_slowdown_is_found_as_often_as_computed(cv: float, expected: dict[float, float]) -> None:
    trials = 1500
    for effect, rate in expected.items():
        machine = Machine(cv, drift=0.03, bias=0.01)
        found = int(noise.two_looks(noise.rounds_of(machine, trials, LAST, effect)).sum())
        margin = 0.02  # the table's own trials
        assert least(trials, rate - margin) <= found <= most(trials, min(1.0, rate + margin))


@pytest.mark.parametrize("cv", [0.01, 0.03, 0.06, 0.12])
@pytest.mark.parametrize("last", [12, 20, 40])
def test_of_slowdowns_of_the_smallest_detectable_size_four_out_of_five_are_found(cv: float, last: int) -> None:
    trials = 3000
    looks = Looks(first=12, screening_p=0.25, last=last, alpha=ALPHA, minimum_effect=0.03)
    effect = gate_power.detectable_effect(cv * math.sqrt(2), looks)
    found = int(noise.two_looks(noise.rounds_of(Machine(cv), trials, last, effect)).sum())
    assert least(trials, 0.77) <= found <= most(trials, 0.87)


def test_the_smallest_detectable_effect_of_a_row_is_near_that_of_the_true_noise() -> None:
    looks = Looks(first=12, screening_p=0.25, last=LAST, alpha=ALPHA, minimum_effect=0.03)
    truth = gate_power.detectable_effect(0.05 * math.sqrt(2), looks)
    told = [rows_of(from_ratios(each), ONE_METRIC)[Metric.CPU].detectable for each in _gates(Machine(0.05), 60)]
    assert np.median(told) == pytest.approx(truth, rel=0.1)
    spiky = [rows_of(from_ratios(each), ONE_METRIC)[Metric.CPU].detectable for each in _gates(MACHINES["spiky"], 60)]
    assert np.median(spiky) < 0.9 * np.median(told)  # single spikes of the same variance hide less


def _gates(machine: Machine, count: int) -> Floats:
    return noise.rounds_of(machine, count, LAST, seed=6)


def test_one_run_of_each_against_a_threshold_cries_wolf_and_the_gate_does_not() -> None:
    trials, machine = 4000, Machine(0.03, drift=0.03, memory=0.9)
    assert int(noise.one_run_each(machine, trials).sum()) >= least(trials, 0.10)
    assert int(noise.two_looks(noise.rounds_of(machine, trials, LAST)).sum()) <= most(trials, ALPHA)


@pytest.mark.parametrize(("drift", "rate"), [(0.03, 0.07), (0.06, 0.15)])
def test_blocks_of_runs_with_mann_whitney_cry_wolf_under_drift_and_the_gate_does_not(drift: float, rate: float) -> None:
    trials, machine = 4000, Machine(0.03, drift=drift, memory=0.9)
    assert int(noise.blocks(Machine(0.03), trials).sum()) <= most(trials, 0.025)  # right where nothing drifts
    assert int(noise.blocks(machine, trials).sum()) >= least(trials, rate)
    assert int(noise.two_looks(noise.rounds_of(machine, trials, LAST)).sum()) <= most(trials, ALPHA)


def test_base_always_first_cries_wolf_where_the_second_slot_is_slower_and_the_gate_does_not() -> None:
    trials, machine = 4000, Machine(0.03, drift=0.03, bias=0.02, memory=0.9)
    fixed = noise.rounds_of(machine, trials, 10, order=noise.base_first)
    assert int((noise.p_slower(fixed) <= ALPHA).sum()) >= least(trials, 0.10)
    assert int((noise.p_slower(noise.rounds_of(machine, trials, 10)) <= ALPHA).sum()) <= most(trials, ALPHA)


def test_looking_after_every_round_cries_wolf_and_two_looks_of_which_one_can_fail_do_not() -> None:
    trials = 4000
    ratios = noise.rounds_of(Machine(0.03), trials, 30)
    assert int(noise.peeking(ratios).sum()) >= least(trials, 0.04)
    assert int(noise.two_looks(ratios, minimum=0.0).sum()) <= most(trials, ALPHA)


def test_requests_in_one_pot_cry_wolf_over_p99_and_runs_do_not() -> None:
    trials, runs, requests = 160, 10, 2000
    rng = np.random.default_rng(7)
    times = 0.6 * rng.standard_normal((trials, 2, runs, requests)) + rng.normal(0, 0.10, (trials, 2, runs, 1))
    assert int(noise.pooled_requests(times).sum()) >= least(trials, 0.35) > most(trials, 0.05)
    by_run = np.quantile(times, 0.99, axis=3)
    assert int((noise.p_slower(by_run[:, 1] - by_run[:, 0]) <= ALPHA).sum()) <= most(trials, ALPHA)
    independent = times - times.mean(axis=3, keepdims=True)  # the same rule is right where requests are independent
    assert int(noise.pooled_requests(independent).sum()) <= most(trials, 0.05)


def test_the_spread_is_the_standard_deviation_of_normal_noise_and_hardly_sees_single_spikes() -> None:
    ratios = np.random.default_rng(8).normal(0, 0.05, 4000)
    assert gate_power.spread(list(ratios[:2000])) == pytest.approx(0.05, rel=0.05)
    few = [float(value) for value in ratios[:40]]
    assert gate_power.spread([*few[:-1], 3.0]) == pytest.approx(gate_power.spread(few), rel=0.1)


def test_the_estimate_shown_is_the_one_that_the_rule_uses() -> None:
    ratios = noise.rounds_of(Machine(0.03), 1, LAST, 0.06)[0]
    row = rows_of(from_ratios(ratios), ONE_METRIC)[Metric.CPU]
    assert row.ratio == pytest.approx(math.exp(stats.hodges_lehmann(list(ratios))))
