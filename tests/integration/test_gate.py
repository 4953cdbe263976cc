"""Gates held from the command line in a repository of their own: what they end with, say, keep and leave behind."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from harness.schema.gate import GateRecord, read_gate_record
from tests.harness.gates import Project
from tests.harness.programs import eventually, make_tools, processes_with

SHORT = ("--rounds", "1")
REAL_PLAN = """
name = "short"
[defaults]
connections = 4
warmup_s = 0
window_s = 0.2
pin = "none"
timeout_s = 5
[matrix]
model = "asyncio"
transport = "tcp"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Give a repository whose last commit holds the fake server."""
    made = Project(tmp_path)
    made.use_fake_server()
    made.commit("the first")
    return made


def record_of(path: Path) -> GateRecord:
    """Read a record."""
    return read_gate_record(json.loads(path.read_text(encoding="utf-8")), path.name)


def test_identical_trees_are_compared_and_that_is_said(project: Project, tmp_path: Path) -> None:
    files = "--json", str(tmp_path / "gate.json"), "--markdown", str(tmp_path / "gate.md")
    code, out, err = project.gate("--base", "main", "--plan", project.plan, *SHORT, *files)
    assert code == 0, err
    assert "both arms have the same servers/" in err
    assert "good-tcp round 1" in err
    assert out.splitlines()[-1] == str(project.records()[0])
    record = record_of(tmp_path / "gate.json")
    assert record.state == "complete"
    assert [each.number for each in record.rounds["good-tcp"]] == [1]
    assert record.decision is not None
    assert "good-tcp" in (tmp_path / "gate.md").read_text(encoding="utf-8")
    assert (tmp_path / "gate.json").read_text() == project.records()[0].read_text()


def test_head_that_dies_is_broken(project: Project) -> None:
    project.change("__main__.py", 'if self.model == "fragile":', "if True:")
    project.commit("a mistake")
    code, out, err = project.gate("--base", "HEAD~1", "--head", "HEAD", "--plan", project.plan, *SHORT)
    assert code == 1
    assert "BROKEN" in out
    assert "head FAILED: the server died" in err


def test_base_that_does_not_start_ends_with_2_and_says_so(project: Project) -> None:
    project.change(
        "__main__.py", "def main() -> int:", "def main() -> int:\n    if '--list' not in sys.argv: return 9\n"
    )
    project.commit("does not start")
    project.use_fake_server()
    code, out, err = project.gate("--base", "HEAD", "--plan", project.plan, *SHORT)
    assert code == 2
    assert "base FAILED: the server ended with exit code 9" in err
    assert "nothing could be compared" in out


def test_a_model_that_head_can_t_import_is_broken_also_where_a_plan_says_all(project: Project, tmp_path: Path) -> None:
    project.use_our_servers()
    project.commit("ours")
    project.change("models/thread.py", "from __future__ import annotations", "import no_such_module")
    project.commit("a mistake")
    plan = tmp_path / "all.toml"
    plan.write_text(REAL_PLAN.replace('"asyncio"', '"all"'), encoding="utf-8")
    code, out, err = project.gate("--base", "HEAD~1", "--head", "HEAD", "--plan", str(plan), *SHORT, fake=False)
    assert code == 1, out + err
    assert "BROKEN, thread-tcp" in out


def test_a_mistake_of_the_gate_s_own_is_no_regression(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("something unforeseen")

    monkeypatch.chdir(project.folder)
    monkeypatch.setattr("harness.cli_gate.judge", fails)
    assert main(["gate", "--base", "main"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "nothing is decided: ZeroDivisionError: something unforeseen" in err


def test_a_scenario_that_base_lacks_is_not_compared_and_the_others_are(project: Project) -> None:
    project.change("__main__.py", '"--pace"', '"--other-pace"')
    project.commit("knows fewer options")
    project.use_fake_server()
    plan = Path(project.plan).read_text(encoding="utf-8") + 'options = [[], ["--pace", "fast"]]\n'
    Path(project.plan).write_text(plan, encoding="utf-8")
    code, out, err = project.gate("--base", "HEAD", "--plan", project.plan, *SHORT)
    assert code == 0
    assert "good-tcp-options_pace+fast: not compared: base lacks it (a new scenario)" in err
    assert "good-tcp-options_pace+fast is not compared" in " ".join(out.split())
    assert list(record_of(project.records()[0]).rounds) == ["good-tcp-options_default"]


def test_uncommitted_changes_are_measured_and_servers_that_can_not_even_be_listed_are_broken(project: Project) -> None:
    path = project.folder / "servers/__main__.py"
    path.write_text("this is no Python\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    code, out, err = project.gate("--base", "main", "--plan", project.plan, *SHORT)
    assert code == 1
    assert "BROKEN" in out
    assert "uncommitted changes are measured too: servers/__main__.py" in err


def test_servers_that_are_not_ours_are_compared_by_their_commands(project: Project) -> None:
    server = f"{sys.executable} {project.folder}/servers/__main__.py --model good"
    words = ("--base-server", f"{server} --transport tcp", "--head-server", f"{server} --transport {{transport}}")
    with project.start(*words, "--plan", project.plan, *SHORT) as gate:
        assert gate.stdout
        assert gate.stderr
        gate.stdout.close()  # nobody reads the table; the exit code is the same
        err = gate.stderr.read()
    assert (gate.returncode, "Traceback" in err) == (0, False), err
    project.nothing_is_left()
    (record,) = map(record_of, project.records())
    assert list(record.rounds) == ["server-tcp"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "name what head is compared with"),
        (("--base", "nowhere"), "'nowhere' names no commit"),
        (("--base", "main", "--base-dir", "x"), "not allowed with argument"),
        (("--base-server", "a"), "--base-server and --head-server go together"),
        (("--base-server", "a", "--head-server", "b", "--models", "good"), "beside --base-server it means nothing"),
        (("--base", "main", "--models", "goood"), "'goood'"),
        (("--base", "main", "--plan", "nowhere"), "there is no plan 'nowhere'"),
        (("--base", "main", "--rounds", "0"), "no number of rounds"),
        (("--base", "main", "--json", "/nowhere/gate.json"), "there is no folder /nowhere"),
        (("--base", "main", "--markdown", "/proc"), "/proc can't be written: it is a folder"),
        (("--base", "main", "--results", "/proc/nowhere"), "can't be written to"),
        (("--base-dir", "/nowhere"), "base (/nowhere) has no servers package"),
    ],
)
def test_what_can_not_be_compared_is_refused_in_a_sentence(
    project: Project,
    words: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr("tempfile.tempdir", str(project.temporary))
    tools = replace(make_tools("good"), servers=(sys.executable, "-m", "servers"))
    try:
        code = main(["gate", "--results", str(project.temporary.parent / "gates"), *words], tools)
    except SystemExit as ended:  # argparse ends by itself
        code = int(ended.code or 0)
    err = capsys.readouterr().err
    assert code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    project.nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gate_that_is_stopped_keeps_what_it_measured_and_leaves_nothing_else(
    project: Project, number: signal.Signals
) -> None:
    with project.start("--base", "main", "--plan", project.plan) as gate:
        assert gate.stderr
        while "round 1" not in (line := gate.stderr.readline()):
            assert line, "the gate ended early"
        gate.send_signal(number)
        _, err = gate.communicate(timeout=60)
    assert gate.returncode == 130
    assert "interrupted after" in err
    project.nothing_is_left()
    record = record_of(project.records()[0])
    assert record.state == "interrupted"
    assert len(record.rounds["good-tcp"]) >= 1


def test_the_next_gate_clears_up_after_one_that_was_killed(project: Project) -> None:
    with project.start("--base", "main", "--plan", project.plan) as gate:
        assert gate.stderr
        while "round 1" not in (line := gate.stderr.readline()):
            assert line, "the gate ended early"
        os.kill(gate.pid, signal.SIGKILL)
        gate.communicate(timeout=60)
    eventually(lambda: not processes_with(project.mark), "its programs die with it")
    assert len(project.git("worktree", "list").splitlines()) == 3
    kept = record_of(project.records()[0])
    assert (kept.state, len(kept.rounds["good-tcp"]) >= 1) == ("interrupted", True)
    assert project.gate("--base", "main", "--plan", project.plan, *SHORT)[0] == 0


def test_the_second_of_two_gates_at_once_is_refused(project: Project) -> None:
    with project.start("--base", "main", "--plan", project.plan) as first:
        assert first.stderr
        assert first.stderr.readline()
        with project.start("--base", "main", "--plan", project.plan) as second:
            _, err = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"another gate runs on this machine (process {first.pid})" in err
        first.terminate()
        first.communicate(timeout=60)
    project.nothing_is_left()


def test_our_servers_a_comment_is_no_regression_and_a_wrong_byte_is_broken(project: Project, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text(REAL_PLAN, encoding="utf-8")
    project.use_our_servers()
    project.commit("ours")
    project.change("wire/tcp.py", "from __future__", "# A remark that changes nothing.\nfrom __future__")
    project.commit("a comment")
    words = ("--plan", str(tmp_path / "short.toml"), "--rounds", "1")
    code, out, err = project.gate("--base", "HEAD~1", *words, fake=False)
    assert code == 0, out + err
    assert "both arms have the same" not in err  # a comment is another code
    assert out.startswith("Performance gate: IN")  # one round is inconclusive, a disturbed one invalid
    project.change("wire/tcp.py", "reply = bytearray(data)", "reply = bytearray(data)\n                reply[-1] ^= 1")
    code, out, _ = project.gate("--base", "HEAD", *words, fake=False)
    assert code == 1
    assert "BROKEN" in out


@pytest.mark.long
def test_a_commit_that_copies_every_payload_is_a_regression_that_names_model_and_metric(
    project: Project, tmp_path: Path
) -> None:
    project.use_our_servers()
    project.commit("ours")
    project.change(
        "models/asyncio/callbacks.py",
        "        reply = self._receive(chunk)\n",
        "        reply = self._receive(chunk)\n        for _ in range(50): reply = bytes(bytearray(reply))\n",
    )
    project.commit("copy every payload")
    markdown = tmp_path / "gate.md"
    words = ("--models", "asyncio,selectors", "--rounds", "12", "--markdown", str(markdown))
    code, out, err = project.gate("--base", "HEAD~1", "--head", "HEAD", *words, fake=False)
    assert code == 1, out + err
    rows = [line for line in markdown.read_text(encoding="utf-8").splitlines() if line.startswith("| **")]
    assert [row.split("**")[1:4:2] for row in rows] == [
        ["asyncio-tcp", "CPU time per request"],
        ["asyncio-tcp", "throughput"],
    ]
    assert all("**REGRESSION**" in row for row in rows)
