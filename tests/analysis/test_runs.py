"""Several runs read as one: told apart, and what is wrong with each is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from analysis.runs import FRAMES, Runs, read_many
from harness.schema import SchemaError
from harness.store import StoreError
from tests.analysis.canned import QUICK, Setting, make_run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two runs, two models each, one of two rounds and one of three."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "first", QUICK[:2], Setting(rounds=2))
    make_run(folder / "second", QUICK[:2], Setting(rounds=3, seed=2))
    return folder


def counts(runs: Runs, frame: str = "cells") -> dict[str, int]:
    return dict(runs.frame(frame).groupby("run").size())


def test_one_run_has_its_name_in_every_frame(results: Path) -> None:
    runs = read_many([results / "first"])
    assert all(set(runs.frame(name)["run"]) <= {"first"} for name in FRAMES)
    assert {"cells", "windows", "percentiles"} <= set(FRAMES)
    assert runs.problems == ()


def test_several_runs_are_told_apart_by_their_column(results: Path) -> None:
    runs = read_many([results / "second", results / "first"])
    assert counts(runs) == {"second": 6, "first": 4}
    assert counts(runs, "windows") == {"second": 12, "first": 8}


def test_a_folder_of_runs_is_all_of_them(results: Path) -> None:
    assert counts(read_many([results])) == {"first": 4, "second": 6}


def test_a_run_that_is_named_twice_is_read_once(results: Path) -> None:
    runs = read_many([results / "first", results, results / "second" / ".." / "first"])
    assert counts(runs) == {"first": 4, "second": 6}


def test_runs_of_one_name_are_told_apart_by_the_folders_above(results: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "there" / "first", QUICK[:1]).folder
    assert set(counts(read_many([results / "first", other]))) == {f"{results.name}/first", "there/first"}


def test_types_survive_a_run_without_cells(results: Path, tmp_path: Path) -> None:
    empty = make_run(tmp_path / "empty", []).folder
    alone, both = read_many([results / "first"]), read_many([empty, results / "first"])
    for name in FRAMES:
        assert both.frame(name).dtypes.equals(alone.frame(name).dtypes)
    assert read_many([empty]).frame("windows").empty


def test_what_is_missing_is_told_with_its_run(results: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(results, tmp_path / "runs"))
    document = json.loads((folder / "first" / "run.json").read_text())
    (folder / "first" / "run.json").write_text(json.dumps(document | {"state": "interrupted"}))
    sorted((folder / "first" / "cells").iterdir())[-1].unlink()
    broken = sorted((folder / "second" / "cells").iterdir())[0]
    broken.write_text(broken.read_text()[:100])
    runs = read_many([folder])
    assert counts(runs) == {"first": 3, "second": 5}
    assert any(text.startswith("first: ") and "interrupted" in text for text in runs.problems)
    assert any(text.startswith("first: 1 of 4 planned cells") for text in runs.problems)
    assert any(text.startswith("second: ") and broken.name in text for text in runs.problems)


def test_a_cell_of_another_version_is_told_and_the_others_are_shown(results: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(results / "first", tmp_path / "first"))
    path = sorted((folder / "cells").iterdir())[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": "echobench.cell/9"}))
    runs = read_many([folder])
    assert counts(runs) == {"first": 3}
    assert "echobench.cell/9" in runs.problems[0]


def test_a_run_that_can_not_be_read_hides_no_other_one_of_its_folder(results: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(results, tmp_path / "runs"))
    shutil.rmtree(folder / "second" / "cells")
    (folder / "second" / "run.json").write_text("{")
    runs = read_many([folder])
    assert counts(runs) == {"first": 4}
    assert "second" in runs.problems[0]
    assert "left out" in runs.problems[0]


def test_a_run_that_was_named_and_can_not_be_read_is_an_error(results: Path, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "new", []).folder
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(document | {"schema": "echobench.run/9"}))
    with pytest.raises(SchemaError, match=r"echobench\.run/9"):
        read_many([results / "first", folder])
    with pytest.raises(StoreError, match=r"no run in .* can be read: .*echobench\.run/9"):
        read_many([tmp_path])


@pytest.mark.parametrize("name", ["", "nowhere", "file"])
def test_a_path_without_runs_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / name
    with pytest.raises(StoreError, match=str(path)):
        read_many([path])
