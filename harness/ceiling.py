"""Cells near the load generator's ceiling, marked.

A server that comes close to the most the load generator ever reached on this machine may be as fast as that, or faster:
what is measured is then partly the instrument. The verdict `generator` sees it when the engine is busy all the time;
this note comes earlier, and from outside: it compares with what was measured when the load generator was calibrated.

Only like is compared with like: the calibration of the same machine, pinning, transport and way of waiting, made with
the same load generator; closed load with one request outstanding on each connection. The ceiling was measured with 64
connections of 64 bytes: with larger payloads or many more connections the real one is lower, and the note comes too
late. Without a calibration there is no note, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import calibration
from harness.schema import Cell, LoadRecord, SchemaError, WarningKind, WarningRecord, warning
from harness.store import StoreError, read_calibration

NEAR = 0.85
CALIBRATIONS = Path("results/calibration")


@dataclass(frozen=True)
class Ceilings:
    """The ceilings known of this machine in replies/s, by (pin, transport, spin); `notes` says what can't be used."""

    per_s: Mapping[tuple[str, str, bool], float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_ceilings(folder: Path, environment: Mapping[str, Any]) -> Ceilings:
    """Return what the calibrations in a folder say of this machine, the newest for each pinning.

    A calibration that can't be read or used is told in `notes` and breaks nothing.
    """
    newest: dict[str, Mapping[str, Any]] = {}
    notes: list[str] = []
    for path in sorted(folder.glob("*.json")):
        document = _read(path, notes)
        if document is None or calibration.machine_of(document["environment"]) != calibration.machine_of(environment):
            continue
        if document["pin"] not in newest or document["started"] > newest[document["pin"]]["started"]:
            newest[document["pin"]] = document
    per_s: dict[tuple[str, str, bool], float] = {}
    for pin, document in newest.items():
        if calibration.instrument_of(document["environment"]) == calibration.instrument_of(environment):
            per_s |= {(pin, *key): value for key, value in _usable(document).items()}
        else:
            notes.append(
                f"the calibration of {document['started']} (pinned {pin}) was made with another load generator, Python "
                "or kernel and is not used: make a new one with echobench calibrate"
            )
    return Ceilings(per_s, tuple(notes))


def _read(path: Path, notes: list[str]) -> Mapping[str, Any] | None:
    """Return a calibration, or None where it can't be used, which is told in `notes`."""
    try:
        document = read_calibration(path)
        _require_shape(document)
    except (StoreError, SchemaError) as error:
        notes.append(f"{error}; it is not used")
    except (AttributeError, KeyError, TypeError) as error:
        notes.append(f"{path} is not shaped as a calibration ({error!r}); it is not used")
    else:
        return document
    return None


def _require_shape(document: Mapping[str, Any]) -> None:
    for text in (document["pin"], document["started"]):
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no text")
    calibration.machine_of(document["environment"])
    calibration.slots_from(document)


def _usable(document: Mapping[str, Any]) -> dict[tuple[str, bool], float]:
    """Return the medians of those ceilings at which the load generator was the limit, by (transport, spin)."""
    slots = calibration.slots_from(document)
    found = {}
    for transport in {slot.transport for slot in slots}:
        for spin in (False, True):
            reached = calibration.ceiling(slots, transport, spin)
            if reached is not None and calibration.is_the_generators(slots, transport, spin):
                found[transport, spin] = reached.median
    return found


def mark_near_ceiling(cell: Cell, ceilings: Ceilings) -> Cell:
    """Return a cell with the note on every closed window whose throughput is over 85 % of the ceiling."""
    record = cell["load"]
    if record is None or not _comparable(record):
        return cell
    key = (str(cell["scenario"]["pin"]), record["transport"], record["spin"])
    ceiling_per_s = ceilings.per_s.get(key)
    if ceiling_per_s is None:
        return cell
    windows = cell["windows"].copy()
    for index, seen in enumerate(record["windows"]):
        if seen["load"] == "closed" and seen["throughput_per_s"] > NEAR * ceiling_per_s:
            note = _note(seen["throughput_per_s"], ceiling_per_s)
            windows[index] = {**windows[index], "warnings": [*windows[index]["warnings"], note]}
    return {**cell, "windows": windows}


def _comparable(record: LoadRecord) -> bool:
    """Tell whether a load is of the kind whose ceiling is known: more outstanding or more processes reach higher."""
    return record["mode"] == "persistent" and record["pipeline"] == 1 and record["generator"]["processes"] == 1


def _note(throughput_per_s: float, ceiling_per_s: float) -> WarningRecord:
    return warning(WarningKind.NEAR_CEILING, throughput_per_s=throughput_per_s, ceiling_per_s=ceiling_per_s)
