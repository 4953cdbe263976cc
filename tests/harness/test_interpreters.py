"""Other interpreters: found by name or path, asked what they are, and refused in words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import interpreters
from harness.environment import ROOT
from harness.interpreters import Interpreter, InterpreterError, all_here, ask, candidates, find_interpreter
from tests.harness.programs import FAKE_SERVERS, FOLDER

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


def program(path: Path, words: str) -> Path:
    """Write a shell script and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{words}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def told(version: str, *, free_threaded: bool = False) -> str:
    """Return the words of a script that calls itself an interpreter of this version."""
    numbers = version.replace(".", ", ")
    built = "true" if free_threaded else "false"
    return (
        f'echo \'{{"executable": "/opt/python", "version": [{numbers}], "implementation": "CPython", "build": "GCC", '
        f'"free_threaded": {built}, "gil": true}}\''
    )


def find(named: str, folder: Path) -> Interpreter:
    """Look for an interpreter on a PATH of one folder, with pyenv in another; the servers are the fake ones."""
    variables = {"PATH": str(folder / "bin"), "PYENV_ROOT": str(folder / "pyenv")}
    return find_interpreter(named, FAKE_SERVERS, FOLDER, variables)


def refusal(named: str, folder: Path) -> str:
    """Return why an interpreter can't be used."""
    with pytest.raises(InterpreterError) as refused:
        find(named, folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_interpreter_says_what_it_is_and_what_the_servers_can_have_under_it(tmp_path: Path) -> None:
    found = find(sys.executable, tmp_path)
    assert found.executable == sys.executable
    assert found.version == sys.version_info[:3]
    assert (found.implementation, found.gil) == ("CPython", True)
    assert [choice.name for choice in found.offers.transports] == ["tcp", "udp"]
    stored = found.as_dict()
    assert stored["executable"] == "python"
    assert stored["version"] == ".".join(map(str, sys.version_info[:3]))


def test_a_version_is_the_first_on_the_path_that_answers_as_it_is_called(tmp_path: Path) -> None:
    program(tmp_path / f"bin/python{OWN}", f'exec {sys.executable} "$@"')
    program(tmp_path / f"pyenv/versions/{OWN}.99/bin/python{OWN}", "exit 1")
    assert find(OWN, tmp_path).executable == sys.executable


def test_a_script_that_refuses_to_start_is_passed_over_for_pyenvs_own_version(tmp_path: Path) -> None:
    program(tmp_path / f"bin/python{OWN}", "echo 'pyenv: command not found' >&2; exit 127")
    program(tmp_path / f"pyenv/versions/{OWN}.1/bin/python{OWN}", f'exec {sys.executable} "$@"')
    assert find(OWN, tmp_path).executable == sys.executable


def test_pyenvs_versions_are_tried_the_newest_first(tmp_path: Path) -> None:
    for version in ("3.13.2", "3.13.10", "3.13.9", "3.14.0"):
        program(tmp_path / f"pyenv/versions/{version}/bin/python3.13", "exit 1")
    (tmp_path / "pyenv/versions/3.13.10/bin/python3.13").chmod(0o644)
    found = candidates("python3.13", {"PATH": "bin:relative", "PYENV_ROOT": str(tmp_path / "pyenv")})
    assert [path.parent.parent.name for path in found] == ["3.14.0", "3.13.9", "3.13.2"]


def test_a_version_that_is_not_here_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    assert refusal("3.99", tmp_path) == (
        "there is no python3.99 on the PATH nor in pyenv's versions: install it, or give a path"
    )
    assert refusal("pypy3.11", tmp_path).startswith("there is no pypy3.11 on the PATH")
    program(tmp_path / "bin/python3.99", "echo 'no such version' >&2; exit 127")
    assert "bin/python3.99: it ended with exit code 127: no such version" in refusal("3.99", tmp_path)


def test_a_program_that_is_another_version_than_it_is_called_is_not_taken(tmp_path: Path) -> None:
    program(tmp_path / "bin/python3.98", told("3.97.1"))
    assert "bin/python3.98: it is Python 3.97.1)" in refusal("3.98", tmp_path)
    program(tmp_path / "bin/python3.98t", told("3.98.0"))
    assert "bin/python3.98t: it is Python 3.98.0)" in refusal("3.98t", tmp_path)
    program(tmp_path / "bin/python3.98", told("3.98.0", free_threaded=True))
    assert "it is Python 3.98.0, free-threaded)" in refusal("3.98", tmp_path)


def test_a_version_that_is_too_old_is_told_without_a_look(tmp_path: Path) -> None:
    assert refusal("3.10", tmp_path) == "it is Python 3.10; the servers need 3.11 or later"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (told("3.10.13"), "it is Python 3.10.13; the servers need 3.11 or later"),
        (told("2.7.18"), "it is Python 2.7.18; the servers need 3.11 or later"),
        ("exit 3", "it ended with exit code 3: nothing on stderr"),
        ("echo hello", "it does not answer as a Python does"),
        ("echo '{}'", "it does not answer as a Python does"),
        ("echo '[1]'", "it does not answer as a Python does"),
        (told("3.12.0"), "under it, the servers can't be asked what they offer"),
    ],
)
def test_a_path_that_can_not_be_used_is_told(words: str, sentence: str, tmp_path: Path) -> None:
    assert refusal(str(program(tmp_path / "some-python", words)), tmp_path).startswith(sentence)


def test_a_path_without_a_program_is_told(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "nothing"), tmp_path) == "it can't be started: No such file or directory"
    assert refusal(str(tmp_path), tmp_path) == "it can't be started: Permission denied"


def test_an_interpreter_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "ANSWER_TIMEOUT_S", 0.2)
    assert refusal(str(program(tmp_path / "slow", "exec sleep 60")), tmp_path) == "it did not answer within 0.2 s"


def test_all_are_those_that_are_here_without_the_harnesss_own() -> None:
    own = ask(sys.executable)
    other = Interpreter("/opt/python3.13", (3, 13, 0), "CPython", "GCC", free_threaded=False, gil=True)

    def here(name: str) -> Interpreter:
        if name in {OWN, "3.13t"}:
            return {OWN: own, "3.13t": other}[name]
        raise InterpreterError("it is not here")

    assert all_here(here) == {"3.13t": other}


@pytest.mark.parametrize("name", interpreters.KNOWN)
def test_our_servers_can_say_what_they_offer_under_every_interpreter_of_this_machine(name: str) -> None:
    try:
        found = find_interpreter(name, (sys.executable, "-m", "servers"), ROOT)
    except InterpreterError as refused:
        if "there is no" not in str(refused):
            raise
        pytest.skip(str(refused))
    available = {choice.name for choice in (*found.offers.models, *found.offers.transports) if choice.available}
    assert available >= {"fork", "thread", "selectors", "asyncio", "hybrid", "tcp", "udp"}
