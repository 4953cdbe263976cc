"""`echobench compare` and `echobench export` from the outside: exit codes, one sentence, and the files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from analysis import export
from harness.cli import main
from tests.analysis.canned import Setting, make_run
from tests.analysis.canned_cell import CannedModel

FAST = CannedModel("asyncio", 44_000, 0.01, 150_000, 16.0)
SLOW = CannedModel("thread", 40_000, 0.01, 150_000, 18.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six rounds with two models."""
    return make_run(tmp_path_factory.mktemp("runs") / "run", [FAST, SLOW], Setting(rounds=6)).folder


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run, on another kernel."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "elsewhere", [FAST], Setting(rounds=6, seed=2)).folder
    document = json.loads((folder / "run.json").read_text())
    document["environment"]["kernel"] = "Linux 7.0"
    (folder / "run.json").write_text(json.dumps(document))
    return folder


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("echobench: ")
    assert len(told.err.splitlines()) == 1
    return told.err


def test_a_comparison_is_0_and_writes_what_was_asked_for(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "c.json"), "--markdown", str(tmp_path / "c.md")]
    assert main(["compare", f"{run}:model=thread", f"{run}:model=asyncio", *files]) == 0
    assert "faster" in capsys.readouterr().out
    assert json.loads((tmp_path / "c.json").read_text())["schema"] == "echobench.compare/1"
    assert (tmp_path / "c.md").read_text().startswith("# Comparison of A with B\n")


def test_unlike_runs_are_2_and_named_and_compared_with_force(
    run: Path, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.json"
    assert main(["compare", str(run), str(elsewhere), "--json", str(file)]) == 2
    assert "kernel (A: Linux 6.1.0, B: Linux 7.0)" in one_sentence(capsys)
    assert not file.exists()
    assert main(["compare", str(run), str(elsewhere), "--force", "--json", str(file)]) == 0
    assert "Linux 7.0" in capsys.readouterr().out
    assert json.loads(file.read_text())["unlike"] == [{"name": "kernel", "a": "Linux 6.1.0", "b": "Linux 7.0"}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{run}", "{run}"], "hold the same cells"),
        (["{run}", "{nowhere}"], "is no run folder"),
        (["{run}:model=fork", "{run}:model=thread"], "no cell has model=fork"),
        (["{run}:model=asyncio", "{run}:model=thread", "--json", "{nowhere}/c.json"], "can't be written"),
        (["{run}:model=asyncio", "{run}:model=thread", "--markdown", "{nowhere}/c.md"], "can't be written"),
    ],
)
def test_a_comparison_that_can_not_be_is_2_and_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    names = {"run": run, "nowhere": tmp_path / "nowhere"}
    assert main(["compare", *(word.format_map(names) for word in words)]) == 2
    assert sentence in one_sentence(capsys)


def test_an_export_is_0_and_prints_the_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), "--to", str(tmp_path / "out"), "--format", "csv"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert str(tmp_path / "out" / "windows.csv") in told.out.splitlines()
    assert all(Path(line).is_file() for line in told.out.splitlines())


def test_an_export_tells_what_is_missing_and_is_0(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "runs" / "cut"))
    sorted((folder / "cells").iterdir())[0].unlink()
    assert main(["export", str(tmp_path / "runs"), "--to", str(tmp_path / "out"), "--format", "csv"]) == 0
    assert "echobench: cut: 1 of 12 planned cells cannot be shown" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_an_export_of_no_run_is_2_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["export", str(tmp_path / name), "--to", str(tmp_path / "out")]) == 2
    assert str(tmp_path / name) in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_parquet_without_pyarrow_is_2_and_says_what_to_install(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PYARROW", "no_such_pyarrow")
    assert main(["export", str(run), "--to", str(tmp_path), "--format", "parquet"]) == 2
    assert "pip install no_such_pyarrow" in one_sentence(capsys)


def test_runs_that_were_compared_are_left_as_they_were(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert main(["compare", f"{run}:model=thread", f"{run}:model=asyncio"]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
