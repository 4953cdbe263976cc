"""One cell from start to end, with programs that do as they should, and with every one that does not."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace

import pytest

from harness.bench import Bench, Deadlines, Event, SecondPassed, Tools
from harness.cell import measure_cell
from harness.interrupts import Interrupted
from harness.pinning import Pinning
from harness.schema import Cell
from tests.harness.programs import ALLOWED_CPUS, eventually, make_task, make_tools, processes_with

LOADS = ("closed", "open:2000")


def nothing_is_left() -> None:
    """Check that none of the fake programs runs any more."""
    eventually(lambda: not processes_with(f"ppid-{os.getpid()}"), "all programs are gone")


@pytest.fixture
def marked(bench: Bench) -> Bench:
    """Give a bench whose programs can be told from those of other test runs, by an unused argument."""
    return replace(bench, tools=mark("good"))


def mark(behaviour: str) -> Tools:
    """Return tools whose commands hold this process's number."""
    tools = make_tools(behaviour)
    interpreter = (tools.servers[0], "-X", f"ppid-{os.getpid()}")
    return replace(tools, servers=(*interpreter, *tools.servers[1:]), loadgen=(*interpreter, *tools.loadgen[1:]))


def measured(bench: Bench, model: str = "good", behaviour: str = "good") -> Cell:
    """Measure a cell of two short windows, and check that it can be stored and leaves nothing behind."""
    tools = mark(behaviour)
    cell = measure_cell(make_task(model=model, loads=LOADS), replace(bench, tools=tools))
    nothing_is_left()
    assert json.loads(json.dumps(cell, allow_nan=False)) == cell
    assert (cell["outcome"] == "measured") == (cell["failure"] is None)
    return cell


def test_a_good_cell_holds_everything(marked: Bench, told: list[Event]) -> None:
    cell = measured(marked)
    assert cell["failure"] is None
    assert cell["schema"] == "echobench.cell/1"
    assert cell["scenario"]["model"] == "good"
    assert cell["load"] is not None
    assert [window["load"] for window in cell["load"]["windows"]] == list(LOADS)
    for window in cell["windows"]:
        assert window["server"]["cpu_s"] is not None
        assert window["server"]["idle_fraction"] is not None
        assert window["server"]["pss_bytes"] > 1_000_000
        assert window["loadgen"]["cpu_s"] is not None
        assert window["steal_s"] is not None
    assert [window["limited_by"] for window in cell["windows"]][1] == "offered_load"
    assert cell["memory"]["bytes_per_connection"] is not None
    assert cell["series"]["processes"][0] == 1
    assert len(cell["series"]["server_rss_bytes"]) == len(cell["series"]["monotonic_ns"])
    for window in cell["windows"]:
        assert window["loadgen"]["rss_bytes"] > 1_000_000
        assert window["server"]["voluntary_switches"] is not None
        accounting = window["accounting"]
        assert accounting is not None
        assert 0 < accounting["cpu_s"] < cell["accounting"]["cpu_s"]
        missing = {f"server.{name}" for name, value in window["server"].items() if value is None}
        assert missing <= window["unavailable"].keys()
    assert cell["unavailable"] == {}
    assert cell["memory"]["connected_rss_bytes"] is not None
    for used in cell["usage"].values():
        assert used is not None
        assert used["cpu_user_s"] + used["cpu_system_s"] > 0
        assert used["voluntary_switches"] > 0
    assert cell["server"]["stopped"] is not None
    assert cell["server"]["stopped"]["messages"] == cell["load"]["requests_total"] == 240
    assert [event.load for event in told if isinstance(event, SecondPassed)] == list(LOADS)


def test_a_sweep_has_a_window_a_step_and_each_is_measured(marked: Bench, told: list[Event]) -> None:
    cell = measure_cell(make_task(loads=("closed", "sweep:2")), marked)
    assert cell["failure"] is None
    assert cell["load"] is not None
    assert [window["load"] for window in cell["load"]["windows"]] == ["closed", "open:1250", "open:3750"]
    assert [window["server"]["cpu_s"] is not None for window in cell["windows"]] == [True] * 3
    names = ["closed", "sweep 1 of 2", "sweep 2 of 2"]
    assert [event.load for event in told if isinstance(event, SecondPassed)] == names


def test_a_step_of_a_sweep_that_makes_no_sense_fails_its_cell(marked: Bench) -> None:
    cell = measure_cell(make_task(loads=("closed", "sweep:2")), replace(marked, tools=mark("stepless")))
    assert "a step of a sweep that makes no sense" in (cell["failure"] or "")


