"""The commands that read runs: `echobench report`, `echobench compare` and `echobench export`.

The analysis is imported inside the commands: pandas and matplotlib take a second that other commands save.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from harness.bench import Tools
from harness.cli_shared import EXIT_OK, EXIT_USAGE, fail
from harness.schema import SchemaError
from harness.store import StoreError, read_run, write_json

PAGE_MB = 2.9  # below the 3 MB that a page may take
SIDE = "a run folder, or a part of one: RUN:model=asyncio, RUN:python=3.13:transport=tcp"


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.set_defaults(command=command_report)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="a run folder")
    parser.add_argument(
        "--page-mb",
        type=_megabytes,
        default=PAGE_MB,
        metavar="MB",
        help="most megabytes of report.html (%(default)s); figures for which it has no room are links to figures/",
    )


def _megabytes(text: str) -> float:
    value = float(text)  # the ValueError is told by the parser
    if not 0.1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not from 0.1 to 1000")
    return value


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compare`."""
    add = parser.add_argument
    parser.set_defaults(command=command_compare)
    add("a", metavar="A", help=SIDE)
    add("b", metavar="B", help="the other side, written likewise; ratios are B/A")
    add("--force", action="store_true", help="compare also what was not measured alike, and say how it differs")
    add("--json", type=Path, metavar="FILE", help="write every figure and ratio (echobench.compare/1)")
    add("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    add = parser.add_argument
    parser.set_defaults(command=command_export)
    add("runs", nargs="+", type=Path, metavar="RUN", help="a run folder, or a folder of runs")
    add("--to", type=Path, required=True, metavar="DIR", help="where the files are written")
    add("--format", choices=("csv", "parquet"), help="default: both; Parquet only where pyarrow is installed")


def command_report(arguments: argparse.Namespace, tools: Tools) -> int:
    """Write the report of a run and print its ranking."""
    try:
        read_run(arguments.run)
    except StoreError as error:
        return fail(error, EXIT_USAGE)
    write_and_print(arguments.run, arguments.page_mb)
    return EXIT_OK


def write_and_print(folder: Path, page_mb: float = PAGE_MB) -> None:
    """Write the report of a run and print its ranking; raises StoreError or SchemaError."""
    from analysis import report  # noqa: PLC0415 - see above

    try:
        written = report.write_report(folder, round(page_mb * 1e6))
    except OSError as error:
        raise StoreError(f"the report can't be written into {folder}: {error.strerror}") from error
    report.print_ranking(folder, Console())
    print(f"report: {written}")


def command_compare(arguments: argparse.Namespace, tools: Tools) -> int:
    """Compare two runs, or two parts of one, and print what can be said."""
    from analysis import comparison  # noqa: PLC0415
    from analysis.comparison import console as comparison_console  # noqa: PLC0415
    from analysis.comparison import record as comparison_record  # noqa: PLC0415
    from analysis.comparison import text as comparison_text  # noqa: PLC0415
    from analysis.report import markdown  # noqa: PLC0415

    try:
        found = comparison.compare(arguments.a, arguments.b)
        refusal = comparison.refusal(found)
        if refusal and not arguments.force:
            return fail(refusal, EXIT_USAGE)
        document = comparison_text.compose(found)
        if arguments.json:
            write_json(arguments.json, comparison_record.record(found), indent=1)
        if arguments.markdown:
            _write(arguments.markdown, markdown.render(document))
    except (comparison.ComparisonError, StoreError, SchemaError) as error:
        return fail(error, EXIT_USAGE)
    comparison_console.print_document(document, Console())
    return EXIT_OK


def command_export(arguments: argparse.Namespace, tools: Tools) -> int:
    """Write the frames of runs as files for other tools, and print their paths."""
    from analysis import export, runs  # noqa: PLC0415 - see above

    try:
        kinds = export.formats(arguments.format)
        found = runs.read_many(arguments.runs)
        written = export.write(found, arguments.to, kinds)
    except (export.ExportError, StoreError, SchemaError) as error:
        return fail(error, EXIT_USAGE)
    for sentence in found.problems:
        fail(sentence, EXIT_OK)
    for path in written:
        print(path)
    return EXIT_OK


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}") from error
