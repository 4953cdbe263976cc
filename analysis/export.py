"""Frames of runs as files for other tools: CSV, which needs nothing, and Parquet, which needs pyarrow.

Each frame is one file, `cells.csv` or `cells.parquet`, and `columns.md` beside them gives every column's type, unit and
meaning. NaN is an empty field in CSV, infinite is `inf`. Columns that hold several words (`warnings`) are one text, the
words parted by `; `, the same in both formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from analysis import columns
from analysis.columns import Column
from analysis.report import markdown
from analysis.report.document import Bullets, Document, Entry, Head, Paragraph, Row, Section, Table
from analysis.runs import FRAMES, Runs
from harness.store import StoreError

EXPORT_SCHEMA = "echobench.export/1"
PYARROW = "pyarrow"
CSV, PARQUET = "csv", "parquet"
FORMATS = (CSV, PARQUET)
DESCRIPTION = "columns.md"

RUN_NAME = Column("run", "str", "", "name of the run folder, with parents where two have the same")
HEADS = (Head("Column"), Head("Type"), Head("Unit"), Head("Meaning"))
NOTES = (
    "NaN, an empty field in CSV, stands for: there is none. Infinite (inf) stands for a rank that was never answered.",
    "A column of type text holds several words, parted by semicolons.",
    "Rows with the outcome failed are of cells that could not be measured as they should; leave them out of figures.",
)


class ExportError(ValueError):
    """What was asked for can't be exported, as one sentence."""


def formats(asked: str | None) -> tuple[str, ...]:
    """Return the formats to write: the one asked for, or all that can be.

    Raises ExportError where Parquet is asked for and pyarrow is not installed.
    """
    there = find_spec(PYARROW) is not None
    if asked == PARQUET and not there:
        raise ExportError(f"--format {PARQUET} needs {PYARROW}, which is not installed: pip install {PYARROW}")
    return (asked,) if asked else FORMATS if there else (CSV,)


def described(name: str) -> tuple[Column, ...]:
    """Return the columns of a frame as exported."""
    known: Sequence[Column] = getattr(columns, name.upper())
    return (RUN_NAME, *(column for column in known if column.name != RUN_NAME.name))


def write(runs: Runs, folder: Path, kinds: Iterable[str]) -> list[Path]:
    """Write every frame of the runs in each format, and what the columns are; return the files.

    Raises StoreError where the folder can't be written to.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables = {name: flat(runs.frame(name)) for name in FRAMES}
        for kind in kinds:
            for name, table in tables.items():
                written.append(_whole(folder / f"{name}.{kind}", _writer(table, kind)))
        text = markdown.render(description(runs))
        written.append(_whole(folder / DESCRIPTION, lambda path: path.write_text(text, encoding="utf-8")))
    except OSError as error:
        raise StoreError(f"{folder} can't be written to: {error.strerror or error}") from error
    return written


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose columns of several words are text."""
    several = [name for name, kind in table.dtypes.items() if kind == "object"]
    return table.assign(**{str(name): table[name].map(_words).astype("str") for name in several})


def description(runs: Runs) -> Document:
    """Return what is in the files: the runs, every column, and what could not be read."""
    sections = [Section("Runs", (Bullets(runs.names),)), Section("To know", (Bullets(NOTES),))]
    for name in FRAMES:
        rows = tuple(
            Row((Entry(column.name), Entry(_type(column)), Entry(column.unit), Entry(column.meaning)))
            for column in described(name)
        )
        sections.append(Section(name, (Table(f"{len(runs.frame(name)):,} rows.", HEADS, rows),)))
    told = Bullets(runs.problems) if runs.problems else Paragraph("Nothing.")
    sections.append(Section("What is missing or could not be read", (told,)))
    return Document("Columns", f"Schema {EXPORT_SCHEMA}.", tuple(sections))


def _type(column: Column) -> str:
    return "text" if column.type == "object" else column.type


def _words(value: object) -> str:
    """Return several words as one text: `steal; pauses`, `pss_bytes: no permission`."""
    parts = value if isinstance(value, tuple) else (value,)
    return "; ".join(": ".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in parts)


def _writer(table: pd.DataFrame, kind: str) -> Callable[[Path], object]:
    if kind == PARQUET:
        return lambda path: table.to_parquet(path, engine="pyarrow", index=False)
    return lambda path: table.to_csv(path, index=False)


def _whole(path: Path, write_to: Callable[[Path], object]) -> Path:
    """Write a file under a temporary name and rename it, so that it is there as a whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write_to(temporary)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return path