def test_the_servers_children_are_in_the_accounts_and_do_not_outlive_it(marked: Bench) -> None:
    cell = measured(marked, model="workers")
    assert cell["failure"] is None
    assert {window["server"]["processes"] for window in cell["windows"]} == {2}


def test_a_cell_that_fails_says_why_its_figures_are_missing(marked: Bench) -> None:
    cell = measured(marked, model="garbage")
    assert cell["usage"] == {"server": None, "loadgen": None}
    assert cell["unavailable"]["usage.server"] == "it did not end as it should"
    assert cell["memory"]["baseline_pss_bytes"] is None
    assert cell["unavailable"]["memory.baseline_pss_bytes"]


def test_a_server_that_counts_otherwise_makes_all_windows_doubtful(marked: Bench) -> None:
    cell = measured(marked, model="miscounts")
    for window in cell["windows"]:
        doubt = next(record for record in window["warnings"] if record["kind"] == "count_mismatch")
        assert doubt["figures"] == {"server_messages": 241, "requests_total": 240}


def test_both_sides_run_where_they_are_pinned(marked: Bench) -> None:
    first, last = ALLOWED_CPUS[0], ALLOWED_CPUS[-1]
    task = replace(make_task(), pinning=Pinning((first,), (last,), pinned=True))
    cell = measure_cell(task, marked)
    assert cell["load"] is not None
    assert cell["load"]["generator"]["cpus"] == [last]
    assert cell["windows"][0]["server"]["cpus"] == [first]
    assert os.sched_getaffinity(0) == set(ALLOWED_CPUS)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("garbage", "the server printed 'Segmentation fault? Not quite.'"),
        ("refuses", "before it was ready; its stderr ends with: servers: 127.0.0.1:9000 is in use"),
        ("fragile", "the server died with exit code 1 while the load ran; its stderr ends with: fragile: a connection"),
        ("failing", "the server ended with exit code 5 after SIGTERM"),
        ("careless", "without its stopped line"),
    ],
)
def test_a_server_that_misbehaves_fails_its_cell(marked: Bench, model: str, words: str) -> None:
    cell = measured(marked, model=model)
    assert cell["outcome"] == "failed"
    assert words in (cell["failure"] or "")


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("exit3", "the load generator ended with exit code 3; its stderr ends with: loadgen: nothing connected"),
        ("dies", "the load generator ended with signal SIGKILL"),
        ("babbles", "the load generator printed 'Traceback (most recent call last):' where a line of JSON"),
        ("nonsense", "the load generator printed an event that makes no sense"),
        ("secretive", "wrote no record"),
        ("future", "is of schema 'echobench.load/9'"),
        ("truncated", "the load generator's record can't be read"),
        ("partial", "the load generator's record lacks fairness"),
        ("confused", "holds the windows ['open:7', 'open:2000'], asked for were ['closed', 'open:2000']"),
    ],
)
def test_a_load_generator_that_misbehaves_fails_its_cell(marked: Bench, behaviour: str, words: str) -> None:
    cell = measured(marked, behaviour=behaviour)
    assert cell["outcome"] == "failed"
    assert words in (cell["failure"] or "")


def test_a_load_generator_that_hangs_is_stopped_at_its_deadline(marked: Bench) -> None:
    hurried = replace(marked, deadlines=Deadlines(load_overhead_s=-4.5))
    cell = measured(hurried, behaviour="hangs")
    assert "the load generator did not end within" in (cell["failure"] or "")


def test_a_load_generator_that_floods_its_stderr_is_not_held_up(marked: Bench) -> None:
    assert measured(marked, behaviour="floods")["failure"] is None


def test_what_was_learned_before_a_failure_is_kept(marked: Bench) -> None:
    cell = measured(marked, model="failing")
    assert cell["load"] is not None
    assert len(cell["windows"]) == 2
    assert cell["server"]["ready"] is not None
    assert cell["server"]["exit_code"] == 5


def test_an_interrupt_ends_both_programs_and_is_passed_on(marked: Bench) -> None:
    tools = mark("hangs")

    def interrupt() -> None:
        eventually(lambda: len(processes_with(f"ppid-{os.getpid()}")) == 2, "server and load generator run")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted):
        measure_cell(make_task(), replace(marked, tools=tools))
    thread.join()
    nothing_is_left()
