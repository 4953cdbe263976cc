"""The commands that measure: `echobench run` and `echobench calibrate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from harness import calibrate, calibration_text
from harness.bench import Bench, Observer, Tools
from harness.catalogue import read_catalogue
from harness.ceiling import CALIBRATIONS, Ceilings, read_ceilings
from harness.cli_results import write_and_print
from harness.cli_shared import EXIT_INTERRUPTED, EXIT_NOTHING, EXIT_OK, EXIT_SOME_FAILED, fail, names
from harness.environment import read_environment
from harness.interpreters import find_interpreter
from harness.interrupts import Interrupted, Interrupts
from harness.limits_here import read_limits
from harness.pinning import allowed_cpus
from harness.plan import Narrowing, find_plan, make_plan, read_plan_file
from harness.progress import LineDisplay, LiveDisplay, Unheard, describe
from harness.run import Outcome, ResumeError, Run, measure_run, new_run, resumed_run
from harness.store import RUN_FILE, latest_run, make_writable, read_run, scratch_folder
from harness.supervise import Guard, Watch

DEFAULT_PLAN = "quick"
RESULTS = Path("results/runs")
LATEST = ""
NEEDS_LINUX = f"measuring needs Linux, whose accounts are read; this is {sys.platform}"


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    add = parser.add_argument
    parser.set_defaults(command=command_run, parser=parser)
    add("plan", nargs="?", metavar="PLAN", help=f"a plan's name or file (default: {DEFAULT_PLAN}); see echobench list")
    add("--models", type=names, metavar="A,B", help="measure only these models of the plan")
    add("--transports", type=names, metavar="A,B", help="measure only these transports of the plan")
    add("--rounds", type=int, metavar="N", help="number of rounds, instead of the plan's")
    add(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="where run folders are made (default: %(default)s)"
    )
    add("--calibrations", type=Path, default=CALIBRATIONS, metavar="DIR", help="of this machine (default: %(default)s)")
    add("--resume", nargs="?", const=LATEST, metavar="RUN", help="go on with a run, the latest when none is named")
    add("--report", action="store_true", help="write the report afterwards and print the ranking")


def add_calibrate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `calibrate`."""
    add = parser.add_argument
    parser.set_defaults(command=command_calibrate)
    add("--quick", action="store_true", help="about a minute instead of three, with wider ranges")
    add("--pin", default="auto", metavar="PIN", help="CPUs as in a plan: auto (default), one, none, or SERVER:LOADGEN")
    add("--transports", type=names, metavar="A,B", help="measure only the ceilings of these")
    add("--results", type=Path, default=CALIBRATIONS, metavar="DIR", help="where it is stored (default: %(default)s)")


def command_run(arguments: argparse.Namespace, tools: Tools) -> int:
    """Measure a plan, or what is missing of a run."""
    if not sys.platform.startswith("linux"):
        return fail(NEEDS_LINUX, EXIT_NOTHING)
    run = prepare_run(arguments, tools)
    outcome = _measure(run, tools, read_ceilings(arguments.calibrations, run.document["environment"]))
    exit_code = _conclude(run, outcome)
    if arguments.report and exit_code in {EXIT_OK, EXIT_SOME_FAILED}:
        write_and_print(run.folder)
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
    display = LiveDisplay(console) if console.is_terminal else LineDisplay(console, describe)
    with open_bench(tools, display) as bench, display:
        return measure_run(run, replace(bench, ceilings=ceilings))


@contextmanager
def open_bench(tools: Tools, tell: Observer) -> Iterator[Bench]:
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
        return fail(NEEDS_LINUX, EXIT_NOTHING)
    catalogue = read_catalogue(tools.servers, tools.folder)
    effort = calibrate.QUICK if arguments.quick else calibrate.FULL
    wanted = calibrate.read_wanted(effort, arguments.pin, arguments.transports, catalogue)
    make_writable(arguments.results)
    say = partial(Unheard(stderr=True).print, markup=False, highlight=False, soft_wrap=True)
    try:
        with open_bench(tools, lambda event: None) as bench:
            found = calibrate.calibrate(wanted, catalogue, bench, say)
    except Interrupted:
        return fail("interrupted: the calibration is not stored", EXIT_INTERRUPTED)
    return _conclude_calibration(found, arguments.results)


def _conclude_calibration(found: Mapping[str, Any], results: Path) -> int:
    """Store a calibration and print what it says; return the exit code."""
    for sentence in found["failures"]:
        print(f"echobench: not measured: {sentence}", file=sys.stderr)
    if not found["windows"]:
        return fail("nothing could be measured, and nothing is stored", EXIT_NOTHING)
    path = calibrate.store(found, results)
    calibration_text.print_calibration(found, Console())
    print(path)
    return EXIT_SOME_FAILED if found["failures"] else EXIT_OK
