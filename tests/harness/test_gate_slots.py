"""What a cell says of an arm: its figures, whose failure it is, and what the machine did to it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from harness.bench import Bench
from harness.gate.arms import Build
from harness.gate.slots import Measured, Point, measure_slot, measured
from harness.pinning import Pinning
from harness.schema import Cell
from harness.schema.gate import Arm, Metric
from tests.harness.fake_loadgen import window_record
from tests.harness.gates import APART, BUILDS
from tests.harness.programs import ALLOWED_CPUS, make_scenario

SHARED = Pinning((0,), (0,), pinned=True)


def a_cell(loads: tuple[str, ...] = ("closed", "open:1000"), failure: str | None = None, **window: Any) -> Cell:
    """Return a cell with windows of a second; what is named is otherwise in each of them."""
    of_the_harness = {"server", "limited_by", "warnings"}
    seen = {name: value for name, value in window.items() if name not in of_the_harness}
    side = {"cpu_us_per_request": 12.5, "stolen_s": 0.0, "cpus": [0]}
    harness = {"limited_by": "server", "warnings": [], "steal_s": 0.0, "loadgen": side, "kernel": {}}
    harness |= {"server": side | window.get("server", {})}
    harness |= {name: window[name] for name in ("limited_by", "warnings") if name in window}
    cell = {
        "load": {"windows": [window_record(load, 0, 10**9, 1.0) | seen for load in loads]},
        "windows": [harness for _ in loads],
        "server": {"ready": {"code": "abc"}, "exit_code": 0, "command": ["python"]},
        "started": "now",
        "failure": failure,
    }
    return cast(Cell, cell)


def a_failed_cell(failure: str, exit_code: int | None = None, *, ready: bool = True) -> Cell:
    """Return a cell that failed before there was a record."""
    server = {"ready": {"code": "abc"} if ready else None, "exit_code": exit_code, "command": ["python"]}
    return cast(Cell, {"load": None, "windows": [], "server": server, "started": "now", "failure": failure})


def said(cell: Cell, pinning: Pinning = APART, transport: str = "tcp", build: Build = BUILDS[Arm.HEAD]) -> Measured:
    """Return what a cell says."""
    return measured(cell, Point("one", make_scenario(transport=transport), pinning), build)


def test_the_closed_window_gives_costs_and_the_open_one_times() -> None:
    found = said(a_cell())
    assert found.slot.figures == {
        Metric.CPU: 12.5,
        Metric.THROUGHPUT: 5_000.0,
        Metric.P50: 80_000.0,
        Metric.P99: 400_000.0,
    }
    assert (found.slot.failure, found.slot.fault_of, found.code, found.disturbance) == (None, None, "abc", None)


def test_without_an_open_window_there_are_no_times() -> None:
    figures = said(a_cell(("closed",))).slot.figures
    assert math.isnan(figures[Metric.P50])
    assert math.isnan(figures[Metric.P99])


def test_a_figure_that_could_not_be_had_is_none_and_an_unanswered_percentile_infinite() -> None:
    times = {"response_time_ns": {"p50": None, "p99": "> 1 s"}}
    figures = said(a_cell(server={"cpu_us_per_request": None}, **times)).slot.figures
    assert math.isnan(figures[Metric.CPU])
    assert math.isnan(figures[Metric.P50])
    assert figures[Metric.P99] == math.inf


def test_a_busy_generator_is_told() -> None:
    assert said(a_cell(limited_by="generator")).slot.generator_limited
    assert not said(a_cell()).slot.generator_limited


def test_a_wrong_echo_is_the_servers_failure_over_every_transport() -> None:
    for transport in ("tcp", "udp"):
        slot = said(a_cell(errors={"corrupt": 1}), transport=transport).slot
        assert slot.failure == "the server gave 2 wrong answers: other bytes than were sent"
        assert slot.fault_of == "server"
        assert math.isnan(slot.figures[Metric.CPU])


def test_a_lost_request_is_a_failure_over_a_stream_and_none_over_udp() -> None:
    cell = a_cell(("closed",), unanswered=3)
    assert said(cell).slot.failure == "the server left 3 of 5,000 requests unanswered"
    assert said(cell, transport="udp").slot.failure is None


def test_a_connection_that_was_reset_is_a_failure() -> None:
    assert said(a_cell(("closed",), errors={"reset": 1})).slot.fault_of == "server"


@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        ("the server was not ready within 15 s; it wrote nothing to stderr", "server"),
        ("the server died with signal SIGSEGV while the load ran; it wrote nothing to stderr", "server"),
        ("the server did not stop within 10 s of SIGTERM and was killed; it wrote nothing to stderr", "server"),
        ("the load generator ended with exit code 3; its stderr ends with: no request was answered", "server"),
        ("the load generator ended with exit code 2; its stderr ends with: usage", "harness"),
        ("the load generator did not end within 60 s and was stopped; it wrote nothing to stderr", "harness"),
        ("the server can't be started: Resource temporarily unavailable", "harness"),
        ("can't be measured here: it needs more descriptors", "harness"),
    ],
)
def test_whose_failure_it_is_is_told_from_what_failed(failure: str, fault: str) -> None:
    slot = said(a_failed_cell(failure)).slot
    assert (slot.failure, slot.fault_of) == (failure, fault)


def test_a_server_that_refuses_what_it_is_asked_for_is_told_from_one_that_fails() -> None:
    assert said(a_failed_cell("the server ended with exit code 2 before it was ready", 2, ready=False)).refused
    assert not said(a_failed_cell("the server ended with exit code 1 before it was ready", 1, ready=False)).refused
    assert not said(a_failed_cell("the server died with exit code 2", 2)).refused


def test_a_failure_does_not_name_the_temporary_folder() -> None:
    build = Build(Arm.HEAD, "head", folder=Path("/tmp/echobench-gate-1/head"))
    failure = 'the server died; its stderr ends with: File "/tmp/echobench-gate-1/head/servers/acceptor.py", line 3'
    assert said(a_failed_cell(failure), build=build).slot.failure == failure.replace("/tmp/echobench-gate-1/head/", "")


def test_steal_and_pauses_disturb_a_slot_beyond_a_twentieth_of_a_window() -> None:
    assert said(a_cell(server={"stolen_s": 0.05})).disturbance is None
    assert said(a_cell(server={"stolen_s": 0.06})).disturbance == "the hypervisor took 6% of a window"
    pauses = {"count": 3, "max_ns": 10**7}
    assert said(a_cell(pauses=pauses | {"total_ns": 5 * 10**7})).disturbance is None
    stopped = said(a_cell(pauses=pauses | {"total_ns": 7 * 10**7}))
    assert stopped.disturbance == "the machine stopped the load generator for 7% of a window"


def test_where_the_sides_share_a_cpu_pauses_may_be_the_servers_and_disturb_nothing() -> None:
    pauses = {"pauses": {"count": 3, "total_ns": 10**8, "max_ns": 10**7}}
    assert said(a_cell(**pauses), pinning=SHARED).disturbance is None
    assert said(a_cell(server={"stolen_s": 0.06}), pinning=SHARED).disturbance is not None


def test_a_slot_is_measured_with_the_server_of_its_arm(bench: Bench, tmp_path: Path) -> None:
    fake = (Path(__file__).parent / "fake_servers.py").read_text(encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        source = fake.replace("config={", f"code={name!r}, config={{")
        (tmp_path / name / "fake_servers.py").write_text(source, encoding="utf-8")
    tools = replace(bench.tools, servers=(bench.tools.servers[0], "-m", "fake_servers"))
    point = Point("good", make_scenario(), Pinning(ALLOWED_CPUS, ALLOWED_CPUS, pinned=False))
    for name in ("one", "two"):
        build = Build(Arm.HEAD, name, folder=tmp_path / name)
        found = measure_slot(point, build, 1, 1, replace(bench, tools=tools))
        assert (found.slot.failure, found.code) == (None, name)
        assert found.slot.figures[Metric.THROUGHPUT] > 0
