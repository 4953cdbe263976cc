"""A window as a row of the frame `windows`: what the load generator saw, and what the harness measured beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis import wording
from harness.schema import QUANTILES, CellWindow, LoadWindow, Summary, total_errors

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


def seen(window: LoadWindow, timeout_s: float) -> Row:
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
        row |= {f"{clock}_{name}_ns": percentile(times[name]) for name in ("p50", "p99")}
    row["achieved"] = number(window["achieved"])
    row["bytes_per_s"] = number(window["bytes_per_s"])
    row["errors"] = total_errors(window["errors"])
    row["errors_text"] = ", ".join(f"{kind} {count:,}" for kind, count in window["errors"].items() if count)
    row |= _times("response_time", window["response_time_ns"], timeout_s)
    row |= _times("service_time", window["service_time_ns"], timeout_s)
    lateness = window["send_lateness_ns"]
    row["send_lateness_p50_ns"] = percentile(lateness["p50"] if lateness else None)
    row["send_lateness_p99_ns"] = percentile(lateness["p99"] if lateness else None)
    row["jain"] = number(window["fairness"]["jain"])
    row["stalled_connections"] = window["fairness"]["stalled_connections"]
    row["busy_fraction"] = number(window["busy_fraction"])
    row["generator_cpu_s"] = number(window["cpu_s"])
    row["pauses"] = window["pauses"]["count"]
    row["pauses_total_ns"] = number(window["pauses"]["total_ns"])
    row["pauses_max_ns"] = number(window["pauses"]["max_ns"])
    return row


def _times(clock: str, summary: Summary, timeout_s: float) -> Row:
    figures: Mapping[str, Any] = dict(summary)
    row: Row = {}
    for name in QUANTILES:
        value = percentile(figures[name])
        row[f"{clock}_{name}_ns"] = value
        row[f"{clock}_{name}_text"] = wording.milliseconds(value, timeout_s)
    return row | {f"{clock}_{name}_ns": number(figures[name]) for name in ("min", "mean", "max")}


def watched(window: CellWindow) -> Row:
    """Return what the harness measured over the same window."""
    row = {name: number(window["server"].get(name)) for name in SERVER_FIGURES}
    spent_s = row["cpu_user_s"] + row["cpu_system_s"]
    per_request = row["cpu_us_per_request"] / spent_s if spent_s else math.nan
    return row | {
        "cpu_user_us_per_request": row["cpu_user_s"] * per_request,
        "cpu_system_us_per_request": row["cpu_system_s"] * per_request,
        "steal_s": number(window["steal_s"]),
        **{name: number(window["kernel"].get(name)) for name in ("udp_drops_server", "udp_drops_loadgen")},
        "accounting_cores": number((window.get("accounting") or {}).get("cores_used")),
        "unavailable": reasons(window.get("unavailable")),
        "limited_by": window["limited_by"],
        "warnings": tuple(record["kind"] for record in window["warnings"]),
        "warnings_text": "; ".join(wording.warning(record) for record in window["warnings"]),
    }


def percentile(value: float | str | None) -> float:
    """Return a percentile as float: NaN for none, infinite where it reads `> 1 s`."""
    return math.inf if isinstance(value, str) and value.startswith(">") else number(value)


def number(value: object) -> float:
    """Return a figure as float, NaN for none; raises TypeError for what is no number."""
    if value is None:
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"{value!r} is no number")


def reasons(found: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Return why figures could not be had, as pairs of name and reason."""
    return tuple((str(name), str(why)) for name, why in (found or {}).items())
