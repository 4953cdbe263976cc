"""Cells near the ceiling: marked where a calibration of the same kind is there, and only there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.ceiling import Ceilings, mark_near_ceiling, read_ceilings
from tests.harness.calibrations import ENVIRONMENT, document, slot, whole
from tests.harness.fake_loadgen import window_record

KNOWN = Ceilings({("0:1", "tcp", False): 60_000.0, ("0:1", "tcp", True): 70_000.0})


def write(folder: Path, name: str = "a", **changes: Any) -> Path:
    """Write a calibration into a folder."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document(**changes)), encoding="utf-8")
    return path


def cell(rates: list[float], loads: list[str] | None = None, pin: str = "0:1", **record: Any) -> Any:
    """Return a measured cell with these throughputs."""
    named = zip(loads or ["closed"] * len(rates), rates, strict=True)
    windows = [{**window_record(load, 0, 1, 1.0), "throughput_per_s": rate} for load, rate in named]
    usual = {"transport": "tcp", "spin": False, "mode": "persistent", "pipeline": 1, "generator": {"processes": 1}}
    return {
        "scenario": {"pin": pin},
        "load": {**usual, "windows": windows, **record},
        "windows": [{"warnings": [{"kind": "steal", "figures": {}}]} for _ in rates],
    }


def marks(made: Any, ceilings: Ceilings = KNOWN) -> list[list[str]]:
    """Return the kinds of warnings of a cell's windows once it was looked at."""
    return [
        [record["kind"] for record in window["warnings"]] for window in mark_near_ceiling(made, ceilings)["windows"]
    ]


def test_a_closed_window_over_85_percent_of_the_ceiling_is_marked_with_both_figures() -> None:
    made = cell([51_000.0, 51_001.0, 90_000.0])
    assert marks(made) == [["steal"], ["steal", "near_ceiling"], ["steal", "near_ceiling"]]
    note = mark_near_ceiling(made, KNOWN)["windows"][1]["warnings"][1]
    assert note["figures"] == {"throughput_per_s": 51_001.0, "ceiling_per_s": 60_000.0}
    assert [len(window["warnings"]) for window in made["windows"]] == [1, 1, 1]


@pytest.mark.parametrize(
    "other",
    [
        {"loads": ["open:59000"]},
        {"pin": "none"},
        {"pin": "1:0"},
        {"transport": "udp"},
        {"spin": True},
        {"pipeline": 2},
        {"mode": "churn"},
        {"generator": {"processes": 2}},
    ],
)
def test_what_the_calibration_says_nothing_about_is_not_marked(other: dict[str, Any]) -> None:
    assert marks(cell([59_000.0], **other)) == [["steal"]]


def test_a_failed_cell_and_a_machine_without_calibration_stay_as_they_are() -> None:
    failed: Any = {"scenario": {"pin": "0:1"}, "load": None, "windows": []}
    assert mark_near_ceiling(failed, KNOWN) is failed
    assert marks(cell([59_000.0]), Ceilings()) == [["steal"]]


def test_ceilings_are_read_by_pin_transport_and_way_of_waiting(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_ceilings(tmp_path, ENVIRONMENT) == Ceilings(
        {
            ("0:1", "tcp", False): 60_000.0,
            ("0:1", "tcp", True): 65_000.0,
            ("0:1", "udp", False): 30_000.0,
            ("0:1", "udp", True): 32_500.0,
        }
    )


def test_the_newest_of_the_same_pinning_counts(tmp_path: Path) -> None:
    for name, started, rate in (("a", "2026-01-02", 1.0), ("b", "2026-01-04", 2.0), ("c", "2026-01-03", 3.0)):
        write(tmp_path, name, started=started, slots=[slot(throughput_per_s=rate)])
    write(tmp_path, "d", started="2026-01-09", pin="1:0", slots=[slot(throughput_per_s=4.0)])
    per_s = read_ceilings(tmp_path, ENVIRONMENT).per_s
    assert per_s == {("0:1", "tcp", False): 2.0, ("1:0", "tcp", False): 4.0}


def test_a_ceiling_that_was_the_servers_limit_is_not_used(tmp_path: Path) -> None:
    write(tmp_path, slots=[slot(limited_by="server"), *whole()[1:2]])
    assert read_ceilings(tmp_path, ENVIRONMENT).per_s == {("0:1", "udp", False): 29_000.0}


def test_another_machine_is_passed_over_in_silence(tmp_path: Path) -> None:
    write(tmp_path, environment={**ENVIRONMENT, "memory_bytes": 1})
    assert read_ceilings(tmp_path, ENVIRONMENT) == Ceilings()


def test_another_load_generator_is_told_and_not_used(tmp_path: Path) -> None:
    write(tmp_path, environment={**ENVIRONMENT, "code": {"loadgen": "older"}})
    found = read_ceilings(tmp_path, ENVIRONMENT)
    assert found.per_s == {}
    assert "(pinned 0:1) was made with another load generator, Python or kernel" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema": "echobench.calib', "is damaged or cut short"),
        (json.dumps(document(schema="echobench.calibration/9")), "is of schema 'echobench.calibration/9'"),
        (json.dumps({"schema": "echobench.calibration/1"}), "is damaged: it lacks environment, pin, started, windows"),
        (json.dumps(document(windows=[{}])), "is not shaped as a calibration"),
        (json.dumps(document(environment=3)), "is not shaped as a calibration"),
        (json.dumps(document(started=3)), "is not shaped as a calibration (TypeError('3 is no text'))"),
        (json.dumps(document(windows=[{**document()["windows"][0], "throughput_per_s": "x"}])), "is not shaped"),
    ],
)
def test_a_calibration_that_can_not_be_read_is_told_and_breaks_nothing(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "broken.json").write_text(text, encoding="utf-8")
    write(tmp_path, "whole")
    found = read_ceilings(tmp_path, ENVIRONMENT)
    assert found.per_s["0:1", "tcp", False] == 60_000.0
    assert words in found.notes[0]
    assert found.notes[0].endswith("; it is not used")


def test_no_folder_at_all_is_no_calibration(tmp_path: Path) -> None:
    assert read_ceilings(tmp_path / "nowhere", ENVIRONMENT) == Ceilings()
