"""Canned slots for the gate's own tests, and a small repository whose `servers` package is the fake server."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from harness.bench import Bench
from harness.environment import ROOT
from harness.gate.arms import Build
from harness.gate.session import Event, Session, Wanted
from harness.gate.slots import Measured, Point
from harness.pinning import Pinning
from harness.schema.gate import Arm, GateRecord, GateRound, Metric, Slot, Step
from tests.harness.programs import FOLDER, eventually, make_scenario, processes_with

APART = Pinning((0,), (1,), pinned=True)
BUILDS = {arm: Build(arm, f"{arm}'s code") for arm in Arm}


def figures(cpu_us: float = 10.0) -> dict[str, float]:
    """Return the figures of a slot whose server costs so much a request."""
    costs = {Metric.CPU: cpu_us, Metric.THROUGHPUT: 1e6 / cpu_us}
    return {metric.value: costs.get(metric, math.nan) for metric in Metric}


def good(cpu_us: float = 10.0, **beside: Any) -> Measured:
    """Return a slot without a fault."""
    return Measured(Slot(figures(cpu_us)), **beside)


def failed(sentence: str = "the server died", **beside: Any) -> Measured:
    """Return a slot whose server failed."""
    slot = Slot(dict.fromkeys(map(str, Metric), math.nan), failure=sentence, fault_of="server")
    return Measured(slot, **beside)


@dataclass(frozen=True)
class Call:
    """A slot that was asked for."""

    scenario: str
    arm: Arm
    number: int
    seed: int
    loads: tuple[str, ...]
    hash_seed: str | None


@dataclass
class Machine:
    """Measures slots by a function of what is asked for, and keeps what was asked for."""

    answer: Callable[[Call], Measured] = lambda call: good()
    calls: list[Call] = field(default_factory=list)

    def __call__(self, point: Point, build: Build, number: int, seed: int, bench: Bench) -> Measured:
        """Measure a slot."""
        salt = os.environ.get("PYTHONHASHSEED")
        call = Call(point.name, build.arm, number, seed, point.scenario.loads, salt)
        self.calls.append(call)
        return self.answer(call)

    def rounds(self, scenario: str) -> list[str]:
        """Return the order of the arms in each round of a scenario, as `bh` and `hb`."""
        letters = "".join(call.arm[0] for call in self.calls if call.scenario == scenario and call.number)
        return [letters[index : index + 2] for index in range(0, len(letters), 2)]


def until(count: int) -> Callable[[Sequence[GateRound]], Step]:
    """Return a rule that wants so many rounds that need not be redone."""

    def wants_more(rounds: Sequence[GateRound]) -> Step:
        assert len(rounds) < 10 * count, "the gate goes on for ever"
        used = sum(each.redo is None for each in rounds)
        return Step(used < count, f"{used} of {count}")

    return wants_more


@dataclass
class Held:
    """A gate over canned slots, and all that it told and kept."""

    record: GateRecord
    events: list[Event]
    kept: list[GateRecord]


def hold(machine: Machine, *names: str, rounds: int = 4, seed: int = 1, **wanted: Any) -> Held:
    """Hold a gate over canned slots."""
    builds = wanted.pop("builds", BUILDS)
    points = tuple(Point(name, make_scenario(loads=("closed",)), APART) for name in names or ("one",))
    events: list[Event] = []
    kept: list[GateRecord] = []
    session = Session(
        Wanted(points, seed, rounds, rounds, **wanted),
        builds,
        cast(Bench, None),
        until(rounds),
        tell=events.append,
        keep=kept.append,
        settings={"rules": {}},
        measure=machine,
    )
    return Held(session.run(), events, kept)


# `echobench` with the fake load generator; `servers` is what the arm's folder holds. The mark tells its processes.
ECHOBENCH = """
import sys
from dataclasses import replace
from harness.cli import main
from tests.harness.programs import make_tools
python = (sys.executable, "-X", sys.argv[1])
loadgen = make_tools("good").loadgen
tools = replace(make_tools("good"), servers=(*python, "-m", "servers"), loadgen=(*python, *loadgen[1:]))
sys.exit(main(sys.argv[2:], tools))
"""
PLAN = """
name = "small"
[defaults]
connections = 2
warmup_s = 0
window_s = 0.1
timeout_s = 5
pin = "none"
[matrix]
model = "good"
transport = "tcp"
"""


class Project:
    """A git repository with a `servers` package, gates held in it, and a temporary folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.temporary = folder / "tmp"
        self.mark = f"mark-{os.getpid()}-{folder.name}"
        for made in (self.folder / "servers", self.temporary):
            made.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        (folder / "small.toml").write_text(PLAN, encoding="utf-8")
        self.plan = str(folder / "small.toml")

    def git(self, *words: str) -> str:
        """Run git in the repository."""
        who = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *who, "-C", str(self.folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, message: str) -> str:
        """Commit all that is there and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def use_fake_server(self) -> None:
        """Put the fake server in."""
        (self.folder / "servers" / "__init__.py").touch()
        shutil.copy(FOLDER / "fake_servers.py", self.folder / "servers" / "__main__.py")

    def use_our_servers(self) -> None:
        """Put the real servers in."""
        shutil.rmtree(self.folder / "servers")
        shutil.copytree(ROOT / "servers", self.folder / "servers", ignore=shutil.ignore_patterns("__pycache__"))

    def change(self, name: str, before: str, after: str) -> None:
        """Change a text in a file of the package; it must be there."""
        path = self.folder / "servers" / name
        source = path.read_text(encoding="utf-8")
        assert before in source
        path.write_text(source.replace(before, after), encoding="utf-8")

    def start(self, *words: str, fake: bool = True) -> subprocess.Popen[str]:
        """Start `echobench gate` with these words inside the repository."""
        program = ["-c", ECHOBENCH, self.mark] if fake else ["-m", "harness"]
        command = [sys.executable, *program, "gate", *words, "--results", str(self.temporary.parent / "gates")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=environment
        )

    def gate(self, *words: str, fake: bool = True) -> tuple[int, str, str]:
        """Hold a gate to its end; return exit code, stdout and stderr, and check that it left nothing."""
        with self.start(*words, fake=fake) as process:
            out, err = process.communicate(timeout=180)
        assert "Traceback" not in err.replace("stderr ends with: Traceback", "")
        self.nothing_is_left()
        return process.returncode, out, err

    def nothing_is_left(self) -> None:
        """Check that no program, no worktree and no temporary folder is left."""
        eventually(lambda: not processes_with(self.mark), "all programs are gone")
        assert len(self.git("worktree", "list").splitlines()) == 1
        left = [path.name for path in self.temporary.iterdir() if path.name.startswith("echobench-gate-")]
        assert left == []

    def records(self) -> list[Path]:
        """Return the records that gates have kept."""
        return sorted((self.temporary.parent / "gates").glob("*.json"))
