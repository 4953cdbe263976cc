"""Interpreters that servers run under beside the harness's own: found on this machine, and asked what they are.

The servers need the standard library alone over tcp and udp, so nothing is installed anywhere. A version (`3.13`,
`3.13t`, `pypy3.11`) is looked for as a program of that name, first on the PATH, then among pyenv's versions, the newest
first; a path is taken as it is. A program of the right name need not be an interpreter: pyenv puts scripts on the PATH
that refuse to start a version which is not activated. So each candidate is asked, and the first that answers as what it
is called is taken. What is started later is the program that answered, by the path that it calls its own, not a script
in front of it.

An interpreter is asked twice, before anything is measured: what it is, in words that every Python since 2.7
understands; and, with the servers' own list, which models, transports and variants it can have. So what a package is
missing for, or what an implementation lacks, is known in the servers' own words.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.catalogue import Catalogue, CatalogueError, read_catalogue
from harness.environment import anonymous
from harness.scenario import PYTHON_NAME

OLDEST = (3, 11)
# What "all" looks for.
KNOWN = ("3.11", "3.12", "3.13", "3.13t", "3.14", "3.14t", "pypy3.11")
ANSWER_TIMEOUT_S = 20
# Without the folder it is started in, and without variables meant for another interpreter.
QUESTION = """
import json, platform, sys, sysconfig
print(json.dumps({
    "executable": sys.executable,
    "version": list(sys.version_info[:3]),
    "implementation": platform.python_implementation(),
    "build": platform.python_compiler(),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
}))
"""


NOT_ASKED_YET = Catalogue((), ())


class InterpreterError(Exception):
    """An interpreter can't be used, as the end of a sentence about it."""


@dataclass(frozen=True)
class Interpreter:
    """A Python as it described itself, and what the servers can have under it.

    `free_threaded` is how it was built, `gil` whether the lock is on all the same, as it starts without options.
    """

    executable: str
    version: tuple[int, int, int]
    implementation: str
    build: str
    free_threaded: bool
    gil: bool
    offers: Catalogue = NOT_ASKED_YET

    @property
    def kind(self) -> tuple[object, ...]:
        """Return what it has in common with others of the same version and build."""
        return self.implementation, self.version, self.build, self.free_threaded

    def as_dict(self) -> dict[str, Any]:
        """Return what a run stores of it."""
        return {
            "executable": anonymous(self.executable),
            "version": ".".join(map(str, self.version)),
            "implementation": self.implementation,
            "build": self.build,
            "free_threaded": self.free_threaded,
            "gil": self.gil,
        }


def find_interpreter(
    named: str, servers_command: Sequence[str], folder: Path, variables: Mapping[str, str] = os.environ
) -> Interpreter:
    """Return the interpreter that a plan names, by version or path; `servers_command` begins with the harness's own.

    Raises InterpreterError where there is none, it is too old, or it can't be started.
    """
    found = _called(named, variables) if PYTHON_NAME.fullmatch(named) else ask(str(Path(named).expanduser()))
    if found.version[:2] < OLDEST:
        raise InterpreterError(_too_old(found.version))
    try:
        offers = read_catalogue(under(found.executable, servers_command), folder)
    except CatalogueError as error:
        raise InterpreterError(f"under it, {error}") from error
    return replace(found, offers=offers)


def all_here(ask_for: Callable[[str], Interpreter]) -> dict[str, Interpreter]:
    """Return the known interpreters that can be used here, by name, without the one that runs the harness."""
    own, found = ask(sys.executable), {}
    for name in KNOWN:
        try:
            interpreter = ask_for(name)
        except InterpreterError:
            continue  # it is not here: "all" means those that are
        if interpreter.kind != own.kind:
            found[name] = interpreter
    return found


def under(executable: str, servers_command: Sequence[str]) -> tuple[str, ...]:
    """Return the servers' command, which begins with the harness's own interpreter, under another one."""
    return executable, *servers_command[1:]


def ask(program: str) -> Interpreter:
    """Return what a program says that it is; raises InterpreterError where that is no Python."""
    try:
        answer = subprocess.run(
            [program, "-Es", "-c", QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_TIMEOUT_S,
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        raise InterpreterError(f"it did not answer within {ANSWER_TIMEOUT_S} s") from None
    except OSError as error:
        raise InterpreterError(f"it can't be started: {error.strerror}") from error
    if answer.returncode:
        first = answer.stderr.strip().splitlines()[:1] or ["nothing on stderr"]
        raise InterpreterError(f"it ended with exit code {answer.returncode}: {anonymous(first[0])}")
    try:
        told = json.loads(answer.stdout)
        return Interpreter(**{**told, "executable": told["executable"] or program, "version": tuple(told["version"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InterpreterError("it does not answer as a Python does") from error


def _called(name: str, variables: Mapping[str, str]) -> Interpreter:
    version = _version_of(name)
    if version < OLDEST:
        raise InterpreterError(_too_old(version))
    program = name if name.startswith("pypy") else f"python{name}"
    refusals = []
    for path in candidates(program, variables):
        try:
            found = ask(str(path))
        except InterpreterError as error:
            refusals.append(f"{anonymous(str(path))}: {error}")
            continue
        if found.version[:2] == version and found.free_threaded == name.endswith("t"):
            return found
        threads = ", free-threaded" if found.free_threaded else ""
        refusals.append(f"{anonymous(str(path))}: it is Python {'.'.join(map(str, found.version))}{threads}")
    why = f" ({'; '.join(refusals)})" if refusals else ""
    raise InterpreterError(
        f"there is no {program} on the PATH nor in pyenv's versions{why}: install it, or give a path"
    )


def _version_of(name: str) -> tuple[int, int]:
    major, minor = name.removeprefix("pypy").removesuffix("t").split(".")
    return int(major), int(minor)


def _too_old(version: Sequence[int]) -> str:
    return f"it is Python {'.'.join(map(str, version))}; the servers need {'.'.join(map(str, OLDEST))} or later"


def candidates(program: str, variables: Mapping[str, str]) -> Iterator[Path]:
    """Yield the executable files of this name on the PATH, then those of pyenv's versions, the newest first."""
    folders = [Path(folder) for folder in variables.get("PATH", os.defpath).split(os.pathsep) if folder]
    pyenv = Path(variables.get("PYENV_ROOT") or Path(variables.get("HOME", "/")) / ".pyenv")
    versions = sorted((pyenv / "versions").glob("*/bin"), key=_by_version, reverse=True)
    for folder in dict.fromkeys([*folders, *versions]):
        path = folder / program
        if path.is_absolute() and path.is_file() and os.access(path, os.X_OK):
            yield path


def _by_version(folder: Path) -> tuple[list[int], str]:
    name = folder.parent.name
    return [int(number) for number in re.findall(r"\d+", name)], name
