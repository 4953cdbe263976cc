"""A run: its folder, its order, stopping it anywhere, and going on with it."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.bench import Bench, CellFinished, CellStarted, Event, RunStarted
from harness.ceiling import Ceilings
from harness.environment import read_environment
from harness.limits import Limits
from harness.plan import Plan
from harness.plan_errors import PlanError
from harness.run import Outcome, ResumeError, Run, measure_run, new_run, resumed_run
from harness.schema import WarningKind, warning
from harness.store import StoreError, read_cells, read_run
from tests.harness.programs import ALLOWED_CPUS, make_tools, other_interpreter, small_document, small_plan

ENVIRONMENT = read_environment()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Make a run of three short cells."""
    return new_run(small_plan(), tmp_path / "runs", ENVIRONMENT, ALLOWED_CPUS)


def again(run: Run, plan: Plan | None = None, **changes: Any) -> Run:
    """Return the run as a later process finds it."""
    return resumed_run(run.folder, read_run(run.folder), plan or small_plan(), {**ENVIRONMENT, **changes}, ALLOWED_CPUS)


def contents(run: Run) -> dict[str, bytes]:
    """Return the bytes of every cell."""
    return {path.name: path.read_bytes() for path in (run.folder / "cells").iterdir()}


def test_a_run_is_stored_with_plan_environment_seed_order_and_state(run: Run, bench: Bench) -> None:
    assert measure_run(run, bench) == Outcome(measured=3)
    document = read_run(run.folder)
    assert document["plan"] == small_document()
    assert document["environment"] == ENVIRONMENT
    assert document["seed"] == 7
    assert document["state"] == "done"
    assert [entry["round"] for entry in document["order"]] == [1, 2, 3]
    assert all((run.folder / entry["file"]).is_file() for entry in document["order"])
    assert run.folder.name.endswith("-small")
    cells, problems = read_cells(run.folder)
    assert [(cell["round"], cell["outcome"]) for cell in cells] == [(n, "measured") for n in (1, 2, 3)]
    assert problems == []


def test_every_round_has_a_schedule_of_its_own_the_same_for_all_models(tmp_path: Path) -> None:
    matrix = {"model": ["good", "noisy"], "transport": ["tcp"]}
    run = new_run(small_plan(matrix=matrix), tmp_path, ENVIRONMENT, ALLOWED_CPUS)
    assert [(entry.task.round, entry.task.seed) for entry in run.entries] == [
        (1, 7),
        (1, 7),
        (2, 8),
        (2, 8),
        (3, 9),
        (3, 9),
    ]


def test_a_cell_names_the_cpus_that_auto_stands_for(tmp_path: Path) -> None:
    defaults = {**small_document()["defaults"], "pin": "auto"}
    run = new_run(small_plan(defaults=defaults), tmp_path, ENVIRONMENT, (0, 1))
    assert {entry.task.scenario.pin for entry in run.entries} <= {"0:1", "0:0"}
    assert read_run(run.folder)["plan"]["defaults"]["pin"] == "auto"


def test_a_cpu_that_there_is_not_is_told_before_anything_is_made(tmp_path: Path) -> None:
    defaults = {**small_document()["defaults"], "pin": "0:4711"}
    with pytest.raises(PlanError, match="plan small: pin '0:4711' names CPU 4711"):
        new_run(small_plan(defaults=defaults), tmp_path / "runs", ENVIRONMENT, ALLOWED_CPUS)
    assert not (tmp_path / "runs").exists()


def test_an_observer_is_told_of_every_cell_and_the_time_left(run: Run, bench: Bench, told: list[Event]) -> None:
    measure_run(run, bench)
    assert isinstance(told[0], RunStarted)
    assert (told[0].total, told[0].done) == (3, 0)
    assert [event.number for event in told if isinstance(event, CellStarted)] == [1, 2, 3]
    left = [event.seconds_left for event in told if isinstance(event, CellFinished)]
    assert left[0] > left[1] > left[2] == 0


