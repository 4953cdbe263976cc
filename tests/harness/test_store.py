"""Run folders: all or nothing when written, strict when read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.schema import CELL_SCHEMA, RUN_SCHEMA, Cell, SchemaError
from harness.store import (
    StoreError,
    cell_path,
    latest_run,
    make_run_folder,
    read_cell,
    read_cells,
    read_run,
    sole_writer,
    write_json,
    write_run,
)

RUN: dict[str, Any] = {"schema": RUN_SCHEMA, "plan": {}, "environment": {}, "seed": 1, "order": [], "state": "done"}


def small_cell(**changes: Any) -> dict[str, Any]:
    """Return a cell with every key that the schema asks for."""
    return {**dict.fromkeys(Cell.__required_keys__), "schema": CELL_SCHEMA, **changes}


def write_cell(folder: Path, index: int, **changes: Any) -> Path:
    """Write a small cell into a run folder."""
    path = cell_path(folder, index, "good-tcp", 1)
    write_json(path, small_cell(**changes))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a run folder with its document."""
    made = make_run_folder(tmp_path, "20260102T030405Z-quick")
    write_run(made, RUN)
    return made


def test_what_is_written_is_read_again(folder: Path) -> None:
    write_cell(folder, 0, round=1)
    write_cell(folder, 1, round=2)
    assert read_run(folder) == RUN
    cells, problems = read_cells(folder)
    assert [cell["round"] for cell in cells] == [1, 2]
    assert problems == []


def test_cells_come_in_the_order_of_measuring_also_beyond_a_thousand(folder: Path) -> None:
    for index in (1000, 2, 10, 999):
        write_cell(folder, index, round=index)
    cells, _ = read_cells(folder)
    assert [cell["round"] for cell in cells] == [2, 10, 999, 1000]


def test_a_cell_that_is_cut_short_is_reported_and_skipped(folder: Path) -> None:
    whole, cut = write_cell(folder, 0), write_cell(folder, 1)
    cut.write_bytes(cut.read_bytes()[:-20])
    cells, problems = read_cells(folder)
    assert len(cells) == 1
    assert len(problems) == 1
    assert str(cut) in problems[0]
    assert "damaged or cut short" in problems[0]
    assert whole.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"schema": "echobench.cell/1"}'])
def test_a_damaged_cell_is_reported_and_skipped(folder: Path, content: bytes) -> None:
    path = write_cell(folder, 0)
    path.write_bytes(content)
    cells, problems = read_cells(folder)
    assert cells == []
    assert "is damaged" in problems[0]


def test_a_cell_of_another_version_is_refused(folder: Path) -> None:
    path = write_cell(folder, 0, schema="echobench.cell/2")
    with pytest.raises(
        SchemaError, match=r"000-good-tcp-r1\.json is of schema 'echobench\.cell/2'.*'echobench\.cell/1'"
    ):
        read_cells(folder)
    with pytest.raises(SchemaError):
        read_cell(path)


def test_a_run_of_another_version_is_refused(folder: Path) -> None:
    write_run(folder, {**RUN, "schema": "echobench.run/2"})
    with pytest.raises(SchemaError, match=r"run\.json is of schema 'echobench\.run/2'"):
        read_run(folder)


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is no run folder: it has no run\.json"):
        read_run(tmp_path)


def test_a_run_that_lacks_something_is_told(folder: Path) -> None:
    write_run(folder, {key: value for key, value in RUN.items() if key != "order"})
    with pytest.raises(StoreError, match="it lacks order"):
        read_run(folder)


def test_leftovers_of_a_broken_write_are_no_cells(folder: Path) -> None:
    (folder / "cells" / ".000-good-tcp-r1.json.tmp").write_text('{"schema"', encoding="utf-8")
    assert read_cells(folder) == ([], [])


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    names = [make_run_folder(tmp_path, "now-quick").name for _ in range(3)]
    assert names == ["now-quick", "now-quick-2", "now-quick-3"]


def test_the_latest_run_is_the_one_that_was_started_last(tmp_path: Path) -> None:
    assert latest_run(tmp_path / "nowhere") is None
    for name in ("20260102T030405Z-quick", "20260102T030406Z-full", "20250101T000000Z-quick"):
        write_run(make_run_folder(tmp_path, name), RUN)
    (tmp_path / "29990101T000000Z-no-run").mkdir()
    latest = latest_run(tmp_path)
    assert latest is not None
    assert latest.name == "20260102T030406Z-full"


def test_a_folder_that_can_not_be_made_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match=r"file/runs/x can't be made: Not a directory"):
        make_run_folder(tmp_path / "file" / "runs", "x")


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that this process may not write into, whoever runs the tests."""
    place = tmp_path / "locked"
    place.mkdir(mode=0o555)
    if os.geteuid() != 0:
        yield place
        return
    os.seteuid(65_534)
    try:
        yield place
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_told_with_its_path(nobody: Path) -> None:
    with pytest.raises(StoreError, match=r"locked/now-quick can't be made: Permission denied"):
        make_run_folder(nobody, "now-quick")
    with pytest.raises(StoreError, match=r"locked/run\.json can't be written: Permission denied"):
        write_run(nobody, RUN)


def test_figures_that_are_no_numbers_are_never_stored(folder: Path) -> None:
    with pytest.raises(ValueError):
        write_json(folder / "cells" / "x.json", {"cpu_s": float("nan")})


def test_a_second_writer_is_refused_until_the_first_is_gone(folder: Path) -> None:
    source = (
        "import sys; from pathlib import Path; from harness.store import sole_writer\n"
        f"with sole_writer(Path({str(folder)!r})): print('holds', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"holds\n"
        with pytest.raises(StoreError, match="is being measured by another echobench"), sole_writer(folder):
            pass
        holder.communicate(b"\n")
    with sole_writer(folder):
        pass


def test_a_write_that_fails_leaves_the_old_file_and_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_cell(folder, 0, round=1)
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StoreError, match=r"000-good-tcp-r1\.json can't be written: No space left on device"):
        write_json(path, small_cell(round=2))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 64 KiB; skip where that is not allowed."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_what_was_stored_stays_whole(tiny_disk: Path) -> None:
    folder = make_run_folder(tiny_disk, "run")
    write_run(folder, RUN)
    written = 0

    def fill() -> None:
        nonlocal written
        for index in range(100):
            write_cell(folder, index, failure="x" * 5_000)
            written += 1

    with pytest.raises(StoreError, match=r"can't be written: No space left on device"):
        fill()
    cells, problems = read_cells(folder)
    assert 0 < len(cells) == written
    assert problems == []
    assert json.loads((folder / "run.json").read_text(encoding="utf-8")) == RUN
