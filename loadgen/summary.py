"""The record for people: a table a window, response and service time side by side, warnings in words."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.table import Table

from harness.schema import QUANTILES, LoadRecord, LoadWindow, Summary, describe_warning

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"))
_WIDTH = 100  # where the output is no terminal


def print_summary(record: LoadRecord, stream: TextIO) -> None:
    """Print what a run found."""
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDTH)
    console.print(
        f"{record['target']}: {_connections(record)}, "
        f"{record['payload']} bytes, pipeline {record['pipeline']}, {record['requests_total']:,} requests in all",
        soft_wrap=True,
    )
    for window in record["windows"]:
        console.print()
        _print_window(console, window, record["timeout_s"])
    stream.flush()


def _connections(record: LoadRecord) -> str:
    connect, asked_for, idle = record["connect_time_ns"], record["connections"], record.get("idle", 0)
    times = f"connect time p50 {duration(connect['p50'])}, max {duration(connect['max'])}"
    if (handshake := record["handshake_time_ns"]) is not None:
        times += f"; handshake p50 {duration(handshake['p50'])}, max {duration(handshake['max'])}"
    if record["mode"] == "churn":
        return f"{connect['count']:,} connections with one request each, in {asked_for} slots ({times})"
    held = f", {idle} of them idle" if idle else ""
    if not connect["count"]:  # over UDP nothing is connected but the generator's own sockets
        return f"{asked_for + idle} sockets{held}"
    return f"{connect['count']} of {asked_for + idle} connections{held} ({times})"


def _print_window(console: Console, window: LoadWindow, timeout_s: float) -> None:
    achieved = "-" if window["achieved"] is None else f"{window['achieved']:.2%}"
    console.print(
        f"{window['load']} for {window['window_s']:.3g} s: {window['throughput_per_s']:,.0f} replies/s, "
        f"{window['answered']:,} of {window['due']:,} requests answered, {achieved} inside the window; "
        f"generator busy {window['busy_fraction']:.0%}",
        soft_wrap=True,
    )
    columns = {"response time": window["response_time_ns"], "service time": window["service_time_ns"]}
    if window["send_lateness_ns"] is not None:
        columns["send lateness"] = window["send_lateness_ns"]
    console.print(_table(columns))
    if window["load"] == "closed":
        console.print("Closed load: these times follow from connections and throughput; latency needs an open load.")
    if window["unanswered"]:
        console.print(
            f"Mean and max are of the answered requests; the others took more than {timeout_s:g} s or failed."
        )
    for entry in window["warnings"]:
        console.print(f"Warning: {describe_warning(entry)}", soft_wrap=True)


def _table(columns: dict[str, Summary]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for row in ("min", "mean", *QUANTILES, "max"):
        table.add_row(row, *(duration(dict(summary)[row]) for summary in columns.values()))
    return table


def duration(value: object) -> str:
    """Write nanoseconds with three digits and a unit; a dash for none, a text (`> 1 s`) as it is."""
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float):
        return "-"
    for size_ns, unit in _UNITS:
        if value >= size_ns:
            return f"{value / size_ns:.3g} {unit}"
    return f"{value:.0f} ns"
