"""Two sides compared: what is matched, what a ratio allows to say, and what is refused."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import comparison
from analysis.comparison import MEASURES, Comparison, Reading, Row, Verdict, compare, judge
from analysis.comparison import differences as comparison_differences
from analysis.comparison.sides import ComparisonError, Side, parse
from harness.schema import LimitedBy, SchemaError, WarningKind, warning
from harness.store import StoreError
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel

THROUGHPUT, CPU, P50, P99, MEMORY = MEASURES
FAST = CannedModel("asyncio", 44_000, 0.01, 150_000, 16.0)
SLOW = CannedModel("thread", 40_000, 0.01, 150_000, 18.0)
EQUAL = replace(SLOW, name="selectors")


def reading(*values: float, sign: str = "") -> Reading:
    return Reading(dict(enumerate(values, 1)), sign, 1.0, {})


def around(value: float, count: int, seed: int = 1, noise: float = 0.005) -> list[float]:
    return [float(each) for each in value * np.exp(np.random.default_rng(seed).normal(0, noise, count))]


def of(found: Comparison, figure: str, window: str = "closed load", model: str = "") -> Row:
    (row,) = [
        row
        for row in found.rows
        if row.measure.name == figure and row.window == window and row.match.model.startswith(model)
    ]
    return row


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six rounds: one model 10 % faster than two equal ones."""
    return make_run(tmp_path_factory.mktemp("run") / "six", [FAST, SLOW, EQUAL], Setting(rounds=6)).folder


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the same plan, in which `asyncio` answers half as much and `selectors` is missing."""
    models = [replace(FAST, throughput_per_s=22_000), SLOW]
    return make_run(tmp_path_factory.mktemp("run") / "later", models, Setting(rounds=6, seed=2)).folder


# What a ratio allows to say.


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(
    ("factor", "of_throughput", "of_time"),
    [
        (1.3, Verdict.FASTER, Verdict.SLOWER),
        (0.7, Verdict.SLOWER, Verdict.FASTER),
        (1.001, Verdict.SAME, Verdict.SAME),
        (1.02, Verdict.SAME, Verdict.SAME),  # certain, and too small to matter
    ],
)
def test_more_replies_are_faster_and_more_time_is_slower(
    factor: float, of_throughput: Verdict, of_time: Verdict, paired: bool
) -> None:
    a, b = reading(*around(100, 8)), reading(*around(100 * factor, 8, seed=2))
    assert judge(THROUGHPUT, a, b, paired).verdict is of_throughput
    for measure in (CPU, P50, P99, MEMORY):
        assert judge(measure, a, b, paired).verdict is of_time


@pytest.mark.parametrize("paired", [True, False])
def test_swapping_the_sides_swaps_the_verdict_and_inverts_the_ratio(paired: bool) -> None:
    swapped = {Verdict.FASTER: Verdict.SLOWER, Verdict.SLOWER: Verdict.FASTER}
    for factor in (0.8, 0.951, 0.97, 1.0, 1.049, 1.2):
        a, b = reading(*around(100, 7)), reading(*around(100 * factor, 7, seed=3))
        forth, back = judge(CPU, a, b, paired), judge(CPU, b, a, paired)
        assert back.verdict is swapped.get(forth.verdict, forth.verdict)
        assert forth.ratio is not None
        assert back.ratio is not None
        assert forth.ratio.value == pytest.approx(1 / back.ratio.value)


def test_a_difference_inside_the_noise_is_unclear() -> None:
    found = judge(THROUGHPUT, reading(*around(100, 8, noise=0.2)), reading(*around(104, 8, 2, noise=0.2)), paired=True)
    assert (found.verdict, found.reason) == (Verdict.UNCLEAR, "")


@pytest.mark.parametrize(("paired", "few", "enough"), [(True, 5, 6), (False, 3, 4)])
def test_too_few_rounds_decide_nothing_however_large_the_ratio(paired: bool, few: int, enough: int) -> None:
    for count in range(1, few + 1):
        found = judge(CPU, reading(*around(100, count)), reading(*around(500, count)), paired)
        assert found.verdict is Verdict.UNCLEAR
        assert "too few rounds" in found.reason
    assert judge(CPU, reading(*around(100, enough)), reading(*around(500, enough)), paired).verdict is Verdict.SLOWER


def test_what_the_machine_does_to_a_round_cancels_in_pairs_and_not_between_runs() -> None:
    drift = np.exp(np.random.default_rng(3).normal(0, 0.4, 8))
    a, b = reading(*(100 * drift)), reading(*(120 * drift))
    assert judge(THROUGHPUT, a, b, paired=True).verdict is Verdict.FASTER
    assert judge(THROUGHPUT, a, b, paired=False).verdict is Verdict.UNCLEAR


@pytest.mark.parametrize("paired", [True, False])
def test_a_bound_is_never_faster_nor_slower(paired: bool) -> None:
    bounded, other = reading(*around(200, 8), sign=">= "), reading(*around(100, 8))
    above, below = judge(THROUGHPUT, other, bounded, paired), judge(THROUGHPUT, bounded, other, paired)
    assert (above.verdict, above.sign) == (Verdict.UNCLEAR, ">= ")
    assert (below.verdict, below.sign) == (Verdict.UNCLEAR, "<= ")
    assert "the limit of B" in above.reason
    assert "the limit of A" in below.reason
    assert judge(THROUGHPUT, bounded, bounded, paired).verdict is Verdict.INCOMPARABLE


@pytest.mark.parametrize("paired", [True, False])
def test_what_was_never_answered_is_slower_for_certain_only_where_it_was_so_in_most_rounds(paired: bool) -> None:
    a = reading(*around(100, 8))
    always = reading(*[math.inf] * 8)
    once = reading(*around(100, 7), math.inf)
    assert judge(P99, a, always, paired).verdict is Verdict.SLOWER
    assert judge(P99, always, a, paired).verdict is Verdict.FASTER
    assert judge(P99, a, once, paired).verdict is not Verdict.SLOWER
    assert judge(P99, once, always, paired).verdict is Verdict.INCOMPARABLE


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (reading(), reading(1.0), "A has no such figure"),
        (reading(1.0), reading(0.0), "B was zero"),
        (Reading({1: 1.0}, "", 1.0, {}), Reading({2: 1.0}, "", 1.0, {}), "no round in common"),
    ],
)
def test_what_has_no_ratio_is_incomparable_and_says_why(a: Reading, b: Reading, why: str) -> None:
    found = judge(CPU, a, b, paired=True)
    assert (found.verdict, found.ratio) == (Verdict.INCOMPARABLE, None)
    assert why in found.reason


@pytest.mark.parametrize("paired", [True, False])
def test_a_side_that_drops_requests_never_looks_good_nor_as_good(paired: bool) -> None:
    good, best, same = reading(*around(100, 8)), reading(*around(200, 8)), reading(*around(100, 8, seed=2))
    for dropping in (replace(best, dropped=True), replace(same, dropped=True)):
        for found in (judge(THROUGHPUT, good, dropping, paired), judge(THROUGHPUT, dropping, good, paired)):
            assert found.verdict is Verdict.UNCLEAR
            assert "left over 1 % of its requests unanswered" in found.reason
    assert judge(THROUGHPUT, replace(good, dropped=True), best, paired).verdict is Verdict.FASTER
    assert judge(THROUGHPUT, best, replace(good, dropped=True), paired).verdict is Verdict.SLOWER


# Two parts of one run.


def test_two_models_of_one_run_are_compared_by_paired_rounds(run: Path) -> None:
    found = compare(f"{run}:model=thread", f"{run}:model=asyncio")
    row = of(found, "throughput")
    assert found.paired
    assert row.finding.verdict is Verdict.FASTER
    assert row.finding.ratio is not None
    assert row.finding.ratio.value == pytest.approx(1.1, abs=0.02)
    assert row.finding.ratio.samples == 6
    assert of(found, "CPU a request").finding.verdict is Verdict.FASTER
    assert of(found, "PSS", "").finding.verdict is Verdict.SAME
    assert found.unlike == found.told == found.missing == ()


def test_two_equal_models_are_never_told_apart(run: Path) -> None:
    found = compare(f"{run}:model=thread", f"{run}:model=selectors")
    assert not {row.finding.verdict for row in found.rows} & {Verdict.FASTER, Verdict.SLOWER}


def test_throughput_is_of_closed_load_and_response_times_of_open_load(run: Path) -> None:
    found = compare(f"{run}:model=thread", f"{run}:model=asyncio")
    assert [(row.window, row.measure.name) for row in found.rows] == [
        ("closed load", "throughput"),
        ("closed load", "CPU a request"),
        ("open load, 2,000 requests/s", "CPU a request"),
        ("open load, 2,000 requests/s", "response p50"),
        ("open load, 2,000 requests/s", "response p99"),
        ("", "PSS"),
    ]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose conditions differ in interpreter and pinning; one model lacks one of them."""
    conditions = [{"python": python, "pin": pin} for python in ("3.11", "3.13") for pin in ("0:1", "none")]

    def faster(model: CannedModel, scenario: Mapping[str, Any]) -> CannedModel | None:
        if model.name == "thread" and scenario["python"] == "3.13" and scenario["pin"] == "none":
            return None
        return replace(model, cpu_us=model.cpu_us * (0.5 if scenario["python"] == "3.13" else 1))

    setting = Setting(rounds=6, conditions=conditions, adjust=faster, loads=("closed",))
    return make_run(tmp_path_factory.mktemp("run") / "matrix", [FAST, SLOW], setting).folder


