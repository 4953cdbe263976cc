"""The load generator's command line, its deadline and its record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.bench import Bench
from harness.failure import CellFailure
from harness.generator import deadline_s, load_command, read_record
from harness.pinning import Pinning
from tests.harness.programs import make_scenario, make_task
from tests.harness.test_accounting import record_of, window


def command(bench: Bench, host: str = "127.0.0.1", pinning: Pinning | None = None, **chosen: Any) -> str:
    """Return the command line after the program's own words."""
    task = make_task(**chosen)
    task = replace(task, pinning=pinning or task.pinning, seed=42)
    words = load_command(task, {"host": host, "port": 9000}, Path("/tmp/x.json"), bench)
    return " ".join(words[len(bench.tools.loadgen) :])


def test_the_command_holds_what_the_scenario_chose(bench: Bench) -> None:
    line = command(bench, loads=("closed", "open:2000:constant"), warmup_s=0.5, window_s=1.5, pipeline=4)
    assert line == (
        "tcp://127.0.0.1:9000 --load closed --load open:2000:constant --connections 3 --warmup 0.5 --window 1.5 "
        "--payload 64 --pipeline 4 --timeout 1 --seed 42 --json /tmp/x.json"
    )


def test_the_generator_is_pinned_when_the_scenario_is(bench: Bench) -> None:
    assert command(bench, pinning=Pinning((0,), (1, 3), pinned=True)).endswith(" --cpus 1,3")


def test_an_address_of_version_6_stands_in_brackets(bench: Bench) -> None:
    assert command(bench, host="::1").startswith("tcp://[::1]:9000 ")


def test_the_deadline_covers_every_window_with_its_warmup_and_time_outs() -> None:
    scenario = make_scenario(loads=("closed", "open:9"), warmup_s=1.0, window_s=5.0, timeout_s=3.0)
    assert deadline_s(scenario, overhead_s=40.0) >= 40 + 2 * (1 + 5 + 3)


def write_record(path: Path, **changes: Any) -> Path:
    """Write a record of one closed window with changes."""
    path.write_text(json.dumps({**record_of([dict(window())]), **changes}), encoding="utf-8")
    return path


def test_a_whole_record_is_read(tmp_path: Path) -> None:
    path = write_record(tmp_path / "load.json")
    assert read_record(path, make_scenario())["requests_total"] == 100


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "echobench.load/2"}, "is of schema 'echobench.load/2'"),
        ({"windows": []}, r"holds the windows \[\], asked for were \['closed'\]"),
        ({"windows": [{"load": "closed"}]}, "lacks .*throughput_per_s"),
    ],
)
def test_a_record_that_can_not_be_used_is_told(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = write_record(tmp_path / "load.json", **changes)
    with pytest.raises(CellFailure, match=words):
        read_record(path, make_scenario())


def test_a_record_with_what_json_does_not_have_is_told(tmp_path: Path) -> None:
    path = write_record(tmp_path / "load.json", spin=float("nan"))
    with pytest.raises(CellFailure, match="can't be read: NaN is no JSON"):
        read_record(path, make_scenario())


@pytest.mark.parametrize("content", ["", '{"schema": "echobench.lo', "[]"])
def test_a_damaged_record_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "load.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CellFailure):
        read_record(path, make_scenario())
