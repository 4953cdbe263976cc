"""A run folder as tidy pandas frames: `cells`, `windows`, `percentiles`. Their columns stand in `analysis.columns`.

Everything that the analysis says is derived from these frames, never from files again. A cell that cannot be read,
or that is not shaped as a cell, is left out of all of them and told in `problems`; a histogram that is damaged takes
only its window out of `percentiles`. Windows of failed cells are kept, with their `outcome`, and take no part in any
figure over rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import conditions, curves, wording
from analysis.columns import CELLS, PERCENTILES, WINDOWS, Column, checked
from harness import store
from harness.schema import (
    QUANTILES,
    Cell,
    CellWindow,
    Load,
    LoadWindow,
    SchemaError,
    Summary,
    total_errors,
)
from harness.store import StoreError

Row = dict[str, Any]

# The server's figures that a row takes as they are.
SERVER_FIGURES = (
    "cpu_us_per_request",
    "cpu_user_s",
    "cpu_system_s",
    "cores_used",
    "idle_fraction",
    "busiest_thread_share",
    "pss_bytes",
    "rss_bytes",
    "uss_bytes",
    "processes",
    "threads",
    "open_files",
)

# What reading a document of another shape raises.
_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(frozen=True)
class Run:
    """A run as read: its document (`run.json`), its frames, and what could not be read, in sentences."""

    path: Path
    document: Mapping[str, Any]
    cells: pd.DataFrame
    windows: pd.DataFrame
    percentiles: pd.DataFrame
    problems: tuple[str, ...]


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
    cells: dict[tuple[str, str, int], Row] = {}
    windows: list[Row] = []
    parts: list[curves.Part] = []
    for file, cell in stored:
        try:
            base = {"run": run_dir.name, "file": file} | _scenario(cell, labels, cpus)
            row = checked(_cell(base, cell), CELLS)
            rows = [checked(window, WINDOWS) for window in _windows(base, cell)]
            drawn = list(curves.parts(cell, rows, problems))
        except _SHAPE as error:
            problems.append(f"{file} is not shaped as a cell ({error!r}); it is left out")
            continue
        first = cells.setdefault((row["condition"], row["model"], row["round"]), row)
        if first is not row:
            problems.append(f"{file} is the same scenario and round as {first['file']}; it is left out")
            continue
        windows.extend(rows)
        parts.extend(drawn)
    return Run(
        run_dir,
        document,
        frame(cells.values(), CELLS),
        frame(windows, WINDOWS),
        frame(curves.points(parts), PERCENTILES),
        tuple(problems),
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


def _server_cpus(cells: Iterable[Cell]) -> dict[str, str]:
    """Return the CPUs of the server by condition: windows tell what `auto` came to, a failed cell may not."""
    found: dict[str, str] = {}
    for cell in cells:
        condition = conditions.identity(cell["scenario"])
        try:
            used = [cpu for window in cell["windows"][:1] for cpu in window["server"].get("cpus") or ()]
        except _SHAPE:
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
        "exit_code": _float(server["exit_code"]),
        "timeout_s": _float(load["timeout_s"] if load else None),
        "requests_total": _float(load["requests_total"] if load else None),
        "server_python": str((server["ready"] or {}).get("python", "")),
        "server_gil": _gil(server["ready"] or {}),
        "baseline_pss_bytes": _float(memory["baseline_pss_bytes"]),
        "connected_pss_bytes": _float(memory["connected_pss_bytes"]),
        "baseline_own_pss_bytes": _float(memory.get("baseline_own_pss_bytes")),
        "connected_own_pss_bytes": _float(memory.get("connected_own_pss_bytes")),
        "bytes_per_connection": _float(memory["bytes_per_connection"]),
        "unavailable": _reasons(cell.get("unavailable")),
    }


def _gil(ready: Mapping[str, Any]) -> str:
    return ("on" if ready["gil"] else "off") if isinstance(ready.get("gil"), bool) else ""


def _reasons(found: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(why)) for name, why in (found or {}).items())


def _windows(base: Row, cell: Cell) -> Iterator[Row]:
    """Yield a row for each window that both sides have measured."""
    load = cell["load"]
    if load is None:
        return
    for index, (seen, watched) in enumerate(zip(load["windows"], cell["windows"], strict=True)):
        what, sweep = Load.parse(seen["load"]), seen.get("sweep")
        yield base | {
            "window": index,
            "load": seen["load"],
            "kind": what.kind,
            "rate_per_s": what.rate_per_s if what.kind == "open" else math.nan,
            "offered_per_s": seen["due"] / seen["window_s"] if what.kind == "open" else math.nan,
            "sweep_step": float(sweep["step"]) if sweep else math.nan,
            "sweep_of": float(sweep["of"]) if sweep else math.nan,
            "timeout_s": float(load["timeout_s"]),
            "bytes_per_connection": _float(cell["memory"]["bytes_per_connection"]),
            **_seen(seen, float(load["timeout_s"])),
            **_watched(watched),
        }


def _seen(window: LoadWindow, timeout_s: float) -> Row:
    """Return what the load generator saw."""
    row: Row = {
        name: window[name]
        for name in ("window_s", "due", "sent", "responses", "answered", "unanswered", "throughput_per_s")
    }
    row |= {name: window[name] for name in ("lost", "late", "duplicates", "reordered")}
    for clock, summary in (
        ("connect_time", window.get("connect_time_ns")),
        ("handshake_time", window.get("handshake_time_ns")),
    ):
        times: Mapping[str, Any] = dict(summary or {"p50": None, "p99": None})
        row |= {f"{clock}_{name}_ns": _percentile(times[name]) for name in ("p50", "p99")}
    row["achieved"] = _float(window["achieved"])
    row["bytes_per_s"] = _float(window["bytes_per_s"])
    row["errors"] = total_errors(window["errors"])
    row["errors_text"] = ", ".join(f"{kind} {count:,}" for kind, count in window["errors"].items() if count)
    row |= _times("response_time", window["response_time_ns"], timeout_s)
    row |= _times("service_time", window["service_time_ns"], timeout_s)
    lateness = window["send_lateness_ns"]
    row["send_lateness_p50_ns"] = _percentile(lateness["p50"] if lateness else None)
    row["send_lateness_p99_ns"] = _percentile(lateness["p99"] if lateness else None)
    row["jain"] = _float(window["fairness"]["jain"])
    row["stalled_connections"] = window["fairness"]["stalled_connections"]
    row["busy_fraction"] = _float(window["busy_fraction"])
    row["generator_cpu_s"] = _float(window["cpu_s"])
    row["pauses"] = window["pauses"]["count"]
    row["pauses_max_ns"] = _float(window["pauses"]["max_ns"])
    return row


def _times(clock: str, summary: Summary, timeout_s: float) -> Row:
    figures: Mapping[str, Any] = dict(summary)
    row: Row = {}
    for name in QUANTILES:
        value = _percentile(figures[name])
        row[f"{clock}_{name}_ns"] = value
        row[f"{clock}_{name}_text"] = wording.milliseconds(value, timeout_s)
    return row | {f"{clock}_{name}_ns": _float(figures[name]) for name in ("min", "mean", "max")}


def _watched(window: CellWindow) -> Row:
    """Return what the harness measured over the same window."""
    row = {name: _float(window["server"].get(name)) for name in SERVER_FIGURES}
    spent_s = row["cpu_user_s"] + row["cpu_system_s"]
    per_request = row["cpu_us_per_request"] / spent_s if spent_s else math.nan
    return row | {
        "cpu_user_us_per_request": row["cpu_user_s"] * per_request,
        "cpu_system_us_per_request": row["cpu_system_s"] * per_request,
        "steal_s": _float(window["steal_s"]),
        **{name: _float(window["kernel"].get(name)) for name in ("udp_drops_server", "udp_drops_loadgen")},
        "accounting_cores": _float((window.get("accounting") or {}).get("cores_used")),
        "unavailable": _reasons(window.get("unavailable")),
        "limited_by": window["limited_by"],
        "warnings": tuple(record["kind"] for record in window["warnings"]),
        "warnings_text": "; ".join(wording.warning(record) for record in window["warnings"]),
    }


def _percentile(value: float | str | None) -> float:
    """Return a percentile as float: NaN for none, infinite where it reads `> 1 s`."""
    return math.inf if isinstance(value, str) and value.startswith(">") else _float(value)


def _float(value: object) -> float:
    """Return a figure as float, NaN for none; raises TypeError for what is no number."""
    if value is None:
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"{value!r} is no number")
