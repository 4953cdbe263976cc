"""What a gate says while it runs."""

from __future__ import annotations

import io

from rich.console import Console

from harness.gate.arms import Build
from harness.gate.console import Picture, describe
from harness.gate.session import GateStarted, LeftOut, RoundMeasured, SlotStarted
from harness.progress import LineDisplay
from harness.schema.gate import Arm, GateRound, Step
from tests.harness.gates import BUILDS, failed, good

ROUND = GateRound(3, Arm.HEAD, good(10.0).slot, good(11.0).slot)
MEASURED = RoundMeasured("thread-tcp", ROUND, 3, 12, Step(True, "3 of the 12 rounds of the first look"), 250.0)


def started(**head: object) -> list[str]:
    """Return what is said at the start."""
    arms = {Arm.BASE: BUILDS[Arm.BASE], Arm.HEAD: Build(Arm.HEAD, "working tree", **head)}  # type: ignore[arg-type]
    return describe(GateStarted(arms, ("thread-tcp", "asyncio-tcp"), 600.0))


def test_the_start_says_what_is_compared_and_how_long_it_takes() -> None:
    assert started() == [
        "base: base's code",
        "head: working tree",
        "2 scenarios (thread-tcp, asyncio-tcp), about 10 min 00 s left if nothing changed",
    ]


def test_uncommitted_changes_are_said() -> None:
    files = tuple(f"servers/{letter}.py" for letter in "abcde")
    assert any("servers/a.py, servers/b.py, servers/c.py and 2 more" in line for line in started(uncommitted=files))


def test_the_same_code_in_both_arms_is_said() -> None:
    arms = {arm: Build(arm, arm.value, code="12ab") for arm in Arm}
    assert any("both arms have the same servers/" in line for line in describe(GateStarted(arms, ("a",), 1.0)))


def test_a_round_is_a_line_with_its_ratios_and_what_comes_next() -> None:
    assert describe(MEASURED) == [
        "thread-tcp round 3: CPU/request +10.0%, throughput -9.1%; 3 of the 12 rounds of the first look "
        "(about 4 min 10 s left)"
    ]


def test_a_round_that_is_redone_or_failed_says_why() -> None:
    redone = RoundMeasured("a", GateRound(1, Arm.BASE, ROUND.base, ROUND.head, "steal"), 0, 12, Step(True, ""), 1.0)
    assert "to be redone: steal" in describe(redone)[0]
    broken = RoundMeasured(
        "a", GateRound(1, Arm.BASE, ROUND.base, failed("the server died").slot), 0, 12, Step(True, ""), 1.0
    )
    assert "head FAILED: the server died" in describe(broken)[0]


def test_lines_go_to_the_console_as_they_are() -> None:
    file = io.StringIO()
    with LineDisplay(Console(file=file, width=40), describe) as tell:
        tell(SlotStarted("a", 1, Arm.BASE, 1.0))
        tell(LeftOut("b", "base lacks it [sic]"))
    assert file.getvalue() == "b: not compared: base lacks it [sic]\n"


def test_the_picture_shows_each_scenario_and_the_slot_that_runs() -> None:
    file = io.StringIO()
    console = Console(file=file, width=110, force_terminal=True, color_system=None)
    with Picture(console) as tell:
        tell(GateStarted(BUILDS, ("thread-tcp", "asyncio-tcp"), 600.0))
        tell(SlotStarted("asyncio-tcp", 0, Arm.BASE, 600.0))
        tell(MEASURED)
    shown = file.getvalue()
    for text in ("asyncio-tcp: trial, base", "3/12", "+10.0%", "-9.1%", "to come"):
        assert text in shown
