"""Verdicts, warnings and errors, as values; and what a warning reads like."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypedDict

GENERATOR_BUSY = 0.9
JAIN_FAIR = 0.9
ACHIEVED_LEAST = 0.99  # of an open load's requests, answered inside the window


class LimitedBy(StrEnum):
    """The verdict of a window: what kept the throughput from being higher."""

    GENERATOR = "generator"
    SERVER = "server"
    CONCURRENCY = "concurrency"
    OFFERED_LOAD = "offered_load"
    UNDETERMINED = "undetermined"


class WarningKind(StrEnum):
    """A doubt about a window, stored and shown wherever its numbers are."""

    SCHEDULE_MISSED = "schedule_missed"
    ERRORS = "errors"
    UNANSWERED = "unanswered"
    COUNT_MISMATCH = "count_mismatch"
    STALLED_CONNECTIONS = "stalled_connections"
    UNFAIR = "unfair"
    KERNEL_DROPS = "kernel_drops"
    STEAL = "steal"
    PAUSES = "pauses"
    SHORT = "short"
    SERVER_DIED = "server_died"
    NEAR_CEILING = "near_ceiling"


class ErrorKind(StrEnum):
    """How a request or a connection failed, as the load generator counts it."""

    CONNECT = "connect"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    CORRUPT = "corrupt"
    PROTOCOL = "protocol"


class WarningRecord(TypedDict):
    """A warning as stored: its kind and the figures that gave rise to it (units in their names)."""

    kind: str
    figures: dict[str, float | int | str]


def warning(kind: WarningKind, **figures: float | int | str) -> WarningRecord:
    """Build the stored form of a warning; figures carry their unit in their name."""
    return {"kind": kind.value, "figures": dict(figures)}


def total_errors(errors: Mapping[str, int]) -> int:
    """Return the number of errors of all kinds."""
    return sum(errors.values())


def describe_warning(record: WarningRecord) -> str:
    """Return a warning as a short phrase: its kind in words, then its figures."""
    words = record["kind"].replace("_", " ")
    figures = ", ".join(_figure(name, value) for name, value in record["figures"].items())
    return f"{words} ({figures})" if figures else words


def _figure(name: str, value: float | str) -> str:
    if name.endswith("_per_s") and not isinstance(value, str):
        return f"{name.removesuffix('_per_s').replace('_', ' ')} {value:,.0f}/s"
    if name.endswith("_ns") and not isinstance(value, str):
        return f"{name.removesuffix('_ns').replace('_', ' ')} {value / 1e6:.3g} ms"
    if isinstance(value, str):
        return f"{name.replace('_', ' ')} {value}"
    return f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value:.4g}"
