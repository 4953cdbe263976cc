"""Several runs as one: their frames under each other, told apart by the column `run`, and what is wrong with each.

A path is a run folder, or a folder that holds run folders (`results/runs`). What was named and cannot be read is an
error. What is found inside a folder and cannot be read is left out and told, so that one broken run does not hide the
others. A run that was cut off, or whose cells are of several versions, is shown as far as it can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

import pandas as pd

from analysis import frames
from analysis.frames import Run
from analysis.report import appendix
from harness.schema import SchemaError
from harness.store import CELLS_FOLDER, RUN_FILE, StoreError

FRAMES = tuple(field.name for field in fields(Run) if get_type_hints(Run)[field.name] is pd.DataFrame)


@dataclass(frozen=True)
class Runs:
    """Runs as read, each under a name of its own, and what is missing or could not be read, in sentences."""

    runs: tuple[Run, ...]
    names: tuple[str, ...]
    problems: tuple[str, ...]

    def frame(self, name: str) -> pd.DataFrame:
        """Return a frame of all runs, one of `FRAMES`; its column `run` holds their names."""
        tables = [_named(getattr(run, name), own) for run, own in zip(self.runs, self.names, strict=True)]
        # A run without rows would turn the columns of the others into objects.
        filled = [table for table in tables if len(table)] or tables[:1]
        return pd.concat(filled, ignore_index=True)


def read_many(paths: Sequence[Path | str]) -> Runs:
    """Read one run, several, or folders of runs; a run that is named twice is read once.

    Raises StoreError or SchemaError where a path is neither a run folder nor a folder of runs, or nothing in it can be
    read.
    """
    runs: dict[Path, Run] = {}
    unreadable: list[str] = []
    for path in map(Path, paths):
        folders = [path] if _is_run(path) else sorted(filter(_is_run, _inside(path)))
        found = {folder.resolve(): run for folder in folders for run in _read(folder, folder is path, unreadable)}
        if not found:
            raise StoreError(_nothing(path, folders, unreadable))
        runs |= found
    names = _names(list(runs))
    problems = [
        f"{name}: {sentence}"
        for name, run in zip(names, runs.values(), strict=True)
        for sentence in appendix.missing(run)
    ]
    return Runs(tuple(runs.values()), names, (*unreadable, *problems))


def _read(folder: Path, named: bool, unreadable: list[str]) -> Iterator[Run]:
    try:
        yield frames.read(folder)
    except (StoreError, SchemaError) as error:
        if named:
            raise
        unreadable.append(f"{error}; the run is left out")


def _is_run(path: Path) -> bool:
    return (path / RUN_FILE).is_file() or (path / CELLS_FOLDER).is_dir()


def _inside(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error


def _nothing(path: Path, folders: Sequence[Path], unreadable: Sequence[str]) -> str:
    if folders:
        return f"no run in {path} can be read: {'; '.join(unreadable)}"
    return f"{path} is no run folder, nor does it hold any: there is no {RUN_FILE} (runs are made in results/runs)"


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return the name of each folder, with as many of its parents as it takes to tell it from the others."""
    deepest = max((len(folder.parts) for folder in folders), default=0)
    for count in range(1, deepest + 1):
        names = tuple("/".join(folder.parts[-count:]) for folder in folders)
        if len(set(names)) == len(names):
            return names
    return tuple(map(str, folders))


def _named(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a frame with the run's name in its column `run`, which becomes the first one."""
    rest = table.drop(columns="run", errors="ignore")
    rest.insert(0, "run", pd.Series([name] * len(rest), index=rest.index, dtype="str"))
    return rest
