"""Calibrating: what is measured in which order, what is stored, and what goes wrong in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from harness import calibrate, calibration, cli
from harness.bench import Bench, Tools
from harness.calibrate import Effort, Servers, Wanted, choose_servers, read_wanted, steps
from harness.catalogue import Catalogue, CatalogueError
from harness.ceiling import read_ceilings
from harness.environment import read_environment
from harness.pinning import Pinning
from harness.plan_errors import PlanError
from harness.reference_server import Opponent
from harness.store import read_calibration
from tests.harness.calibrations import document
from tests.harness.programs import ALLOWED_CPUS, catalogue, eventually, make_tools, processes_with, python
from tests.harness.reference import needs_a_compiler

SHORT = Effort(rounds=1, window_s=0.1, slots=2, lengths_s=(0.05, 0.1), warmup_s=0.0, between_s=0.0, connections=2)
PINNED = Pinning(ALLOWED_CPUS[:1], ALLOWED_CPUS[-1:], pinned=True)
SERVERS = Servers({"tcp": Opponent("fast"), "udp": Opponent("faster")}, Opponent("usual"))


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take the compilers away: the fake load generator does not speak what the reference servers do."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, no_compiler: None) -> None:
    """Make `--quick` as quick as can be."""
    monkeypatch.setattr(calibrate, "QUICK", SHORT)


def test_a_round_holds_ceilings_timing_and_neighbour_and_the_noise_comes_last() -> None:
    planned = steps(SERVERS, replace(SHORT, rounds=3))
    rounds, noise = planned[:24], planned[24:]
    for number in (1, 2, 3):
        own = [step for step in rounds if step.round == number]
        assert sorted((step.part, step.transport, step.opponent.name, step.spin) for step in own) == [
            (part, transport, name, spin)
            for part, transport, name in (
                ("ceiling", "tcp", "fast"),
                ("ceiling", "udp", "faster"),
                ("neighbour", "tcp", "usual"),
                ("timing", "tcp", "fast"),
            )
            for spin in (False, True)
        ]
    assert [(step.part, step.window_s, len(step.loads)) for step in noise] == [
        ("noise", 0.05, 2),
        ("noise", 0.05, 2),
        ("noise", 0.1, 2),
        ("noise", 0.1, 2),
    ]


def test_sleeping_and_spinning_are_measured_back_to_back_the_first_in_turn() -> None:
    planned = steps(SERVERS, replace(SHORT, rounds=2))
    pairs = list(zip(planned[::2], planned[1::2], strict=True))
    assert all(replace(one, spin=other.spin) == other != one for one, other in pairs)
    assert {one.spin for one, _ in pairs if one.round == 1 and one.part != "noise"} == {False}
    assert {one.spin for one, _ in pairs if one.round == 2} == {True}


def test_rounds_differ_in_their_order_and_calibrations_do_not() -> None:
    planned = steps(SERVERS, replace(SHORT, rounds=5))
    orders = {tuple(step.part + step.transport for step in planned if step.round == number) for number in range(2, 6)}
    assert len(orders) > 1
    assert steps(SERVERS, replace(SHORT, rounds=5)) == planned


def test_over_all_transports_the_quick_one_takes_about_a_minute_and_the_full_one_three_and_a_half() -> None:
    servers = replace(SERVERS, fastest={**SERVERS.fastest, "ws": Opponent("fastest")})

    def minutes(effort: Effort) -> float:
        cells = [
            len(step.loads) * (step.window_s + step.warmup_s) + calibrate.STARTING_S for step in steps(servers, effort)
        ]
        return sum(cells) / 60

    assert 1.0 < minutes(calibrate.QUICK) < 1.5
    assert 3.0 < minutes(calibrate.FULL) < 4.0


@needs_a_compiler
def test_each_transport_has_its_own_fastest_server(tmp_path: Path) -> None:
    servers, notes = choose_servers(catalogue(), ["tcp", "udp", "ws"], tmp_path)
    assert notes == []
    found = {transport: opponent.name for transport, opponent in servers.fastest.items()}
    assert found == {"tcp": "echo_server.c", "udp": "udp_echo_server.c", "ws": "ws_echo_server.c"}


def test_without_a_reference_server_our_fastest_takes_its_place(no_compiler: None, tmp_path: Path) -> None:
    servers, notes = choose_servers(catalogue(), ["tcp", "udp"], tmp_path)
    assert servers == Servers({"tcp": Opponent("good"), "udp": Opponent("good")}, Opponent("good"))
    assert "there is no C compiler" in notes[0]


def test_without_any_model_there_is_nothing_to_measure_against(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no model is available here"):
        choose_servers(Catalogue((), ()), ["tcp"], tmp_path)
    with pytest.raises(CatalogueError, match="no transport is available here"):
        read_wanted(SHORT, "none", None, Catalogue((), ()))


@pytest.mark.parametrize(
    ("pin", "transports", "words"),
    [
        ("x", None, r"--pin in the command line is 'x'; allowed is \"auto\""),
        ("0:4711", None, "pin '0:4711' names CPU 4711"),
        ("none", ["tcpp"], r"--transports names the unknown transport 'tcpp' \(did you mean 'tcp'\?\)"),
    ],
)
def test_what_makes_no_sense_is_refused(pin: str, transports: list[str] | None, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        read_wanted(SHORT, pin, transports, catalogue())


def test_without_transports_all_that_are_available_are_wanted() -> None:
    assert read_wanted(SHORT, "none", None, catalogue()).transports == ("tcp", "udp")
    assert read_wanted(SHORT, "none", ["udp", "udp"], catalogue()).transports == ("udp",)


def test_a_calibration_holds_every_window_raw_with_what_it_was_made_on(bench: Bench, no_compiler: None) -> None:
    told: list[str] = []
    found = calibrate.calibrate(Wanted(SHORT, PINNED, ("tcp",)), catalogue(), bench, told.append)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["schema"], found["pin"]) == ("echobench.calibration/1", PINNED.text)
    assert found["environment"]["code"]["loadgen"]
    slots = calibration.slots_from(found)
    assert [(slot.part, slot.spin) for slot in slots if slot.part == "noise"] == [
        ("noise", False),
        ("noise", False),
        ("noise", True),
        ("noise", True),
        ("noise", True),
        ("noise", True),
        ("noise", False),
        ("noise", False),
    ]
    timing = [slot for slot in slots if slot.part == "timing"]
    assert {(slot.load, slot.send_lateness_p50_ns, slot.spin) for slot in timing} == {
        ("open:2000:constant", 80_000, False),
        ("open:2000:constant", 80_000, True),
    }
    assert all(slot.server_cpu_us_per_request is not None for slot in slots if slot.part == "neighbour")
    assert found["failures"] == []
    assert "there is no C compiler" in told[0]
    assert told[-11].startswith("10 cells, about ")
    assert told[-1].startswith("[10/10] noise tcp 0.1 s, ")


def test_a_cell_that_fails_is_told_and_the_others_are_measured(bench: Bench) -> None:
    servers, told = Servers({"tcp": Opponent("refuses")}, Opponent("good")), list[str]()
    found = calibrate.measure(servers, Wanted(replace(SHORT, lengths_s=()), PINNED, ("tcp",)), bench, told.append)
    assert [slot.part for slot in found.slots] == ["neighbour", "neighbour"]
    assert len(found.failures) == 4
    assert all("against refuses, round 1: the server ended with exit code 2" in sentence for sentence in found.failures)
    assert sum("FAILED: the server ended" in line for line in told) == 4


def run(folder: Path, behaviour: str = "good", *words: str, tools: Tools | None = None) -> int:
    """Run the command with fakes."""
    command = ["calibrate", "--quick", "--transports", "tcp", "--pin", PINNED.text, "--results", str(folder), *words]
    return cli.main(command, tools or make_tools(behaviour))


def test_the_command_stores_what_it_found_and_says_what_it_means(
    tmp_path: Path, short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results" / "calibration"
    assert run(folder) == 0
    (path,) = folder.iterdir()
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(path)
    assert "the load generator on this machine" in said.out
    assert "send lateness" in said.out
    assert "[ 1/10] " in said.err
    assert read_calibration(path)["pin"] == PINNED.text
    found = read_ceilings(folder, read_environment())
    assert found.notes == ()


def test_a_calibration_takes_the_place_of_the_one_before_of_its_machine_and_pinning(tmp_path: Path) -> None:
    first = calibrate.store(document(started="2026-01-02"), tmp_path)
    assert calibrate.store(document(started="2026-01-03"), tmp_path) == first
    assert read_calibration(first)["started"] == "2026-01-03"
    calibrate.store(document(pin="1:0"), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_stored_where_nothing_could_be_measured(
    tmp_path: Path, short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = replace(make_tools("good"), servers=tuple(python(LISTS_BUT_DOES_NOT_SERVE)))
    assert run(tmp_path / "calibration", tools=tools) == 3
    assert list((tmp_path / "calibration").iterdir()) == []
    error = capsys.readouterr().err
    assert "echobench: not measured: ceiling tcp, sleeping, against only, round 1: the server ended" in error
    assert "nothing could be measured, and nothing is stored" in error


def test_a_folder_that_can_not_be_written_to_is_told_before_anything_is_measured(
    tmp_path: Path, short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert run(tmp_path / "file" / "calibration") == 3
    error = capsys.readouterr().err
    assert "can't be written to: Not a directory" in error
    assert "cells" not in error


def test_a_mistake_on_the_command_line_is_a_usage_error(
    tmp_path: Path, short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "good", "--pin", "0:4711") == 2
    assert capsys.readouterr().err.startswith("echobench: pin '0:4711' names CPU 4711")


def test_an_interrupt_stores_nothing_and_leaves_nothing_behind(
    tmp_path: Path, short: None, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes, mark = make_tools("hangs"), f"calibrating-{os.getpid()}"
    tools = replace(
        fakes,
        servers=(fakes.servers[0], "-X", mark, *fakes.servers[1:]),
        loadgen=(fakes.loadgen[0], "-X", mark, *fakes.loadgen[1:]),
    )

    def interrupt() -> None:
        eventually(lambda: len(processes_with(mark)) == 2, "server and load generator run")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert run(tmp_path / "calibration", tools=tools) == 130
    thread.join()
    assert "interrupted: the calibration is not stored" in capsys.readouterr().err
    assert list((tmp_path / "calibration").iterdir()) == []
    eventually(lambda: not processes_with(mark), "all programs are gone")


LISTS_BUT_DOES_NOT_SERVE = """
import json, sys
if "--list" not in sys.argv:
    sys.exit("no luck")
models, transports = ([{"name": name, "summary": "", "available": True, "reason": None}] for name in ("only", "tcp"))
print(json.dumps({"schema": "echobench.list/1", "models": models, "transports": transports}))
"""
REAL = """
import sys
from harness import calibrate, cli
calibrate.QUICK = calibrate.Effort(1, 0.1, 2, lengths_s=(0.1,), warmup_s=0.0, between_s=0.0, connections=4)
sys.exit(cli.main(["calibrate", "--quick", "--transports", "tcp,ws", "--results", sys.argv[1]]))
"""


def test_the_real_programs_are_calibrated(tmp_path: Path) -> None:
    command = [sys.executable, "-c", REAL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    slots = calibration.slots_from(read_calibration(path))
    assert {slot.part for slot in slots} == {"ceiling", "timing", "noise", "neighbour"}
    assert {slot.transport for slot in slots if slot.part == "ceiling"} == {"tcp", "ws"}
    assert all(slot.throughput_per_s > 0 for slot in slots)
    assert {slot.spin for slot in slots} == {False, True}
