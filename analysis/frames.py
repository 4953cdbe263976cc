"""A run folder as tidy pandas frames: `cells`, `windows`, `percentiles`, `per_second`, `resources`.

Their columns stand in `analysis.columns`. Everything that the analysis says is derived from these frames, never from
files again. A cell that cannot be read, or that is not shaped as a cell, is left out of all of them and told in
`problems`; a histogram that is damaged takes only its window out of `percentiles`, a damaged time series only its cell
out of `resources`. Windows of failed cells are kept, with their `outcome`, and take no part in any figure over rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import conditions, curves, series
from analysis.columns import CELLS, PER_SECOND, PERCENTILES, RESOURCES, SHAPE_ERRORS, WINDOWS, Column, checked
from analysis.window_rows import number, reasons, seen, watched
from harness import store
from harness.schema import Cell, Load, SchemaError
from harness.store import StoreError

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A run as read: its document (`run.json`), its frames, and what could not be read, in sentences."""

    path: Path
    document: Mapping[str, Any]
    cells: pd.DataFrame
    windows: pd.DataFrame
    percentiles: pd.DataFrame
    per_second: pd.DataFrame
    resources: pd.DataFrame
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Told:
    """What one cell tells: its row, those of its windows and their seconds, its histograms, its samples if any."""

    cell: Row
    windows: Sequence[Row]
    histograms: Sequence[curves.Part]
    seconds: Sequence[Row]
    samples: pd.DataFrame | None


def read(run_dir: Path | str) -> Run:
    """Read a run folder into frames.

    Raises StoreError or SchemaError where `run.json` can't be read and there is no cell to show without it.
    """
    run_dir = Path(run_dir)
    problems: list[str] = []
    stored = list(_stored(run_dir, problems))
    document = _document(run_dir, problems, required=not stored)
    cpus = _server_cpus(cell for _, cell in stored)
    labels = conditions.labels((cell["scenario"] for _, cell in stored), cpus)
    told: dict[tuple[str, str, int], _Told] = {}
    for file, cell in stored:
        try:
            found = _told({"run": run_dir.name, "file": file} | _scenario(cell, labels, cpus), cell, problems)
        except SHAPE_ERRORS as error:
            problems.append(f"{file} is not shaped as a cell ({error!r}); it is left out")
            continue
        row = found.cell
        first = told.setdefault((row["condition"], row["model"], row["round"]), found)
        if first is not found:
            problems.append(f"{file} is the same scenario and round as {first.cell['file']}; it is left out")
    return _run(run_dir, document, tuple(told.values()), tuple(problems))


def _told(base: Row, cell: Cell, problems: list[str]) -> _Told:
    row = checked(_cell(base, cell), CELLS)
    windows = [checked(window, WINDOWS) for window in _windows(base, cell)]
    return _Told(
        row,
        windows,
        tuple(curves.parts(cell, windows, problems)),
        tuple(series.seconds(cell, windows, problems)),
        series.samples(cell, row, problems),
    )


def _run(path: Path, document: Mapping[str, Any], told: Sequence[_Told], problems: tuple[str, ...]) -> Run:
    return Run(
        path=path,
        document=document,
        cells=frame((each.cell for each in told), CELLS),
        windows=frame((row for each in told for row in each.windows), WINDOWS),
        percentiles=frame(curves.points(part for each in told for part in each.histograms), PERCENTILES),
        per_second=frame((row for each in told for row in each.seconds), PER_SECOND),
        resources=_joined([each.samples for each in told if each.samples is not None], RESOURCES),
        problems=problems,
    )


def _stored(run_dir: Path, problems: list[str]) -> Iterator[tuple[str, Cell]]:
    """Yield each cell with its file, relative to the run folder, in the order of measuring."""
    for path in sorted((run_dir / store.CELLS_FOLDER).glob("*.json")):
        try:
            cell = store.read_cell(path)
            conditions.identity(cell["scenario"])
        except (StoreError, SchemaError) as error:
            problems.append(f"{error}; it is left out")
        except AttributeError:
            problems.append(f"{path} is damaged: its scenario is no table; it is left out")
        else:
            yield f"{store.CELLS_FOLDER}/{path.name}", cell


def _document(run_dir: Path, problems: list[str], required: bool) -> Mapping[str, Any]:
    try:
        return store.read_run(run_dir)
    except (StoreError, SchemaError) as error:
        if required:
            raise
        problems.append(f"{error}; plan and environment of the run are unknown")
        return {}


