"""The load generator's command line, its deadline and its record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.bench import Bench
from harness.failure import CellFailure
from harness.generator import deadline_s, expected_s, load_command, read_record
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
        "tcp://127.0.0.1:9000 --load closed --load open:2000:constant --connections 3 --idle 0 --mode persistent "
        "--warmup 0.5 --window 1.5 --payload 64 --pipeline 4 --timeout 1 --seed 42 --json /tmp/x.json"
    )


def test_the_generator_is_pinned_when_the_scenario_is(bench: Bench) -> None:
    assert command(bench, pinning=Pinning((0,), (1, 3), pinned=True)).endswith(" --cpus 1,3")


def test_an_address_of_version_6_stands_in_brackets(bench: Bench) -> None:
    assert command(bench, host="::1").startswith("tcp://[::1]:9000 ")


def test_the_deadline_covers_every_window_with_its_warmup_and_time_outs() -> None:
    scenario = make_scenario(loads=("closed", "open:9"), warmup_s=1.0, window_s=5.0, timeout_s=3.0)
    assert deadline_s(scenario, overhead_s=40.0) >= 40 + 2 * (1 + 5 + 3)


def test_the_deadline_grows_with_the_connections() -> None:
    few, many = (deadline_s(make_scenario(connections=count, idle=count), 40.0) for count in (1, 5_000))
    assert many - few >= 20


def test_a_sweep_counts_as_many_windows_as_it_has_steps() -> None:
    scenario = make_scenario(loads=("closed", "sweep:5"), warmup_s=1.0, window_s=5.0, timeout_s=3.0)
    assert scenario.windows == ["closed", *(f"sweep {step} of 5" for step in range(1, 6))]
    assert expected_s(scenario) == 6 * (1 + 5)
    assert deadline_s(scenario, overhead_s=40.0) >= 40 + 6 * (1 + 5 + 3)


def test_a_sweep_is_passed_on_as_it_stands_in_the_plan(bench: Bench) -> None:
    assert "--load closed --load sweep:5 --connections" in command(bench, loads=("closed", "sweep:5"))


def test_a_spinning_generator_is_asked_for_by_the_task(bench: Bench) -> None:
    words = load_command(replace(make_task(), spin=True), {"host": "127.0.0.1", "port": 9}, Path("/tmp/x.json"), bench)
    assert words.count("--spin") == 1


def swept(number: int, of: int = 3) -> dict[str, Any]:
    """Return a window of a sweep as it is recorded: its real rate, and its step."""
    return {**window(load=f"open:{number * 777}"), "sweep": {"step": number, "of": of, "fraction": 0.5}}


def test_the_steps_of_a_sweep_are_known_by_their_number_whatever_their_rate(tmp_path: Path) -> None:
    scenario = make_scenario(loads=("closed", "sweep:3"))
    whole = [dict(window()), *map(swept, (1, 2, 3))]
    record = read_record(write_record(tmp_path / "load.json", windows=whole), scenario)
    assert len(record["windows"]) == 4
    for wrong in (
        whole[:3],
        [whole[0], whole[2], whole[1], whole[3]],
        [whole[0], *[dict(window(load="open:777"))] * 3],
    ):
        with pytest.raises(CellFailure, match=r"asked for were \['closed', 'sweep 1 of 3'"):
            read_record(write_record(tmp_path / "load.json", windows=wrong), scenario)


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
