"""Run folders: what a run writes, and what every reader of results reads. Standard library only.

    <UTC time>-<plan>/
        run.json                                    echobench.run/1: plan, environment, seed, order, state
        cells/<index>-<scenario>-r<round>.json      echobench.cell/1: one scenario in one round

Every file is written under a temporary name in the same folder, forced to the disk, and renamed: a reader sees all of
it or none, and a cell that has its name is whole whatever happens later. A run that is gone on with keeps the cells
that were measured as they are, and measures failed ones again.

Reading is strict. A document of another version is refused; a file that was cut short (by a copy, say) is skipped and
reported, never silently read.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from harness.schema import CALIBRATION_SCHEMA, CELL_SCHEMA, RUN_SCHEMA, Cell, require_schema, required_keys

RUN_FILE = "run.json"
CELLS_FOLDER = "cells"
CALIBRATION_KEYS = frozenset({"schema", "started", "pin", "environment", "windows"})
RUN_KEYS = frozenset({"schema", "plan", "environment", "seed", "order", "state"})


class StoreError(Exception):
    """Something can't be stored or read, as one sentence that names the path."""


def write_json(path: Path, document: Mapping[str, Any], indent: int | None = None) -> None:
    """Write a document so that it is there as a whole or not at all; raises StoreError."""
    text = json.dumps(document, indent=indent, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _force_to_disk(path.parent)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}") from error


def _force_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_run_folder(results: Path, name: str) -> Path:
    """Make the folder of a new run, with a number behind its name where that is taken; raises StoreError."""
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        folder = results / f"{name}{suffix}"
        try:
            (folder / CELLS_FOLDER).mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"{folder} can't be made: {error.strerror}") from error
    raise StoreError(f"{results} holds a hundred runs of the name {name}")


def latest_run(results: Path) -> Path | None:
    """Return the run folder that was started last, or None."""
    runs = [path.parent for path in results.glob(f"*/{RUN_FILE}")]
    return max(runs, key=lambda folder: folder.name, default=None)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process alone; raises StoreError while another one measures into it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{folder} is being measured by another echobench: {error.strerror}") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder for what need not be kept, and remove it afterwards; raises StoreError."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="echobench-")
    except OSError as error:
        raise StoreError(f"no temporary folder can be made: {error}") from error
    with folder as name:
        yield Path(name)


def cell_path(folder: Path, index: int, scenario: str, round_: int) -> Path:
    """Return where a cell is stored."""
    return folder / CELLS_FOLDER / f"{index:03d}-{scenario}-r{round_}.json"


def write_run(folder: Path, document: Mapping[str, Any]) -> None:
    """Write a run's own document; raises StoreError."""
    write_json(folder / RUN_FILE, document, indent=1)


def read_run(folder: Path) -> dict[str, Any]:
    """Return a run's own document.

    Raises StoreError where there is none or it is damaged, SchemaError where it is of another version.
    """
    path = folder / RUN_FILE
    document = _read_object(path)
    require_schema(document, RUN_SCHEMA, str(path))
    _require_keys(document, RUN_KEYS, path)
    return document


def read_cell(path: Path) -> Cell:
    """Return one cell.

    Raises StoreError where it can't be read or is damaged, SchemaError where it is of another version.
    """
    document = _read_object(path)
    require_schema(document, CELL_SCHEMA, str(path))
    _require_keys(document, required_keys(Cell), path)
    return cast(Cell, document)


def read_calibration(path: Path) -> dict[str, Any]:
    """Return one calibration.

    Raises StoreError where it can't be read or is damaged, SchemaError where it is of another version.
    """
    document = _read_object(path)
    require_schema(document, CALIBRATION_SCHEMA, str(path))
    _require_keys(document, CALIBRATION_KEYS, path)
    return document


def make_writable(folder: Path) -> None:
    """Make a folder where there is none, and see that it can be written to; raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(f"{folder} can't be written to: {error.strerror}") from error


def read_cells(folder: Path) -> tuple[list[Cell], list[str]]:
    """Return all cells of a run, failed ones too, in the order of measuring, and a sentence for each that is damaged.

    Raises SchemaError where a cell is of another version.
    """
    cells: list[Cell] = []
    problems: list[str] = []
    for path in sorted((folder / CELLS_FOLDER).glob("*.json"), key=_index):
        try:
            cells.append(read_cell(path))
        except StoreError as error:
            problems.append(f"{error}; it is skipped")
    return cells, problems


def _index(path: Path) -> tuple[int, str]:
    """Return a cell's place in the order of measuring, as its file's name has it."""
    index = path.name.partition("-")[0]
    return (int(index) if index.isdecimal() else 0), path.name


def _missing(path: Path) -> str:
    if path.name == RUN_FILE:
        return f"{path.parent} is no run folder: it has no {RUN_FILE} (runs are made in results/runs)"
    return f"{path} does not exist"


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(_missing(path)) from error
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise StoreError(f"{path} is damaged or cut short ({error})") from error
    if not isinstance(document, dict):
        raise StoreError(f"{path} is damaged: it holds no JSON object")
    return document


def _require_keys(document: Mapping[str, Any], keys: frozenset[str], path: Path) -> None:
    missing = sorted(keys - document.keys())
    if missing:
        raise StoreError(f"{path} is damaged: it lacks {', '.join(missing)}")
