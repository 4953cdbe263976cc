"""`echobench`: plans, runs and reports from the command line.

Every command returns an exit code, and every failure that a user can cause is one sentence on stderr:
0 all cells measured; 1 some cells failed; 2 plan or usage; 3 nothing could be measured or stored; 130 interrupted.

A command is a line of `COMMANDS`: its name, what the help says, and the function that adds its options and sets the one
that runs it. Both functions stand in a `cli_*` module; these alone may import the analysis, inside the command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import cli_gate, cli_measure, cli_results
from harness.bench import Tools
from harness.catalogue import CatalogueError, Choice, read_catalogue
from harness.cli_shared import EXIT_INTERRUPTED, EXIT_NOTHING, EXIT_OK, EXIT_USAGE, Command, fail
from harness.plan import plan_names
from harness.plan_errors import PlanError
from harness.run import ResumeError
from harness.schema import SchemaError
from harness.store import StoreError

PASSED_ON = {"serve": "servers", "load": "loadgen"}

OUR_TOOLS = Tools()


class OneSentenceParser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with code 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None, tools: Tools = OUR_TOOLS) -> int:
    """Run the command line and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in PASSED_ON:
        return pass_on(words[0], words[1:])
    arguments = make_parser().parse_args(words)
    command: Command = arguments.command
    try:
        return command(arguments, tools)
    except (PlanError, ResumeError, SchemaError) as error:
        return fail(error, EXIT_USAGE)
    except (StoreError, CatalogueError) as error:
        return fail(error, EXIT_NOTHING)
    except KeyboardInterrupt:
        return fail("interrupted", EXIT_INTERRUPTED)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = OneSentenceParser(prog="echobench", description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, words, add in COMMANDS:
        add(commands.add_parser(name, help=words))
    for name, module in PASSED_ON.items():
        commands.add_parser(name, help=f"the same as python -m {module}", add_help=False)
    return parser


def pass_on(name: str, words: Sequence[str]) -> NoReturn:
    """Become `python -m servers` or `python -m loadgen`, with the same arguments."""
    try:
        os.execv(sys.executable, [sys.executable, "-m", PASSED_ON[name], *words])
    except OSError as error:
        raise PlanError(f"can't start {sys.executable}: {error.strerror}") from error


def add_list(parser: argparse.ArgumentParser) -> None:
    """Add the options of `list`: none."""
    parser.set_defaults(command=command_list)


def command_list(arguments: argparse.Namespace, tools: Tools) -> int:
    """Print the models, the transports and the plans there are."""
    catalogue = read_catalogue(tools.servers, tools.folder)
    console = Console()
    for title, choices in (("models", catalogue.models), ("transports", catalogue.transports)):
        console.print(_choices_table(title, choices))
    console.print(f"plans: {', '.join(plan_names())}", markup=False, highlight=False)
    return EXIT_OK


def _choices_table(title: str, choices: Sequence[Choice]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("name", "available", "what it is"):
        table.add_column(heading)
    for choice in choices:
        available = "yes" if choice.available else f"no: {choice.reason}"
        table.add_row(*(Text(cell) for cell in (choice.name, available, choice.summary)))
    return table


COMMANDS: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    ("run", "measure a plan", cli_measure.add_run),
    ("report", "write the report of a run and print its ranking", cli_results.add_report),
    ("compare", "compare two runs, or two parts of one", cli_results.add_compare),
    ("export", "write the frames of runs as CSV and Parquet", cli_results.add_export),
    ("gate", "tell whether the servers of one version are slower than those of another", cli_gate.add_gate),
    ("calibrate", "measure what the load generator can do on this machine", cli_measure.add_calibrate),
    ("list", "print the models, the transports and the plans there are", add_list),
)
