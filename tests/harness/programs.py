"""The fake programs, small programs written on the spot, and waiting for what must come."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Self

from harness.bench import Task, Tools
from harness.catalogue import Catalogue, read_catalogue
from harness.interpreters import Interpreter, InterpreterError
from harness.pinning import Pinning, allowed_cpus
from harness.plan import Narrowing, Plan, make_plan
from harness.scenario import KEYS, Scenario

FOLDER = Path(__file__).parent
FAKE_SERVERS = (sys.executable, str(FOLDER / "fake_servers.py"))
ALLOWED_CPUS = allowed_cpus()


def make_tools(behaviour: str) -> Tools:
    """Return the fake servers, and the fake load generator with a behaviour."""
    return Tools(FAKE_SERVERS, (sys.executable, str(FOLDER / "fake_loadgen.py"), behaviour), FOLDER)


class Program:
    """A program written on the spot that takes its turns from the test: a line in, a line out."""

    def __init__(self, source: str) -> None:
        self._process = subprocess.Popen(python(source), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        """Wait until it says that it is there."""
        self.hear()
        return self

    def __exit__(self, *error: object) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()

    def hear(self) -> str:
        """Return the next line it prints."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the program ended early"
        return line.strip()

    def tell(self, line: str = "") -> str:
        """Give it a line and return its answer."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.hear()


def python(source: str) -> list[str]:
    """Return the command of a program written on the spot."""
    return [sys.executable, "-u", "-c", source]


@cache
def catalogue() -> Catalogue:
    """Return what the fake servers offer."""
    return read_catalogue(FAKE_SERVERS, FOLDER)


def make_scenario(**chosen: Any) -> Scenario:
    """Return a short scenario."""
    short = {"model": "good", "transport": "tcp", "connections": 3, "warmup_s": 0.0, "window_s": 0.1}
    defaults = {name: key.default for name, key in KEYS.items()}
    return Scenario(**{**defaults, **short, **chosen})


def make_task(**chosen: Any) -> Task:
    """Return the first cell of a short scenario, unpinned."""
    return Task(make_scenario(**chosen), 1, 1, Pinning(ALLOWED_CPUS, ALLOWED_CPUS, pinned=False))


def small_document(**changes: Any) -> dict[str, Any]:
    """Return a plan of three short cells."""
    defaults = {"connections": 2, "warmup_s": 0, "window_s": 0.1, "loads": ["closed"], "pin": "none"}
    matrix = {"model": ["good"], "transport": ["tcp"]}
    return {"name": "small", "rounds": 3, "seed": 7, "defaults": defaults, "matrix": matrix, **changes}


def small_plan(narrowing: Narrowing | None = None, **changes: Any) -> Plan:
    """Return that plan, checked; it knows the interpreters of `other_interpreter`."""
    return make_plan(small_document(**changes), "small.toml", catalogue(), narrowing or Narrowing(), other_interpreter)


def other_interpreter(named: str) -> Interpreter:
    """Return an interpreter that is there under a name: 3.13, without udp; 3.12 is missing."""
    if named != "3.13":
        raise InterpreterError("there is no such thing")
    tcp, udp = catalogue().transports
    without = replace(udp, available=False, reason="it has no datagrams")
    offers = replace(catalogue(), transports=(tcp, without))
    return Interpreter(sys.executable, (3, 13, 0), "CPython", "GCC", free_threaded=False, gil=True, offers=offers)


def write_toml(path: Path, document: dict[str, Any]) -> Path:
    """Write a document of tables with plain values as TOML."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for name, table in document.items():
        if isinstance(table, dict):
            plain += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(plain), encoding="utf-8")
    return path


def eventually(condition: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
    """Wait until a condition holds; fail with `what` at the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Tell whether a process is gone, or only waits to be collected by someone else."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def processes_with(word: str) -> list[int]:
    """Return the live processes that have a word in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word.encode() in command:
            found.append(int(folder.name))
    return found