def test_a_failed_cell_does_not_stop_the_run(tmp_path: Path, bench: Bench) -> None:
    matrix = {"model": ["good", "refuses"], "transport": ["tcp"]}
    run = new_run(small_plan(matrix=matrix, rounds=1), tmp_path, ENVIRONMENT, ALLOWED_CPUS)
    outcome = measure_run(run, bench)
    assert outcome.measured == 1
    assert list(outcome.failures) == ["refuses-tcp round 1"]
    assert "in use" in outcome.failures["refuses-tcp round 1"]
    assert len(read_cells(run.folder)[0]) == 2


def test_what_failed_was_cut_short_or_is_missing_is_measured_again_and_nothing_else(run: Run, bench: Bench) -> None:
    broken = replace(bench, tools=make_tools("exit3"))
    assert len(measure_run(run, broken).failures) == 3
    assert measure_run(again(run), bench) == Outcome(measured=3)
    before = contents(run)
    first, second, third = sorted(before)
    (run.folder / "cells" / second).write_bytes(before[second][:-10])
    (run.folder / "cells" / third).unlink()
    assert measure_run(again(run), bench) == Outcome(measured=3)
    after = contents(run)
    assert after[first] == before[first]
    assert after[second] != before[second]
    assert read_cells(run.folder)[1] == []
    assert len(after) == 3


def test_a_finished_run_that_is_resumed_stays_as_it_is(run: Run, bench: Bench) -> None:
    measure_run(run, bench)
    before, document = contents(run), read_run(run.folder)
    assert measure_run(again(run), bench) == Outcome(measured=3)
    assert contents(run) == before
    assert read_run(run.folder) == document


def test_an_interrupted_run_keeps_its_cells_and_is_completed_later(run: Run, bench: Bench) -> None:
    def interrupt_in_second(event: Event) -> None:
        if isinstance(event, CellStarted) and event.number == 2:
            os.kill(os.getpid(), signal.SIGINT)

    outcome = measure_run(run, replace(bench, tell=interrupt_in_second))
    assert outcome == Outcome(measured=1, interrupted=True)
    assert read_run(run.folder)["state"] == "interrupted"
    before = contents(run)
    assert len(before) == 1
    assert measure_run(again(run), bench) == Outcome(measured=3)
    assert read_run(run.folder)["state"] == "done"
    assert contents(run).items() >= before.items()


def test_another_plan_is_refused(run: Run) -> None:
    with pytest.raises(ResumeError, match=r"another plan \(it differs in seed\): start a new run"):
        again(run, small_plan(seed=8))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel": "Linux 99"}, "kernel"),
        ({"code": {"servers": "changed"}}, "code"),
        ({"cpu": {**ENVIRONMENT["cpu"], "model": "Another"}}, "CPU"),
    ],
)
def test_another_machine_or_code_is_refused(run: Run, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ResumeError, match=rf"other conditions \(it differs in {words}\)"):
        again(run, **changes)


def test_what_can_not_be_stored_ends_the_run_with_its_path(run: Run, bench: Bench) -> None:
    (run.folder / "cells").rmdir()
    with pytest.raises(StoreError, match=r"cells/000-good-tcp-r1\.json can't be written: No such file"):
        measure_run(run, bench)
    assert json.loads((run.folder / "run.json").read_text(encoding="utf-8"))["state"] == "running"


def test_combinations_that_are_left_out_are_told_and_stored(tmp_path: Path, bench: Bench, told: list[Event]) -> None:
    servers = {"mine": {"command": ["/no/such/server"]}}
    matrix = {"model": ["mine"], "transport": ["tcp", "udp"]}
    run = new_run(small_plan(servers=servers, matrix=matrix, rounds=1), tmp_path, ENVIRONMENT, ALLOWED_CPUS)
    outcome = measure_run(run, bench)
    assert list(outcome.failures) == ["mine-tcp round 1"]
    assert isinstance(told[0], RunStarted)
    assert told[0].notes == ("left out: mine-udp: [servers.mine] does not speak udp",)
    assert read_run(run.folder)["left_out"] == ["mine-udp: [servers.mine] does not speak udp"]


def few_descriptors() -> dict[str, Any]:
    """Return the changes that make a plan of two sizes, of which 70 descriptors allow one."""
    return {"matrix": {"model": ["good"], "transport": ["tcp"], "connections": [2, 100]}, "rounds": 2}


