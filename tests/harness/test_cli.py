"""The `echobench` command from the outside: what it prints, its exit codes, and what it leaves behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import analysis
from harness.cli import main
from harness.environment import ROOT
from harness.schema import RUN_SCHEMA
from harness.store import read_cells, read_run, write_run
from tests.harness.programs import eventually, make_tools, processes_with, small_document, write_toml

# `echobench` with the fake programs; the mark tells their processes from those of other test runs.
ECHOBENCH = """
import sys
from dataclasses import replace
from harness.cli import main
from tests.harness.programs import make_tools
tools = make_tools(sys.argv[1])
marked = lambda command: (command[0], "-X", sys.argv[2], *command[1:])
sys.exit(main(sys.argv[3:], replace(tools, servers=marked(tools.servers), loadgen=marked(tools.loadgen))))
"""


class Echobench:
    """Starts the command with a mark of its own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "runs"
        self.mark = f"mark-{os.getpid()}-{folder.name}"

    def plan(self, **changes: Any) -> str:
        """Write the small plan with changes and return its path."""
        return str(write_toml(self.folder / "small.toml", small_document(**changes)))

    def start(self, *words: str, behaviour: str = "good", results: Path | None = None) -> subprocess.Popen[str]:
        """Start `echobench run` with these words."""
        command = [sys.executable, "-c", ECHOBENCH, behaviour, self.mark, "run", *words]
        command += ["--results", str(results or self.results)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=environment
        )

    def run(self, *words: str, behaviour: str = "good", results: Path | None = None) -> tuple[int, str, str]:
        """Run `echobench run` to its end; return exit code, stdout and stderr, and check that it left nothing."""
        with self.start(*words, behaviour=behaviour, results=results) as process:
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        self.nothing_is_left()
        return process.returncode, out, err

    def nothing_is_left(self) -> None:
        """Check that no program is left."""
        eventually(lambda: not processes_with(self.mark), "all programs are gone")

    def run_folder(self) -> Path:
        """Return the only run folder."""
        (folder,) = self.results.iterdir()
        return folder

    def cells(self) -> dict[str, bytes]:
        """Return the bytes of every stored cell."""
        return {path.name: path.read_bytes() for path in (self.run_folder() / "cells").glob("[0-9]*.json")}


@pytest.fixture
def echobench(tmp_path: Path) -> Echobench:
    """Give the command a folder."""
    return Echobench(tmp_path)


def model(*names: str) -> dict[str, Any]:
    """Return the change that measures these models."""
    return {"matrix": {"model": list(names), "transport": ["tcp"]}}


def test_all_cells_measured_is_0_and_the_last_line_is_the_folder(echobench: Echobench) -> None:
    code, out, err = echobench.run(echobench.plan())
    assert code == 0
    assert out.splitlines()[-1] == str(echobench.run_folder())
    lines = err.splitlines()
    assert lines[0].startswith("plan small: 3 cells, about ")
    assert [line[:5] for line in lines[2:]] == ["[1/3]", "[2/3]", "[3/3]"]


def test_a_calibration_that_can_not_be_used_is_told_and_the_run_goes_on(echobench: Echobench, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"schema": "echobench.cal', encoding="utf-8")
    code, _, err = echobench.run(echobench.plan(rounds=1), "--calibrations", str(tmp_path))
    assert code == 0
    assert "broken.json is damaged or cut short" in err
    assert "; it is not used\n" in err


def test_some_cells_failed_is_1_and_they_are_named(echobench: Echobench) -> None:
    code, out, err = echobench.run(echobench.plan(rounds=1, **model("good", "refuses")))
    assert code == 1
    assert "echobench: 1 of 2 cells failed:\n  refuses-tcp round 1: the server ended with exit code 2" in err
    assert out.splitlines()[-1] == str(echobench.run_folder())


def test_nothing_measured_is_3(echobench: Echobench) -> None:
    code, _, err = echobench.run(echobench.plan(rounds=1, **model("refuses")))
    assert code == 3
    assert "1 of 1 cells failed" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no-such-plan"], "there is no plan 'no-such-plan'"),
        (["--models", "god"], "--models names 'god'"),
        (["--transports", "ws"], "--transports names 'ws'"),
        (["--rounds", "0"], "--rounds in the command line is 0"),
        (["--rounds", "many"], "invalid int value: 'many'"),
        (["--models", ","], "names nothing"),
        (["--speed", "9"], "unrecognized arguments: --speed 9"),
        (["--resume"], "there is no run in"),
        (["--resume", "yesterday"], "yesterday is no run folder"),
    ],
)
def test_a_mistake_is_2_and_one_sentence(echobench: Echobench, words: list[str], sentence: str) -> None:
    plan = [echobench.plan()] if words[0].startswith("--") and words[0] != "--resume" else []
    code, out, err = echobench.run(*plan, *words)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not echobench.results.exists()


def test_a_plan_with_a_mistake_is_2_and_names_the_key(echobench: Echobench) -> None:
    code, _, err = echobench.run(echobench.plan(round=3))
    assert code == 2
    assert err.startswith("echobench: ")
    assert "the top level has no key 'round' (did you mean 'rounds'?)" in err


