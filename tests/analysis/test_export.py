"""Frames as files: every row and column comes back, and the columns are described."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from analysis import export
from analysis.export import ExportError
from analysis.runs import FRAMES, Runs, read_many
from harness.schema import WarningKind, warning
from harness.store import StoreError
from tests.analysis.canned import QUICK, Setting, make_run
from tests.analysis.canned_cell import CannedModel

needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow, an extra, is not installed")

HOSTILE = CannedModel(
    "fork",
    unanswered_share=0.02,
    warnings=(warning(WarningKind.STEAL, share=0.1),),
    unavailable=(("server.pss_bytes", 'no, "never"\nat all'),),
    failed_rounds=(2,),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Two small runs, with unanswered requests, a failed cell, and words that need quoting."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "first", [HOSTILE, QUICK[1]], Setting(rounds=2))
    make_run(folder / "second", QUICK[:1], Setting(rounds=1, seed=2))
    return read_many([folder])


def read_csv(path: Path, name: str) -> pd.DataFrame:
    texts = {column.name: "str" for column in export.described(name) if column.type in {"str", "object"}}
    return pd.read_csv(
        path,
        dtype=texts,
        keep_default_na=False,
        na_values={column.name: [""] for column in export.described(name) if column.type == "float64"},
    )


@pytest.mark.parametrize("name", FRAMES)
def test_every_column_of_every_frame_is_described(runs: Runs, name: str) -> None:
    assert [column.name for column in export.described(name)] == list(runs.frame(name).columns)


def test_csv_holds_every_figure_as_it_is(runs: Runs, tmp_path: Path) -> None:
    written = export.write(runs, tmp_path / "out", ["csv"])
    assert [path.name for path in written] == [*(f"{name}.csv" for name in FRAMES), "columns.md"]
    for name in FRAMES:
        pd.testing.assert_frame_equal(
            read_csv(tmp_path / "out" / f"{name}.csv", name), export.flat(runs.frame(name)), check_dtype=False
        )


def test_what_was_never_answered_is_infinite_and_what_is_not_there_empty(runs: Runs, tmp_path: Path) -> None:
    export.write(runs, tmp_path, ["csv"])
    windows = read_csv(tmp_path / "windows.csv", "windows")
    own = windows[(windows["base_model"] == "fork") & (windows["kind"] == "open") & (windows["run"] == "first")]
    assert [math.isinf(value) for value in own["response_time_p99_ns"]] == [True]
    assert own["response_time_p99.9_ns"].isna().all()


def test_several_words_are_one_text(runs: Runs) -> None:
    windows = export.flat(runs.frame("windows"))
    own = windows[(windows["base_model"] == "fork") & (windows["run"] == "first")]
    assert set(own["warnings"]) == {"steal; unanswered"}
    assert set(own["unavailable"]) == {'server.pss_bytes: no, "never"\nat all'}


@needs_pyarrow
def test_parquet_holds_the_same_with_types(runs: Runs, tmp_path: Path) -> None:
    export.write(runs, tmp_path, ["parquet"])
    for name in FRAMES:
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), export.flat(runs.frame(name)))


def test_parquet_without_pyarrow_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PYARROW", "no_such_pyarrow")
    with pytest.raises(ExportError, match="--format parquet needs no_such_pyarrow, which is not installed"):
        export.formats("parquet")
    assert export.formats("csv") == ("csv",)
    assert export.formats(None) == ("csv",)


@needs_pyarrow
def test_both_formats_are_written_where_they_can_be() -> None:
    assert export.formats(None) == ("csv", "parquet")
    assert export.formats("parquet") == ("parquet",)


def test_the_description_names_type_unit_and_meaning_and_what_is_missing(runs: Runs, tmp_path: Path) -> None:
    export.write(runs, tmp_path, ["csv"])
    text = (tmp_path / "columns.md").read_text()
    assert "echobench.export/1" in text
    assert "| cpu\\_us\\_per\\_request | float64 | us | CPU time of the server's tree / replies received |" in text
    assert "| warnings | text |" in text
    assert "* first" in text


def test_frames_without_rows_are_written_with_their_columns(tmp_path: Path) -> None:
    empty = read_many([make_run(tmp_path / "empty", []).folder])
    export.write(empty, tmp_path / "out", ["csv"])
    assert (tmp_path / "out" / "cells.csv").read_text().startswith("run,file,condition,")


def test_a_place_that_can_not_be_written_is_named_and_nothing_half_stays(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "cells.csv").mkdir()
    with pytest.raises(StoreError, match=f"{tmp_path} can't be written to"):
        export.write(runs, tmp_path, ["csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["cells.csv"]
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written to"):
        export.write(runs, tmp_path / "file", ["csv"])
