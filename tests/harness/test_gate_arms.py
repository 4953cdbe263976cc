"""The arms of a gate, made ready and taken away again: commits, the working tree, folders; and the gate's lock."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.environment import ROOT
from harness.gate.arms import MARK, Build, Folder, Program, Revision, Source, WorkingTree, built, check_codes
from harness.gate.errors import GateError
from harness.gate.lock import only_gate
from harness.schema.gate import Arm
from tests.harness.gates import Project
from tests.harness.programs import Program as Other
from tests.harness.programs import python


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Give a repository with one commit, and a temporary folder of its own."""
    made = Project(tmp_path)
    made.use_fake_server()
    made.commit("the first")
    monkeypatch.setattr("tempfile.tempdir", str(made.temporary))
    return made


def arms(base: Source, head: Source) -> dict[Arm, Source]:
    """Return sources by arm."""
    return {Arm.BASE: base, Arm.HEAD: head}


def refused(project: Project, base: Source, head: Source | None = None) -> str:
    """Return the sentence with which arms are refused."""
    with pytest.raises(GateError) as why, built(arms(base, head or WorkingTree()), project.folder):
        pass
    project.nothing_is_left()
    return str(why.value)


def test_two_commits_stand_in_folders_of_equal_length_and_leave_nothing(project: Project) -> None:
    project.change("__main__.py", "does everything right", "does everything fast")
    second = project.commit("the second")
    with built(arms(Revision("HEAD~1"), Revision("main")), project.folder) as builds:
        base, head = builds[Arm.BASE], builds[Arm.HEAD]
        assert base.folder is not None
        assert head.folder is not None
        assert len(str(base.folder)) == len(str(head.folder))
        assert "everything right" in (base.folder / "servers/__main__.py").read_text()
        assert "everything fast" in (head.folder / "servers/__main__.py").read_text()
        assert list((head.folder / "servers").rglob("*.pyc"))  # compiled before the first slot
        assert head.commit == second
        assert head.name == f"main ({second[:10]})"
        assert base.code != head.code
    project.nothing_is_left()


def test_the_working_tree_is_taken_with_what_is_changed_new_and_gone(project: Project) -> None:
    for name in ("gone.py", "kept.py", "before.py"):
        (project.folder / "servers" / name).write_text(f"# {name}, with enough in it to be known again\n")
    project.commit("more files")
    (project.folder / "servers/gone.py").unlink()
    project.git("mv", "servers/before.py", "servers/moved.py")
    (project.folder / "servers/new.py").write_text("")
    (project.folder / "notes.txt").write_text("not of the servers")
    project.change("__main__.py", "does everything right", "does nothing right")
    with built(arms(Revision("HEAD"), WorkingTree()), project.folder) as builds:
        head = builds[Arm.HEAD]
        assert head.folder is not None
        names = ("__main__", "before", "gone", "moved", "new")
        assert head.uncommitted == tuple(f"servers/{name}.py" for name in names)
        assert "5 uncommitted files in servers/" in head.name
        files = {path.name for path in (head.folder / "servers").glob("*.py")}
        assert files == {"__init__.py", "__main__.py", "kept.py", "moved.py", "new.py"}
        assert "nothing right" in (head.folder / "servers/__main__.py").read_text()
        assert builds[Arm.BASE].uncommitted == ()
    project.nothing_is_left()
    assert "nothing right" in (project.folder / "servers/__main__.py").read_text()


def test_a_clean_working_tree_is_the_last_commit(project: Project) -> None:
    with built(arms(Revision("main"), WorkingTree()), project.folder / "servers") as builds:
        assert builds[Arm.HEAD].uncommitted == ()
        assert builds[Arm.HEAD].code == builds[Arm.BASE].code
        assert "uncommitted" not in builds[Arm.HEAD].name


def test_folders_need_no_repository(project: Project, tmp_path: Path) -> None:
    with built(arms(Folder(project.folder), Folder(project.folder)), tmp_path) as builds:
        assert builds[Arm.BASE].code == builds[Arm.HEAD].code is not None
        assert builds[Arm.BASE].folder != project.folder
    project.nothing_is_left()


def test_a_server_that_is_not_ours_needs_no_folder(tmp_path: Path, project: Project) -> None:
    with built(arms(Program(("node", "a.js")), Program(("node", "b.js"))), tmp_path) as builds:
        assert builds[Arm.HEAD] == Build(Arm.HEAD, "node b.js", command=("node", "b.js"))