def test_an_interpreter_that_can_not_be_used_is_2_before_anything_is_made(echobench: Echobench) -> None:
    for named, words in (("/no/such/python", "can't be started"), ("3.10", "the servers need 3.11 or later")):
        matrix = {"model": ["good"], "transport": ["tcp"], "python": ["default", named]}
        code, out, err = echobench.run(echobench.plan(matrix=matrix))
        assert (code, out) == (2, "")
        assert f"small.toml: python in [matrix] names {named!r}, which can't be used: it" in err
        assert words in err
        assert len(err.splitlines()) == 1
        assert not echobench.results.exists()


def test_cells_under_another_interpreter_are_measured_and_it_is_described(echobench: Echobench) -> None:
    matrix = {"model": ["good"], "transport": ["tcp"], "python": [sys.executable]}
    assert echobench.run(echobench.plan(matrix=matrix, rounds=1))[0] == 0
    (described,) = read_run(echobench.run_folder())["environment"]["interpreters"].values()
    assert described["version"] == ".".join(map(str, sys.version_info[:3]))
    assert (described["implementation"], described["free_threaded"], described["gil"]) == ("CPython", False, True)
    assert echobench.run("--resume")[0] == 0


def test_what_can_not_be_is_named_before_and_after_and_is_1(echobench: Echobench) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if not 0 < hard < 99_000:
        pytest.skip("there is no limit of descriptors to meet")
    matrix = {"model": ["good"], "transport": ["tcp"], "connections": [2, hard]}
    code, _, err = echobench.run(echobench.plan(matrix=matrix, rounds=1))
    assert code == 1
    assert f"can't be measured here: good-tcp-connections_{hard}: {hard:,} connections take" in err
    assert f"this machine allows {hard:,} descriptors a process" in err
    assert f"1 of 2 cells failed:\n  good-tcp-connections_{hard} round 1: can't be measured here:" in err


def test_a_place_that_can_not_be_written_is_3_with_its_path(echobench: Echobench) -> None:
    occupied = echobench.folder / "occupied"
    occupied.write_text("a file", encoding="utf-8")
    code, _, err = echobench.run(echobench.plan(), results=occupied)
    assert code == 3
    assert f"{occupied}/" in err
    assert "can't be made: Not a directory" in err
    assert len(err.splitlines()) == 1


def test_the_command_line_narrows_a_plan(echobench: Echobench) -> None:
    code, _, _ = echobench.run(echobench.plan(**model("good", "refuses")), "--models", "good", "--rounds", "1")
    assert code == 0
    assert list(echobench.cells()) == ["000-good-tcp-r1.json"]


def wait_for_cells(echobench: Echobench, process: subprocess.Popen[str], count: int) -> None:
    """Wait until some cells are stored and the next one is being measured."""
    assert process.stderr
    for line in process.stderr:
        if line.startswith(f"[{count}/"):
            break
    eventually(lambda: len(processes_with(echobench.mark)) >= 3, "the next cell is being measured")


LONG = {"rounds": 3, "defaults": {**small_document()["defaults"], "window_s": 0.5}}