def frame(rows: Iterable[Row], columns: Sequence[Column]) -> pd.DataFrame:
    """Return rows as a frame with exactly the given columns and types; without rows it is empty but whole."""
    names = [column.name for column in columns]
    table = pd.DataFrame(list(rows), columns=names)
    return table.astype({column.name: column.type for column in columns})


def _joined(parts: Sequence[pd.DataFrame], columns: Sequence[Column]) -> pd.DataFrame:
    """Return frames one under the other, with exactly the given columns and types; none make an empty whole one."""
    found = pd.concat(parts, ignore_index=True)[[column.name for column in columns]] if parts else frame((), columns)
    return found.astype({column.name: column.type for column in columns})


def _server_cpus(cells: Iterable[Cell]) -> dict[str, str]:
    """Return the CPUs of the server by condition: windows tell what `auto` came to, a failed cell may not."""
    found: dict[str, str] = {}
    for cell in cells:
        condition = conditions.identity(cell["scenario"])
        try:
            used = [cpu for window in cell["windows"][:1] for cpu in window["server"].get("cpus") or ()]
        except SHAPE_ERRORS:
            continue  # the cell is told, and left out, when its rows are made
        if used or condition not in found:
            found[condition] = conditions.server_cpus(str(cell["scenario"].get("pin", "")), used)
    return found


def _scenario(cell: Cell, labels: Mapping[str, str], cpus: Mapping[str, str]) -> Row:
    scenario = cell["scenario"]
    condition = conditions.identity(scenario)
    return {
        "condition": condition,
        "label": labels[condition],
        "model": conditions.contender(scenario),
        "base_model": str(scenario["model"]),
        "transport": str(scenario["transport"]),
        "connections": int(scenario["connections"]),
        "idle": int(scenario.get("idle", 0)),
        "payload": str(scenario.get("payload", "")),
        "mode": str(scenario.get("mode", "persistent")),
        "pipeline": int(scenario.get("pipeline", 1)),
        "work": str(scenario.get("work", "echo")),
        "pin": str(scenario.get("pin", "")),
        "server_cpus": cpus.get(condition, ""),
        "python": str(scenario.get("python") or "default"),
        "round": int(cell["round"]),
        "outcome": cell["outcome"],
    }


def _cell(base: Row, cell: Cell) -> Row:
    load, memory, server = cell["load"], cell["memory"], cell["server"]
    return base | {
        "failure": cell["failure"] or "",
        "started": cell["started"],
        "exit_code": number(server["exit_code"]),
        "timeout_s": number(load["timeout_s"] if load else None),
        "requests_total": number(load["requests_total"] if load else None),
        "server_python": str((server["ready"] or {}).get("python", "")),
        "server_gil": _gil(server["ready"] or {}),
        "baseline_pss_bytes": number(memory["baseline_pss_bytes"]),
        "connected_pss_bytes": number(memory["connected_pss_bytes"]),
        "baseline_own_pss_bytes": number(memory.get("baseline_own_pss_bytes")),
        "connected_own_pss_bytes": number(memory.get("connected_own_pss_bytes")),
        "bytes_per_connection": number(memory["bytes_per_connection"]),
        "unavailable": reasons(cell.get("unavailable")),
    }


def _gil(ready: Mapping[str, Any]) -> str:
    return ("on" if ready["gil"] else "off") if isinstance(ready.get("gil"), bool) else ""


def _windows(base: Row, cell: Cell) -> Iterator[Row]:
    """Yield a row for each window that both sides have measured."""
    load = cell["load"]
    if load is None:
        return
    for index, (by_load, by_harness) in enumerate(zip(load["windows"], cell["windows"], strict=True)):
        what, sweep = Load.parse(by_load["load"]), by_load.get("sweep")
        yield base | {
            "window": index,
            "load": by_load["load"],
            "kind": what.kind,
            "rate_per_s": what.rate_per_s if what.kind == "open" else math.nan,
            "offered_per_s": by_load["due"] / by_load["window_s"] if what.kind == "open" else math.nan,
            "sweep_step": float(sweep["step"]) if sweep else math.nan,
            "sweep_of": float(sweep["of"]) if sweep else math.nan,
            "opens_s": (by_load["opens_monotonic_ns"] - load["windows"][0]["opens_monotonic_ns"]) / 1e9,
            "timeout_s": float(load["timeout_s"]),
            "bytes_per_connection": number(cell["memory"]["bytes_per_connection"]),
            **seen(by_load, float(load["timeout_s"])),
            **watched(by_harness),
        }
