"""What a report tells beside throughput and response times: what became of datagrams, what connecting took."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import report
from tests.analysis.canned import QUICK, Setting, make_run


def report_of(folder: Path, scenario: dict[str, str], change: Callable[[dict[str, Any]], None]) -> str:
    """Return the Markdown of a run whose windows were changed."""
    make_run(folder, QUICK[:1], Setting(conditions=(scenario,)))
    for file in sorted((folder / "cells").iterdir()):
        cell = json.loads(file.read_text(encoding="utf-8"))
        for window, watched in zip(cell["load"]["windows"], cell["windows"], strict=True):
            change(window)
            watched["kernel"] |= {"udp_drops_server": 5, "udp_drops_loadgen": 0}
        file.write_text(json.dumps(cell), encoding="utf-8")
    report.write_report(folder)
    return (folder / "report.md").read_text(encoding="utf-8")


def takes(window: dict[str, Any], clock: str, p50_ns: float) -> None:
    """Give a window a summary of how long something took."""
    window[clock] = window["response_time_ns"] | {"p50": p50_ns, "p99": 3 * p50_ns}


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_under_churn_connects_have_a_chapter_and_handshakes_a_column_where_there_are_any(
    tmp_path: Path, transport: str
) -> None:
    def change(window: dict[str, Any]) -> None:
        takes(window, "connect_time_ns", 40_000)
        if transport == "ws":
            takes(window, "handshake_time_ns", 1_500_000)

    text = report_of(tmp_path / "run", {"mode": "churn", "transport": transport}, change)
    assert "Connect time under churn" in text
    assert "| 0.0400" in text
    assert ("Handshake p50, ms" in text) == (transport == "ws")
    assert ("4.50" in text) == (transport == "ws")


def test_lost_and_dropped_datagrams_are_added_up_over_rounds(tmp_path: Path) -> None:
    text = report_of(tmp_path / "run", {"transport": "udp"}, lambda window: window.update(lost=7))
    row = next(line for line in text.splitlines() if "fork" in line and "| 21 |" in line)
    assert "| 15 |" in row


def test_without_churn_and_datagrams_there_is_neither_chapter(tmp_path: Path) -> None:
    text = report_of(tmp_path / "run", {}, lambda _window: None)
    assert "Connect time under churn" not in text
    assert "What became of datagrams" not in text