def test_ctrl_c_is_130_with_the_way_to_go_on_and_going_on_completes_the_run(echobench: Echobench) -> None:
    with echobench.start(echobench.plan(**LONG)) as process:
        wait_for_cells(echobench, process, 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    echobench.nothing_is_left()
    folder = echobench.run_folder()
    assert f"interrupted, 1 of 3 cells are measured; go on with: echobench run --resume {folder}" in err
    assert out.splitlines()[-1] == str(folder)
    assert "Traceback" not in err
    before = echobench.cells()
    assert len(before) == 1
    code, out, _ = echobench.run("--resume", str(folder))
    assert code == 0
    assert out.splitlines()[-1] == str(folder)
    assert echobench.cells().items() >= before.items()
    assert len(echobench.cells()) == 3


def test_a_killed_harness_leaves_no_process_and_the_latest_run_is_gone_on_with(echobench: Echobench) -> None:
    with echobench.start(echobench.plan(**LONG, **model("workers"))) as process:
        wait_for_cells(echobench, process, 1)
        process.kill()
        process.communicate(timeout=30)
    echobench.nothing_is_left()
    before = echobench.cells()
    code, _, err = echobench.run("--resume")
    assert code == 0
    assert "3 cells, 1 of them measured before" in err
    assert echobench.cells().items() >= before.items()
    cells, problems = read_cells(echobench.run_folder())
    assert [cell["outcome"] for cell in cells] == ["measured"] * 3
    assert problems == []


def test_a_run_is_not_gone_on_with_by_another_plan(echobench: Echobench) -> None:
    plan = echobench.plan(rounds=1)
    assert echobench.run(plan)[0] == 0
    code, _, err = echobench.run(echobench.plan(rounds=2), "--resume", str(echobench.run_folder()))
    assert code == 2
    assert "was started with another plan (it differs in rounds)" in err
    code, _, err = echobench.run("--rounds", "2", "--resume")
    assert code == 2
    assert "a resumed run keeps its plan" in err


def test_a_plan_that_is_unchanged_may_be_named_again(echobench: Echobench) -> None:
    plan = echobench.plan(rounds=1)
    assert echobench.run(plan)[0] == 0
    before = echobench.cells()
    assert echobench.run(plan, "--resume")[0] == 0
    assert echobench.cells() == before


def test_a_foreign_server_is_measured_like_ours(echobench: Echobench) -> None:
    fake = str(Path(__file__).parent / "fake_servers.py")
    server = [
        sys.executable,
        "-X",
        echobench.mark,
        fake,
        "--model",
        "good",
        "--transport",
        "{transport}",
        "--port",
        "{port}",
    ]
    plan = Path(echobench.plan(rounds=1, **model("mine")))
    with plan.open("a", encoding="utf-8") as file:
        file.write(f"\n[servers.mine]\ncommand = {json.dumps(server)}\n")
    assert echobench.run(str(plan))[0] == 0
    (cell,), _ = read_cells(echobench.run_folder())
    assert cell["server"]["command"][0] == "python"
    assert cell["windows"][0]["server"]["cpu_s"] is not None


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system that holds the first cells of a run; skip where that is not allowed."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_3_with_the_path_and_the_run_is_completed_when_there_is_room(
    echobench: Echobench, tiny_disk: Path
) -> None:
    echobench.results = tiny_disk
    code, _, err = echobench.run(echobench.plan(rounds=12))
    assert code == 3
    assert "can't be written: No space left on device" in err.splitlines()[-1]
    assert str(tiny_disk) in err.splitlines()[-1]
    before = echobench.cells()
    assert 0 < len(before) < 12
    assert read_cells(echobench.run_folder())[1] == []
    assert read_run(echobench.run_folder())["plan"]["rounds"] == 12
    subprocess.run(["mount", "-o", "remount,size=1m", str(tiny_disk)], check=True)
    assert echobench.run("--resume")[0] == 0
    assert len(echobench.cells()) == 12
    assert echobench.cells().items() >= before.items()


def test_the_list_names_models_transports_reasons_and_plans(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"], make_tools("good")) == 0
    listing = capsys.readouterr().out
    for words in ("good", "does everything right", "absent", "no: it needs a moon", "tcp", "plans: ", "quick"):
        assert words in listing


@pytest.mark.parametrize("command", [[], ["weigh"], ["compare", "one"], ["report"], ["export", "run"]])
def test_commands_that_there_are_not_or_that_lack_a_word_are_2(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_help_names_the_commands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in ("run", "report", "compare", "export", "list", "serve", "load"))


@pytest.fixture
def reporter(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Put a module that writes one line where the analysis would write its report."""
    report: Any = types.ModuleType("analysis.report")

    def write_report(folder: Path, _page_bytes: int) -> Path:
        (folder / "report.html").write_text("a report", encoding="utf-8")
        return folder / "report.html"

    report.write_report = write_report
    report.print_ranking = lambda folder, console: console.print("1. good")
    monkeypatch.setitem(sys.modules, "analysis.report", report)
    monkeypatch.setattr(analysis, "report", report, raising=False)
    return cast(types.ModuleType, report)


def test_a_report_is_written_and_the_ranking_printed(
    tmp_path: Path, reporter: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, {**dict.fromkeys(("plan", "environment", "seed", "order", "state")), "schema": RUN_SCHEMA})
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"1. good\nreport: {tmp_path}/report.html\n"


def test_a_run_can_report_at_its_end_and_still_names_its_folder_last(
    tmp_path: Path, reporter: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_toml(tmp_path / "small.toml", small_document(rounds=1))
    words = ["run", str(plan), "--report", "--results", str(tmp_path / "runs")]
    assert main(words, make_tools("good")) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert capsys.readouterr().out.splitlines() == ["1. good", f"report: {folder}/report.html", str(folder)]


def test_a_report_that_can_not_be_written_is_3(
    tmp_path: Path, reporter: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, {**dict.fromkeys(("plan", "environment", "seed", "order", "state")), "schema": RUN_SCHEMA})
    (tmp_path / "report.html").mkdir()
    assert main(["report", str(tmp_path)]) == 3
    assert capsys.readouterr().err == f"echobench: the report can't be written into {tmp_path}: Is a directory\n"


def test_a_report_of_no_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"echobench: {tmp_path} is no run folder: it has no run.json")


@pytest.mark.parametrize(("command", "module"), [("serve", "servers"), ("load", "loadgen")])
def test_serve_and_load_are_the_modules_with_the_same_arguments_and_exit_codes(command: str, module: str) -> None:
    ours = subprocess.run(
        [sys.executable, "-m", "harness", command, "--no-such-option"], capture_output=True, cwd=ROOT, check=False
    )
    theirs = subprocess.run(
        [sys.executable, "-m", module, "--no-such-option"], capture_output=True, cwd=ROOT, check=False
    )
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
    assert ours.returncode != 0
