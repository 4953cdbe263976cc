"""A calibration: what the load generator can do on this machine, as measured windows and as what they say.

What is stored is raw: every window that was measured, with what it was measured for (`part`). All that is said of them
is derived here, when asked for:

* ceiling: the throughput against a server that costs almost nothing, where the load generator was the limit;
* timing: how late requests of a known schedule went out, and how many of them came back in time;
* noise: how much identical windows of one length differ (coefficient of variation);
* neighbour: what a generator that spins costs the server beside it, as ratios to one that sleeps, pair by pair.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.schema import Cell, LimitedBy, Summary

Part = Literal["ceiling", "timing", "noise", "neighbour"]
MODES = {False: "sleeping", True: "spinning"}


@dataclass(frozen=True)
class Slot:
    """One window of a calibration; None where a figure could not be had."""

    part: Part
    server: str
    transport: str
    spin: bool
    round: int
    load: str
    window_s: float
    due: int
    achieved: float | None
    throughput_per_s: float
    busy_fraction: float
    limited_by: str
    send_lateness_p50_ns: float | None
    send_lateness_p99_ns: float | None
    server_cpu_us_per_request: float | None
    steal_s: float | None
    warnings: list[str]


@dataclass(frozen=True)
class Spread:
    """A figure over rounds or windows: median and range."""

    median: float
    least: float
    greatest: float
    count: int


def slots_of(cell: Cell, part: Part, server: str) -> list[Slot]:
    """Return the windows of a measured cell."""
    record = cell["load"]
    assert record is not None  # a measured cell has a record
    return [
        Slot(
            part=part,
            server=server,
            transport=record["transport"],
            spin=record["spin"],
            round=cell["round"],
            load=seen["load"],
            window_s=seen["window_s"],
            due=seen["due"],
            achieved=seen["achieved"],
            throughput_per_s=seen["throughput_per_s"],
            busy_fraction=seen["busy_fraction"],
            limited_by=watched["limited_by"],
            send_lateness_p50_ns=_lateness(seen["send_lateness_ns"], "p50"),
            send_lateness_p99_ns=_lateness(seen["send_lateness_ns"], "p99"),
            server_cpu_us_per_request=watched["server"].get("cpu_us_per_request"),
            steal_s=watched["steal_s"],
            warnings=[record["kind"] for record in watched["warnings"]],
        )
        for seen, watched in zip(record["windows"], cell["windows"], strict=True)
    ]


def _lateness(summary: Summary | None, name: Literal["p50", "p99"]) -> float | None:
    value = summary[name] if summary is not None else None
    return float(value) if isinstance(value, int | float) else None


def stored(slots: Iterable[Slot]) -> list[dict[str, Any]]:
    """Return windows in their stored form."""
    return [asdict(slot) for slot in slots]


def slots_from(document: Mapping[str, Any]) -> list[Slot]:
    """Return the windows of a stored calibration; raises TypeError or KeyError where it is of another shape."""
    slots = [Slot(**window) for window in document["windows"]]
    for slot in slots:
        if not isinstance(slot.throughput_per_s, int | float):
            raise TypeError(f"throughput_per_s is {slot.throughput_per_s!r}")
    return slots


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return median and range of what is there, or None."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known), len(known)) if known else None


def chosen(slots: Sequence[Slot], part: Part, **wanted: object) -> list[Slot]:
    """Return the windows of a part whose fields have the wanted values."""
    own = [slot for slot in slots if slot.part == part]
    return [slot for slot in own if all(getattr(slot, key) == value for key, value in wanted.items())]


def ceiling(slots: Sequence[Slot], transport: str, spin: bool) -> Spread | None:
    """Return the throughput against the fastest server, replies/s, whoever was the limit."""
    return spread(slot.throughput_per_s for slot in chosen(slots, "ceiling", transport=transport, spin=spin))


def is_the_generators(slots: Sequence[Slot], transport: str, spin: bool) -> bool:
    """Tell whether the load generator was the limit in most windows of a ceiling: else it is only a lower bound."""
    limits = [slot.limited_by for slot in chosen(slots, "ceiling", transport=transport, spin=spin)]
    return 2 * limits.count(LimitedBy.GENERATOR) > len(limits)


def variation(slots: Sequence[Slot], length_s: float, spin: bool) -> float | None:
    """Return the coefficient of variation of the throughput of identical windows; None for fewer than two."""
    values = [slot.throughput_per_s for slot in noise(slots, length_s, spin)]
    return statistics.stdev(values) / statistics.mean(values) if len(values) > 1 and any(values) else None


def noise(slots: Sequence[Slot], length_s: float, spin: bool) -> list[Slot]:
    """Return the identical windows of one length."""
    return [slot for slot in chosen(slots, "noise", spin=spin) if round(slot.window_s, 3) == length_s]


def lengths(slots: Sequence[Slot]) -> list[float]:
    """Return the lengths of the identical windows, in seconds."""
    return sorted({round(slot.window_s, 3) for slot in slots if slot.part == "noise"})


def beside(slots: Sequence[Slot], figure: Literal["throughput_per_s", "server_cpu_us_per_request"]) -> Spread | None:
    """Return what a figure is next to a spinning generator, as ratio to a sleeping one: in pairs, one a round."""
    by_round: dict[bool, dict[int, float]] = {False: {}, True: {}}
    for slot in chosen(slots, "neighbour"):
        value = getattr(slot, figure)
        if value:
            by_round[slot.spin][slot.round] = value
    common = by_round[False].keys() & by_round[True].keys()
    return spread(by_round[True][number] / by_round[False][number] for number in sorted(common))


def machine_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a machine the same one: a calibration says nothing about another."""
    cpu = environment.get("cpu") or {}
    return {
        "cpu": [cpu.get("model"), cpu.get("count")],
        **{key: environment.get(key) for key in ("memory_bytes", "machine", "virtualisation")},
    }


def instrument_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes the load generator the same one: with other code or under another kernel its ceiling moves."""
    return {
        "loadgen": (environment.get("code") or {}).get("loadgen"),
        **{key: environment.get(key) for key in ("python", "python_build", "packages", "kernel")},
    }


def name_of(environment: Mapping[str, Any], pin: str) -> str:
    """Return the name under which this machine's calibration with this pinning is stored; it names no host."""
    identity = json.dumps([machine_of(environment), pin], sort_keys=True, default=str)
    model = str((environment.get("cpu") or {}).get("model") or "cpu").lower()
    words = re.sub(r"[^a-z0-9]+", "-", model).strip("-")[:32].rstrip("-")
    return f"{words or 'cpu'}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