def test_what_can_not_be_an_arm_is_refused_with_a_sentence(project: Project, tmp_path: Path) -> None:
    assert "'nowhere' names no commit" in refused(project, Revision("nowhere"))
    assert "'--upload-pack=x' names no commit" in refused(project, Revision("--upload-pack=x"))
    assert "has no servers package" in refused(project, Folder(tmp_path))
    project.git("rm", "-r", "--quiet", "servers")
    project.commit("no servers")
    assert "base (HEAD) has no servers package" in refused(project, Revision("HEAD"), Revision("HEAD~1"))


def test_outside_a_repository_a_ref_is_refused(tmp_path: Path, project: Project) -> None:
    with pytest.raises(GateError, match="is in no git repository"), built(arms(Revision("a"), WorkingTree()), tmp_path):
        pass


def test_what_a_killed_gate_left_behind_is_removed_by_the_next(project: Project) -> None:
    left = project.temporary / "echobench-gate-killed"
    left.mkdir()
    (left / MARK).touch()
    of_the_user = project.temporary / "echobench-gate-results"
    of_the_user.mkdir()
    project.git("worktree", "add", "--quiet", "--detach", str(left / "base"), "HEAD")
    elsewhere = project.temporary.parent / "mine"
    project.git("worktree", "add", "--quiet", "--detach", str(elsewhere), "HEAD")
    with built(arms(Revision("HEAD"), WorkingTree()), project.folder):
        assert not left.exists()
        assert str(left) not in project.git("worktree", "list")
    assert str(elsewhere) in project.git("worktree", "list")  # a worktree of the user's own stays
    assert of_the_user.exists()  # and a folder, whatever its name


def test_hooks_of_the_repository_do_not_run(project: Project, tmp_path: Path) -> None:
    hook = project.folder / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    with built(arms(Revision("HEAD"), WorkingTree()), project.folder):
        pass
    assert not (tmp_path / "ran").exists()


def test_a_gate_that_is_started_from_a_hook_is_not_led_astray(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "another-index"))
    with built(arms(Revision("HEAD"), WorkingTree()), project.folder) as builds:
        assert builds[Arm.BASE].code is not None


def coded(base: str | None, head: str | None) -> dict[Arm, Build]:
    """Return builds with these hashes."""
    return {Arm.BASE: Build(Arm.BASE, "base", code=base), Arm.HEAD: Build(Arm.HEAD, "head", code=head)}


def test_code_that_runs_must_differ_exactly_where_the_folders_do() -> None:
    check_codes(coded("a", "b"), {Arm.BASE: "x", Arm.HEAD: "y"})
    check_codes(coded("a", "a"), {Arm.BASE: "x", Arm.HEAD: "x"})
    with pytest.raises(GateError, match="both arms run the same code"):
        check_codes(coded("a", "b"), {Arm.BASE: "x", Arm.HEAD: "x"})
    with pytest.raises(GateError, match="run something else"):
        check_codes(coded("a", "a"), {Arm.BASE: "x", Arm.HEAD: "y"})


def test_a_server_that_tells_no_hash_is_not_held_against_one() -> None:
    check_codes(coded(None, None), {Arm.BASE: "x", Arm.HEAD: "x"})
    check_codes(coded("a", "b"), {Arm.BASE: "x", Arm.HEAD: None})


HOLDER = """
import sys
from harness.gate.lock import only_gate
with only_gate():
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_gate_is_told_of_the_first_and_a_killed_one_holds_nobody_up(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(project.temporary))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Other(HOLDER) as first, pytest.raises(GateError, match=rf"process {first.pid}\)"), only_gate():
        pass
    with only_gate():  # its lock file is still there
        assert (project.temporary / "echobench-gate.lock").read_text() == f"{os.getpid()}\n"
    second = subprocess.run(python(HOLDER), input="\n", capture_output=True, text=True, check=True)
    assert second.stdout == "held\n"


def test_a_temporary_folder_that_can_not_be_used_is_told_in_a_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(GateError, match="the gate's lock can't be opened"), only_gate():
        pass
    assert "the arms can't be made ready" in refused(project, Revision("HEAD"))
