"""`echobench`: plans, runs and reports from the command line.

Every command returns an exit code, and every failure that a user can cause is one sentence on stderr:
0 all cells measured; 1 some cells failed; 2 plan or usage; 3 nothing could be measured or stored; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import calibrate, calibration_text
from harness.bench import Bench, Observer, Tools
from harness.catalogue import CatalogueError, Choice, read_catalogue
from harness.ceiling import CALIBRATIONS, Ceilings, read_ceilings
from harness.environment import read_environment
from harness.interpreters import find_interpreter
from harness.interrupts import Interrupted, Interrupts
from harness.limits_here import read_limits
from harness.pinning import allowed_cpus
from harness.plan import Narrowing, find_plan, make_plan, plan_names, read_plan_file
from harness.plan_errors import PlanError
from harness.progress import LineDisplay, LiveDisplay, Unheard
from harness.run import Outcome, ResumeError, Run, measure_run, new_run, resumed_run
from harness.schema import SchemaError
from harness.store import RUN_FILE, StoreError, latest_run, make_writable, read_run, scratch_folder
from harness.supervise import Guard, Watch

EXIT_OK = 0
EXIT_SOME_FAILED = 1
EXIT_USAGE = 2
EXIT_NOTHING = 3
EXIT_INTERRUPTED = 130

DEFAULT_PLAN = "quick"
RESULTS = Path("results/runs")
LATEST = ""
NEEDS_LINUX = f"measuring needs Linux, whose accounts are read; this is {sys.platform}"
PASSED_ON = {"serve": "servers", "load": "loadgen"}

OUR_TOOLS = Tools()

Command = Callable[[argparse.Namespace, Tools], int]


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
        return _fail(error, EXIT_USAGE)
    except (StoreError, CatalogueError) as error:
        return _fail(error, EXIT_NOTHING)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)


def _fail(error: object, exit_code: int) -> int:
    print(f"echobench: {error}", file=sys.stderr)
    return exit_code


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = OneSentenceParser(prog="echobench", description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands.add_parser("run", help="measure a plan"))
    _add_report(commands.add_parser("report", help="write the report of a run and print its ranking"))
    _add_calibrate(commands.add_parser("calibrate", help="measure what the load generator can do on this machine"))
    listing = commands.add_parser("list", help="print the models, the transports and the plans there are")
    listing.set_defaults(command=command_list)
    for name, module in PASSED_ON.items():
        commands.add_parser(name, help=f"the same as python -m {module}", add_help=False)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.set_defaults(command=command_run, parser=parser)
    add("plan", nargs="?", metavar="PLAN", help=f"a plan's name or file (default: {DEFAULT_PLAN}); see echobench list")
    add("--models", type=_names, metavar="A,B", help="measure only these models of the plan")
    add("--transports", type=_names, metavar="A,B", help="measure only these transports of the plan")
    add("--rounds", type=int, metavar="N", help="number of rounds, instead of the plan's")
    add(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="where run folders are made (default: %(default)s)"
    )
    add("--calibrations", type=Path, default=CALIBRATIONS, metavar="DIR", help="of this machine (default: %(default)s)")
    add("--resume", nargs="?", const=LATEST, metavar="RUN", help="go on with a run, the latest when none is named")
    add("--report", action="store_true", help="write the report afterwards and print the ranking")


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.set_defaults(command=command_calibrate)
    add("--quick", action="store_true", help="about a minute instead of three, with wider ranges")
    add("--pin", default="auto", metavar="PIN", help="CPUs as in a plan: auto (default), one, none, or SERVER:LOADGEN")
    add("--transports", type=_names, metavar="A,B", help="measure only the ceilings of these")
    add("--results", type=Path, default=CALIBRATIONS, metavar="DIR", help="where it is stored (default: %(default)s)")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=command_report)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="a run folder")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    if not names:
        raise argparse.ArgumentTypeError("names nothing")
    return names


def pass_on(name: str, words: Sequence[str]) -> NoReturn:
    """Become `python -m servers` or `python -m loadgen`, with the same arguments."""
    try:
        os.execv(sys.executable, [sys.executable, "-m", PASSED_ON[name], *words])
    except OSError as error:
        raise PlanError(f"can't start {sys.executable}: {error.strerror}") from error


def command_run(arguments: argparse.Namespace, tools: Tools) -> int:
    """Measure a plan, or what is missing of a run."""
    if not sys.platform.startswith("linux"):
        return _fail(NEEDS_LINUX, EXIT_NOTHING)
    run = prepare_run(arguments, tools)
    outcome = _measure(run, tools, read_ceilings(arguments.calibrations, run.document["environment"]))
    exit_code = _conclude(run, outcome)
    if arguments.report and exit_code in {EXIT_OK, EXIT_SOME_FAILED}:
        _report(run.folder)
    print(run.folder)
    return exit_code


def prepare_run(arguments: argparse.Namespace, tools: Tools) -> Run:
    """Return a new run, or one to be gone on with; raises PlanError, ResumeError, StoreError or CatalogueError."""
    resumed = None if arguments.resume is None else _find_run(arguments.resume, arguments.results)
    narrowing = Narrowing(arguments.models, arguments.transports, arguments.rounds)
    if resumed is not None and arguments.plan is None:
        if narrowing != Narrowing():
            raise ResumeError("a resumed run keeps its plan: --models, --transports and --rounds are for new runs")
        document, source = read_run(resumed)["plan"], f"the plan of {resumed}"
    else:
        path = find_plan(arguments.plan or DEFAULT_PLAN)
        document, source = read_plan_file(path), str(path)
    ask = partial(find_interpreter, servers_command=tools.servers, folder=tools.folder)
    plan = make_plan(document, source, read_catalogue(tools.servers, tools.folder), narrowing, ask)
    interpreters = {named: interpreter.as_dict() for named, interpreter in plan.interpreters.items()}
    environment = read_environment() | {"interpreters": interpreters}
    if resumed is None:
        return new_run(plan, arguments.results, environment, allowed_cpus(), limits=read_limits())
    return resumed_run(resumed, read_run(resumed), plan, environment, allowed_cpus(), limits=read_limits())


def _find_run(name: str, results: Path) -> Path:
    if name == LATEST:
        latest = latest_run(results)
        if latest is None:
            raise ResumeError(f"there is no run in {results} to go on with")
        return latest
    for folder in (Path(name), results / name):
        if (folder / RUN_FILE).is_file():
            return folder
    raise ResumeError(f"{name} is no run folder, nor the name of one in {results}")


def _measure(run: Run, tools: Tools, ceilings: Ceilings) -> Outcome:
    console = Unheard(stderr=True)
    display = LiveDisplay(console) if console.is_terminal else LineDisplay(console)
    with _bench(tools, display) as bench, display:
        return measure_run(run, replace(bench, ceilings=ceilings))


@contextmanager
def _bench(tools: Tools, tell: Observer) -> Iterator[Bench]:
    """Give all that measuring needs, and leave nothing of it behind."""
    with scratch_folder() as scratch, Interrupts() as interrupts, Guard() as guard, Watch(interrupts, guard) as watch:
        yield Bench(watch, allowed_cpus(), tell, scratch, tools)


def _conclude(run: Run, outcome: Outcome) -> int:
    """Say on stderr what went wrong, if anything did; return the exit code."""
    total = len(run.entries)
    if outcome.failures:
        print(f"echobench: {len(outcome.failures)} of {total} cells failed:", file=sys.stderr)
        for cell, sentence in outcome.failures.items():
            print(f"  {cell}: {sentence}", file=sys.stderr)
    if outcome.interrupted:
        how = f"echobench run --resume {run.folder}"
        print(
            f"echobench: interrupted, {outcome.measured} of {total} cells are measured; go on with: {how}",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    if not outcome.measured:
        return EXIT_NOTHING
    return EXIT_SOME_FAILED if outcome.failures else EXIT_OK


def command_calibrate(arguments: argparse.Namespace, tools: Tools) -> int:
    """Measure the load generator, store what was found, and say what it means."""
    if not sys.platform.startswith("linux"):
        return _fail(NEEDS_LINUX, EXIT_NOTHING)
    catalogue = read_catalogue(tools.servers, tools.folder)
    effort = calibrate.QUICK if arguments.quick else calibrate.FULL
    wanted = calibrate.read_wanted(effort, arguments.pin, arguments.transports, catalogue)
    make_writable(arguments.results)
    say = partial(Unheard(stderr=True).print, markup=False, highlight=False, soft_wrap=True)
    try:
        with _bench(tools, lambda event: None) as bench:
            found = calibrate.calibrate(wanted, catalogue, bench, say)
    except Interrupted:
        return _fail("interrupted: the calibration is not stored", EXIT_INTERRUPTED)
    return _conclude_calibration(found, arguments.results)


def _conclude_calibration(found: Mapping[str, Any], results: Path) -> int:
    """Store a calibration and print what it says; return the exit code."""
    for sentence in found["failures"]:
        print(f"echobench: not measured: {sentence}", file=sys.stderr)
    if not found["windows"]:
        return _fail("nothing could be measured, and nothing is stored", EXIT_NOTHING)
    path = calibrate.store(found, results)
    calibration_text.print_calibration(found, Console())
    print(path)
    return EXIT_SOME_FAILED if found["failures"] else EXIT_OK


def command_report(arguments: argparse.Namespace, tools: Tools) -> int:
    """Write the report of a run and print its ranking."""
    try:
        read_run(arguments.run)
    except StoreError as error:
        return _fail(error, EXIT_USAGE)
    _report(arguments.run)
    return EXIT_OK


def _report(folder: Path) -> None:
    from analysis import report  # noqa: PLC0415 - pandas and matplotlib take a second that other commands save

    try:
        written = report.write_report(folder)
    except OSError as error:
        raise StoreError(f"the report can't be written into {folder}: {error.strerror}") from error
    report.print_ranking(folder, Console())
    print(f"report: {written}")


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
