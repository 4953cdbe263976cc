"""What the harness's tests work with: a watch over real children, and fake programs one level down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.bench import Bench, Deadlines, Event
from harness.interrupts import Interrupts
from harness.supervise import Guard, Watch
from tests.harness.programs import ALLOWED_CPUS, make_tools


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """Take the signals for the length of a test."""
    with Interrupts() as taken:
        yield taken


@pytest.fixture
def watch(interrupts: Interrupts) -> Iterator[Watch]:
    """Give a watch with its guard."""
    with Guard() as guard, Watch(interrupts, guard) as made:
        yield made


@pytest.fixture
def told() -> list[Event]:
    """Collect what a bench tells its observer."""
    return []


@pytest.fixture
def bench(watch: Watch, told: list[Event], tmp_path: Path) -> Bench:
    """Give a bench with the fake programs and short deadlines."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    deadlines = Deadlines(ready_s=5, stop_s=5, load_overhead_s=10)
    return Bench(watch, ALLOWED_CPUS, told.append, scratch, make_tools("good"), deadlines)
