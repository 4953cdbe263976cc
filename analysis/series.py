"""What a cell tells over time: its windows second by second, and the samples of what both sides used.

Windows and samples are stored on the clock that all processes of a host share. Here they are set against the opening
of the cell's first window, so that cells can be laid over each other. CPU clocks only ever rise, so what is used at a
sample is the rise since the one before, over the time between them.

A part that is damaged is left out and told in `problems`; the rest of its cell stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.columns import PER_SECOND, RESOURCES, SHAPE_ERRORS, checked
from analysis.window_rows import number
from harness.schema import Cell, Second

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def seconds(cell: Cell, windows: Sequence[Row], problems: list[str]) -> Iterator[Row]:
    """Yield a row of `per_second` for each second of a cell's windows; tell damaged ones in `problems`."""
    load = cell["load"]
    if load is None:
        return
    for row, window in zip(windows, load["windows"], strict=True):
        try:
            yield from [checked(_second(row, second), PER_SECOND) for second in window["per_second"]]
        except SHAPE_ERRORS as error:
            problems.append(f"{row['file']}, window {row['window']}: its seconds are damaged ({error!r}); left out")


def _second(window: Row, second: Second) -> Row:
    """Return the row of a second; the last one is as long as what is left of its window."""
    length_s = min(1.0, window["window_s"] - second["index"])
    if second["index"] < 0 or length_s <= 0:
        raise ValueError(f"second {second['index']} lies outside the window")
    return window | {
        "index": second["index"],
        "at_s": window["opens_s"] + second["index"],
        "second_s": length_s,
        "responses": second["responses"],
        "throughput_per_s": second["responses"] / length_s,
        "response_time_p50_ns": number(second["p50_ns"]),
        "response_time_p99_ns": number(second["p99_ns"]),
        "errors": second["errors"],
    }


def samples(cell: Cell, row: Row, problems: list[str]) -> pd.DataFrame | None:
    """Return the rows of `resources` of a cell, None where it has none; tell a damaged series in `problems`."""
    try:
        return _samples(cell, row) if cell["series"].get("monotonic_ns") else None
    except SHAPE_ERRORS as error:
        problems.append(f"{row['file']}: its time series is damaged ({error!r}); it is left out of the resources")
        return None


def _samples(cell: Cell, row: Row) -> pd.DataFrame:
    stored, load = cell["series"], cell["load"]
    at_ns: Ints = np.array(stored["monotonic_ns"], dtype=np.int64)
    since_s = np.diff(at_ns) / 1e9
    if (since_s <= 0).any():
        raise ValueError("its clock stands still or goes back")
    windows = [(each["opens_monotonic_ns"], each["closes_monotonic_ns"]) for each in load["windows"]] if load else []
    inside = np.full(len(at_ns), np.nan)
    for place, (opens_ns, closes_ns) in enumerate(windows):
        inside[(at_ns >= opens_ns) & (at_ns < closes_ns)] = place
    found: Mapping[str, object] = row | {
        "at_s": (at_ns - (windows[0][0] if windows else at_ns[0])) / 1e9,
        "since_s": _after_the_first(since_s),
        "server_cores": _after_the_first(np.diff(_column(stored, "server_cpu_s")) / since_s),
        "loadgen_cores": _after_the_first(np.diff(_column(stored, "loadgen_cpu_s")) / since_s),
        # Records of before memory was sampled have none.
        **{name: _column(stored, name, must=False) for name in ("server_rss_bytes", "loadgen_rss_bytes")},
        **{name: _column(stored, name) for name in ("processes", "threads")},
        "window": inside,
    }
    return pd.DataFrame({column.name: found[column.name] for column in RESOURCES})


def _column(stored: Mapping[str, Any], name: str, *, must: bool = True) -> Floats:
    """Return a column of a series, NaN for what could not be read; raises ValueError where it is of another length."""
    count = len(stored["monotonic_ns"])
    if not must and name not in stored:
        return np.full(count, np.nan)
    values: Floats = np.array(stored[name], dtype=np.float64)
    if values.shape != (count,):
        raise ValueError(f"{name} is not as long as monotonic_ns")
    return values


def _after_the_first(values: Floats) -> Floats:
    """Return values between samples as values at samples: the first sample has none."""
    return np.concatenate([[np.nan], values])