def test_a_varied_key_is_left_out_of_matching_and_all_others_are_equal(matrix: Path) -> None:
    found = compare(f"{matrix}:python=3.11", f"{matrix}:python=3.13")
    matches = {id(row.match): row.match for row in found.rows}.values()
    assert [(match.models, match.scenarios[0]["pin"], match.scenarios[1]["pin"]) for match in matches] == [
        (("asyncio", "asyncio"), "0:1", "0:1"),
        (("thread", "thread"), "0:1", "0:1"),
        (("asyncio", "asyncio"), "none", "none"),
    ]
    assert all("python" not in match.label for match in matches)
    cpu = [row for row in found.rows if row.measure is CPU]
    assert {row.finding.verdict for row in cpu} == {Verdict.FASTER}
    (lacking,) = found.missing
    assert lacking.startswith("B has nothing to compare with thread of A (")
    assert found.unlike == ()


def test_values_may_hold_colons_and_a_side_may_narrow_by_several_keys(matrix: Path) -> None:
    found = compare(f"{matrix}:model=asyncio:pin=0:1:python=3.11", f"{matrix}:pin=none:python=3.11:model=asyncio")
    assert found.varied == {"pin"}
    assert {row.match.models for row in found.rows} == {("asyncio", "asyncio")}
    assert {row.match.scenarios[1]["pin"] for row in found.rows} == {"none"}