def test_what_the_limits_forbid_is_said_stored_with_its_reason_and_never_started(
    tmp_path: Path, bench: Bench, told: list[Event]
) -> None:
    known = Limits(open_files=70)
    run = new_run(small_plan(**few_descriptors()), tmp_path, ENVIRONMENT, ALLOWED_CPUS, limits=known)
    outcome = measure_run(run, bench)
    assert outcome.measured == 2
    assert list(outcome.failures) == [f"good-tcp-connections_100 round {number}" for number in (1, 2)]
    reason = run.document["impossible"]["good-tcp-connections_100"]
    assert reason.startswith("100 connections take 164 descriptors of the load generator")
    assert set(outcome.failures.values()) == {f"can't be measured here: {reason}"}
    assert isinstance(told[0], RunStarted)
    assert told[0].notes == (
        f"can't be measured here: good-tcp-connections_100: {reason}",
        "this machine allows 70 descriptors a process",
    )
    document = read_run(run.folder)
    assert document["limits"] == known.as_dict()
    assert document["impossible"] == {"good-tcp-connections_100": reason}
    cells, _ = read_cells(run.folder)
    failed = [cell for cell in cells if cell["outcome"] == "failed"]
    assert [(cell["load"], cell["server"]["ready"]) for cell in failed] == [(None, None)] * 2
    assert {cell["failure"] for cell in failed} == {f"can't be measured here: {reason}"}
    assert [event.seconds_left for event in told if isinstance(event, CellFinished)][-1] == 0


def test_cells_that_were_impossible_are_measured_when_the_limits_are_raised(tmp_path: Path, bench: Bench) -> None:
    plan = small_plan(**few_descriptors())
    run = new_run(plan, tmp_path, ENVIRONMENT, ALLOWED_CPUS, limits=Limits(open_files=70))
    measure_run(run, bench)
    before = contents(run)
    resumed = resumed_run(
        run.folder, read_run(run.folder), plan, ENVIRONMENT, ALLOWED_CPUS, limits=Limits(open_files=1_000)
    )
    assert measure_run(resumed, bench) == Outcome(measured=4)
    assert read_run(run.folder)["impossible"] == {}
    same = [name for name, cell in contents(run).items() if before[name] == cell]
    assert len(same) == 2
    assert all("connections_2-" in name for name in same)


def test_an_interpreter_is_what_the_server_runs_under_and_what_it_lacks_fails_its_cell(
    tmp_path: Path, bench: Bench
) -> None:
    matrix = {"model": ["good"], "transport": ["tcp", "udp"], "python": ["3.13"]}
    run = new_run(small_plan(matrix=matrix, rounds=1), tmp_path, ENVIRONMENT, ALLOWED_CPUS)
    assert {entry.task.interpreter for entry in run.entries} == {other_interpreter("3.13")}
    outcome = measure_run(run, bench)
    assert outcome.failures == {
        "good-udp round 1": "can't be measured here: transport udp is not available under 3.13: it has no datagrams"
    }
    assert outcome.measured == 1


def test_a_cell_near_the_ceiling_of_a_calibration_is_marked_on_disk(run: Run, bench: Bench, told: list[Event]) -> None:
    known = Ceilings({("none", "tcp", False): 50_000.0}, notes=("an old calibration is not used",))
    measure_run(run, replace(bench, ceilings=known))
    cells, _ = read_cells(run.folder)
    for cell in cells:
        (window,) = cell["windows"]
        assert window["warnings"][-1] == warning(
            WarningKind.NEAR_CEILING, throughput_per_s=50_000, ceiling_per_s=50_000
        )
    assert isinstance(told[0], RunStarted)
    assert told[0].notes == ("an old calibration is not used",)


def test_one_cpu_for_both_sides_is_told(tmp_path: Path, bench: Bench, told: list[Event]) -> None:
    cpu = ALLOWED_CPUS[0]
    defaults = {**small_document()["defaults"], "pin": f"{cpu}:{cpu}"}
    measure_run(new_run(small_plan(defaults=defaults, rounds=1), tmp_path, ENVIRONMENT, ALLOWED_CPUS), bench)
    assert isinstance(told[0], RunStarted)
    assert told[0].notes == (f"server and load generator share CPU {cpu}: their figures are of both",)
