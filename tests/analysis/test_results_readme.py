"""The description of a run folder names every field that is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis import window_rows
from harness import calibrate, calibration, schema, store

README = (Path(__file__).parents[2] / "results" / "README.md").read_text(encoding="utf-8")
SHAPES: tuple[Any, ...] = (
    schema.Cell,
    schema.CellWindow,
    schema.ServerOutcome,
    schema.Memory,
    schema.LoadRecord,
    schema.LoadWindow,
    schema.Generator,
    schema.Fairness,
    schema.Pauses,
    schema.Second,
    schema.SweepStep,
    schema.WorkerProcess,
    schema.WorkerWindow,
    calibration.Slot,
    calibrate.Effort,
)
FIELDS = sorted({field for shape in SHAPES for field in shape.__annotations__})
WORDS = [*schema.LimitedBy, *schema.WarningKind, *schema.ErrorKind]
SCHEMAS = [schema.RUN_SCHEMA, schema.CELL_SCHEMA, schema.LOAD_SCHEMA, schema.CALIBRATION_SCHEMA]


@pytest.mark.parametrize("name", [*FIELDS, *sorted(store.RUN_KEYS | store.CALIBRATION_KEYS), *WORDS, *SCHEMAS])
def test_every_stored_name_is_described(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", window_rows.SERVER_FIGURES)
def test_every_figure_of_the_server_that_is_read_is_described(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", [*schema.Summary.__annotations__])
def test_every_part_of_a_summary_is_described(name: str) -> None:
    assert f'"{name}"' in README