def test_models_of_a_step_of_a_sweep_are_not_compared(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [FAST, SLOW], Setting(loads=("closed", "sweep:2"))).folder
    found = compare(f"{folder}:model=thread", f"{folder}:model=asyncio")
    assert {row.window for row in found.rows} == {"closed load", ""}
    assert "Steps of load sweeps are not compared" in found.missing[-1]


# Two runs.


@pytest.fixture(scope="module")
def two(run: Path, later: Path) -> Comparison:
    """The comparison of the two runs."""
    return compare(str(run), str(later))


def test_two_runs_are_compared_by_unpaired_rounds_and_what_one_lacks_is_told(two: Comparison) -> None:
    found = two
    assert not found.paired
    row = of(found, "throughput", model="asyncio")
    assert row.finding.verdict is Verdict.SLOWER
    assert row.finding.ratio is not None
    assert row.finding.ratio.value == pytest.approx(0.5, abs=0.1)
    assert of(found, "throughput", model="thread").finding.verdict is Verdict.UNCLEAR
    assert any(text.startswith("B has nothing to compare with selectors of A (") for text in found.missing)
    assert comparison.refusal(found) == ""


def elsewhere(side: Side, change: Callable[[dict[str, Any]], object]) -> Side:
    """Return a side as if its run had been measured in a changed environment."""
    document = copy.deepcopy(dict(side.run.document))
    change(document["environment"])
    return replace(side, run=replace(side.run, document=document))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e["cpu"].update(model="Other CPU"), "CPU model (A: Canned CPU @ 2.50GHz, B: Other CPU)"),
        (lambda e: e["cpu"].update(count=64), "CPU count (A: 2, B: 64)"),
        (lambda e: e.update(kernel="Linux 7.0"), "kernel (A: Linux 6.1.0, B: Linux 7.0)"),
        (lambda e: e.update(python="3.14.1"), "Python (A: 3.11.7, B: 3.14.1)"),
        (lambda e: e["packages"].update(locust="3.0"), "package locust (A: 2.47.0, B: 3.0)"),
        (lambda e: e["packages"].update(uvloop="1"), "package uvloop (A: none, B: 1)"),
        (lambda e: e.update(variables={"MALLOC_ARENA_MAX": "1"}), "variable MALLOC_ARENA_MAX (A: none, B: 1)"),
        (lambda e: e.update(code={"loadgen": "12ab"}), "load generator's code (A: not recorded, B: 12ab)"),
        (lambda e: e.clear(), "environment (A: recorded, B: not recorded)"),
    ],
)
def test_unlike_environments_are_refused_with_both_values(
    two: Comparison, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    found = replace(two, unlike=comparison_differences.unlike(two.a, elsewhere(two.b, change)))
    assert words in comparison.refusal(found)
    assert comparison.refusal(found).endswith("--force compares all the same")
    assert comparison.refusal(found).count(" (A: ") == 1


def test_a_difference_of_the_environment_alone_is_found_by_the_comparison(
    run: Path, later: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(later, tmp_path / "other"))
    document = json.loads((other / "run.json").read_text())
    document["environment"]["kernel"] = "Linux 7.0"
    (other / "run.json").write_text(json.dumps(document))
    assert [difference.name for difference in compare(str(run), str(other)).unlike] == ["kernel"]


def test_other_code_of_the_servers_is_told_and_not_refused(two: Comparison) -> None:
    a = elsewhere(two.a, lambda e: e.update(code={"servers": "aa", "harness": "h", "loadgen": "l"}))
    b = elsewhere(two.b, lambda e: e.update(code={"servers": "bb", "harness": "i", "loadgen": "l"}))
    assert comparison_differences.unlike(a, b) == ()
    assert [difference.words for difference in comparison_differences.told(a, b)] == [
        "servers' code (A: aa, B: bb)",
        "harness's code (A: h, B: i)",
    ]


def test_other_windows_and_another_pinning_are_matched_and_refused(run: Path, tmp_path: Path) -> None:
    other = make_run(
        tmp_path / "other", [FAST], Setting(rounds=6, seed=3, conditions=({"window_s": 9.0, "pin": "none"},))
    ).folder
    found = compare(str(run), str(other))
    assert [difference.words for difference in found.unlike] == [
        "pin (A: 0:1, B: none)",
        "window_s (A: 1.5, B: 9.0)",
    ]
    assert {row.match.label for row in found.rows} == {"TCP, 64 B, 64 connections"}


def test_labels_name_what_tells_the_conditions_apart_and_nothing_else(tmp_path: Path) -> None:
    quiet, sleepy = {"loads": ["closed"], "connections": 8}, {"work": "wait:5ms"}
    folder = make_run(tmp_path / "one", QUICK, Setting(rounds=6, conditions=(quiet, sleepy))).folder
    found = compare(f"{folder}:model=thread", f"{folder}:model=asyncio")
    labels = {row.match.label for row in found.rows}
    assert labels == {
        "TCP, 64 B, 8 connections, server on CPU 0",
        "TCP, 64 B, 64 connections, server on CPU 0, work wait:5ms",
    }


def test_another_load_is_no_counterpart_and_said(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", [FAST], Setting(rounds=6, seed=3, loads=("closed", "open:900"))).folder
    found = compare(str(run), str(other))
    assert {row.window for row in found.rows} == {"closed load", ""}
    assert any("A alone has open load, 2,000 requests/s" in text for text in found.missing)
    assert any("B alone has open load, 900 requests/s" in text for text in found.missing)


def test_servers_under_another_interpreter_are_refused(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", [replace(FAST, python="3.13.1")], Setting(rounds=6, seed=3)).folder
    assert "Python of the server (A: 3.11.7, B: 3.13.1)" in comparison.refusal(compare(str(run), str(other)))


# What is shown beside the figures, and bad input.


def test_a_generator_limited_model_is_a_bound(tmp_path: Path) -> None:
    limited = replace(FAST, closed_verdict=LimitedBy.GENERATOR, throughput_per_s=90_000)
    folder = make_run(tmp_path / "run", [limited, SLOW], Setting(rounds=6)).folder
    row = of(compare(f"{folder}:model=thread", f"{folder}:model=asyncio"), "throughput")
    assert (row.finding.verdict, row.finding.sign) == (Verdict.UNCLEAR, ">= ")


def test_a_model_that_leaves_requests_unanswered_is_slower_and_its_warning_is_there(tmp_path: Path) -> None:
    leaky = replace(FAST, unanswered_share=0.02, warnings=(warning(WarningKind.STEAL, share=0.1),))
    folder = make_run(tmp_path / "run", [leaky, SLOW], Setting(rounds=6)).folder
    found = compare(f"{folder}:model=thread", f"{folder}:model=asyncio")
    row = of(found, "response p99", "open load, 2,000 requests/s")
    assert row.finding.verdict is Verdict.SLOWER
    assert row.b.warnings == {"steal": 6, "unanswered": 6}
    assert row.a.warnings == {}


def test_failed_cells_are_told_and_take_no_part(tmp_path: Path) -> None:
    models = [replace(FAST, failed_rounds=(2,)), SLOW]
    folder = make_run(tmp_path / "run", models, Setting(rounds=6)).folder
    found = compare(f"{folder}:model=thread", f"{folder}:model=asyncio")
    assert sorted(of(found, "throughput").b.values) == [1, 3, 4, 5, 6]
    assert any(text.startswith("B: asyncio failed in 1 of 6 rounds: ") for text in found.missing)


def test_a_cell_that_is_cut_short_is_told(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    broken = sorted((folder / "cells").glob("*-thread-*"))[0]
    broken.write_text(broken.read_text()[:500])
    found = compare(f"{folder}:model=thread", f"{folder}:model=asyncio")
    assert any("cut short" in text for text in found.missing)
    assert len(of(found, "throughput").a.values) == 5


@pytest.fixture(scope="module")
def names(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The run, a copy of it, and an empty run."""
    folder = tmp_path_factory.mktemp("others")
    shutil.copytree(run, folder / "copy")
    return {"run": run, "copy": folder / "copy", "empty": make_run(folder / "empty", []).folder}


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("{run}", "{run}", "hold the same cells"),
        ("{run}", "{run}/../six", "hold the same cells"),
        ("{run}:model=thread", "{run}", "hold the same cells"),
        ("{run}", "{copy}", "one is a copy"),
        ("{run}:model=asyncio", "{copy}:model=asyncio", "one is a copy"),
        ("{run}:model=fork", "{run}:model=thread", "no cell has model=fork; there is asyncio, thread or selectors"),
        ("{run}:python=3.9", "{run}:python=3.13", "side A, {run}:python=3.9, selects nothing: no cell has python=3.9"),
        ("{run}:colour=red", "{run}:colour=blue", "'colour' is no key of its scenarios; these are connections, loads"),
        ("{run}:model=asyncio:model=thread", "{run}", "gives a key twice"),
        ("{run}:model=asyncio", "{empty}", "holds no cell that can be read"),
    ],
)
def test_sides_that_can_not_be_compared_are_refused_with_the_reason(
    names: Mapping[str, Path], first: str, second: str, words: str
) -> None:
    one, other = (text.format_map(names) for text in (first, second))
    with pytest.raises(ComparisonError) as refused:
        compare(one, other)
    assert words.format_map(names) in str(refused.value)


def test_two_models_of_two_runs_can_be_compared(run: Path, later: Path) -> None:
    found = compare(f"{run}:model=asyncio", f"{later}:model=thread")
    assert (found.varied, found.paired) == ({"model"}, False)
    assert {row.match.models for row in found.rows} == {("asyncio", "thread")}


def test_runs_of_nothing_in_common_are_refused(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", [FAST], Setting(conditions=({"connections": 7},))).folder
    with pytest.raises(ComparisonError, match="have no scenario in common: B has nothing to compare with"):
        compare(str(run), str(other))


def test_a_path_that_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match="is no run folder"):
            compare(str(run), str(path))
    other = make_run(tmp_path / "new", []).folder
    (other / "run.json").write_text(json.dumps({"schema": "echobench.run/9"}))
    with pytest.raises(SchemaError, match=r"echobench\.run/9"):
        compare(str(run), str(other))


def test_a_folder_whose_name_looks_like_a_selection_is_a_folder(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd:model=thread"
    folder.mkdir()
    assert parse(str(folder)).selection == {}
    assert parse(f"{folder}:model=asyncio").path == folder
    assert parse(f"{tmp_path}:model=asyncio").selection == {"model": "asyncio"}
