"""The gate's trials: which are missing, how a stopped series goes on, what the table says, and the cost put in."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gate_figure, gate_table, gate_trials
from benchmarks.gate_injection import costly_tree, turns_of
from benchmarks.gate_trials import Trial
from tests.analysis.readable import assert_readable


def asked(**counts: Any) -> argparse.Namespace:
    """Return the options of a series."""
    options = {"same": 0, "cost": 0, "swapped": 0, "percent": [10.0], "models": ["asyncio", "thread"]}
    return argparse.Namespace(**options | counts)


def line(
    kind: str, model: str | None = None, *, ratio: float = 1.0, expected: float = 1.0, code: int = 0
) -> dict[str, Any]:
    """Return the line of a trial."""
    row = {"metric": "cpu_us_per_request", "scenario": f"{model or 'asyncio'}-tcp", "rounds": 12}
    row |= {"ratio": ratio, "low": 0.98 * ratio, "high": 1.02 * ratio, "verdict": "REGRESSION" if code else "PASS"}
    about = {
        "machine": "a machine",
        "started": "2026-11-22T20:00:00Z",
        "minutes": 4.0,
        "verdict": "PASS",
        "code": {"servers": "a"},
    }
    percent = 0.0 if model is None else 10.0
    return {
        "kind": kind,
        "model": model,
        "percent": percent,
        "rows": [row],
        "expected": expected,
        "exit_code": code,
        **about,
    }


def test_kinds_take_turns_and_what_is_there_is_not_tried_again() -> None:
    trials = gate_trials.wanted(asked(same=2, cost=1))
    assert trials == [Trial("same"), Trial("cost", "asyncio", 10.0), Trial("cost", "thread", 10.0), Trial("same")]
    left = list(gate_trials.missing(trials, [line("same"), line("cost", "thread")]))
    assert left == [Trial("cost", "asyncio", 10.0), Trial("same")]


def test_a_line_that_was_cut_short_is_no_trial_and_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "trials.jsonl"
    gate_trials.append(file, line("same"))
    with file.open("a") as opened:
        opened.write('{"kind": "sa')
    assert gate_trials.read_trials(file) == [line("same")]
    gate_trials.append(file, line("cost", "asyncio"))
    assert [each["kind"] for each in gate_trials.read_trials(file)] == ["same", "cost"]
    assert all(json.loads(text) for text in file.read_text().splitlines())


def test_the_table_stands_between_its_markers(tmp_path: Path) -> None:
    document = tmp_path / "gate.md"
    document.write_text(f"before\n{gate_table.BEGIN}\nan old table\n{gate_table.END}\nafter\n")
    trials = [line("same"), line("same"), line("cost", "asyncio", ratio=1.09, expected=1.10, code=1)]
    gate_table.write(document, trials, tmp_path / "no trace")
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{gate_table.END}\nafter\n")
    assert "an old table" not in text
    assert "| same | all three | nothing | 2 | 0 |" in text
    assert "| cost | asyncio | 10 % | 1 | 1 |" in text
    assert "0.90 (0.90 to 0.90)" in text
    assert "10 % were found in 1 of 1 trials, all models pooled (2.5 % to 100.0 %)." in text
    assert "No alarm in 2 gates of identical code bounds their rate at 77.6 %" in text


def test_the_picture_has_a_row_for_each_kind_and_model_and_a_mark_for_each_trial() -> None:
    costs = [
        line("cost", model, ratio=1.09, expected=1.10, code=1) for model in ("asyncio", "thread") for _ in range(5)
    ]
    swapped = line("swapped", "thread", ratio=0.91, expected=0.909)
    figure = gate_figure.draw([*[line("same")] * 12, *costs, swapped])
    assert_readable(figure)
    assert [label.get_text().split("\n") for label in figure.axes[0].get_yticklabels()] == [
        ["same", "asyncio"],
        ["cost", "asyncio"],
        ["cost", "thread"],
        ["swapped", "thread"],
    ]
    marks = [drawn for drawn in figure.axes[0].lines if drawn.get_marker() in set(gate_figure.MARKERS.values())]
    assert len(marks) == 12 + 10 + 1


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "gate.md"
    document.write_text("no markers")
    with pytest.raises(SystemExit, match="lacks the markers"):
        gate_table.write(document, [line("same")], tmp_path / "no trace")
    assert document.read_text() == "no markers"


def test_the_turns_of_the_loop_are_the_share_that_is_asked_for() -> None:
    assert turns_of(0.1, 0.001) == 100
    assert turns_of(0.0001, 0.001) == 1


def test_both_arms_of_a_trial_with_a_cost_have_the_loop_and_one_of_them_the_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_trials, "calibrate", lambda model, folder: 0.0011)
    dear, cheap, expected = gate_trials.arms_of(Trial("cost", "thread", 10.0), tmp_path)
    texts = [(folder / "servers/wire/tcp.py").read_text() for folder in (dear, cheap)]
    assert [text.split("_repeat(None, ")[1].split(")")[0] for text in texts] == ["91", "0"]
    assert expected == pytest.approx(1 + 91 * 0.0011)


def test_both_arms_of_a_trial_of_identical_code_are_the_servers_as_they_are(tmp_path: Path) -> None:
    head, base, expected = gate_trials.arms_of(Trial("same"), tmp_path)
    assert (head, expected) == (base, 1.0)
    assert "_repeat" not in (base / "servers/wire/tcp.py").read_text()


def test_the_costly_tree_answers_as_before(tmp_path: Path) -> None:
    folder = costly_tree(tmp_path, 1_000)
    program = """
from servers.wire.tcp import TcpProtocol
request = bytes.fromhex("eb01010100000004") + bytes(8) + b"abcd"
print(bytes(TcpProtocol([0] * 20).receive(request)).hex(), TcpProtocol.receive.__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["eb01010200000004" + "00" * 8 + b"abcd".hex(), "_costly"]
