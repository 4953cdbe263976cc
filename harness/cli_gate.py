"""`echobench gate`: the measuring side (`harness.gate`) and the deciding one (`analysis.gate`) put together.

The exit codes are the decision's: 0 pass, or undecided with a warning; 1 regression or broken; 2 usage, or nothing
could be compared; 3 undecided under --strict. 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from functools import partial

from rich.console import Console

from harness.bench import Tools
from harness.catalogue import CatalogueError
from harness.cli_measure import NEEDS_LINUX, open_bench
from harness.cli_shared import EXIT_INTERRUPTED, EXIT_USAGE, fail, names
from harness.gate.command import Conclusion, Judge, add_arguments, run_gate
from harness.gate.errors import GateError
from harness.interrupts import Interrupted
from harness.plan_errors import PlanError
from harness.schema import SchemaError
from harness.schema.gate import Arm, GateRecord, Metric, stored_form
from harness.store import StoreError


def add_gate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gate`."""
    parser.set_defaults(command=command_gate)
    add_arguments(parser, names)


def command_gate(arguments: argparse.Namespace, tools: Tools) -> int:
    """Compare the servers of two versions, and say whether head is slower."""
    if not sys.platform.startswith("linux"):
        return fail(NEEDS_LINUX, EXIT_USAGE)
    try:
        return run_gate(arguments, judge(arguments), partial(open_bench, tools, lambda event: None))
    except (GateError, PlanError, SchemaError, CatalogueError, StoreError) as error:  # 3 means undecided here
        return fail(error, EXIT_USAGE)
    except Interrupted:
        return fail("interrupted before anything was measured", EXIT_INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - Python would end with 1, and 1 means that head is worse
        traceback.print_exc()
        return fail(f"a mistake of echobench's own, nothing is decided: {type(error).__name__}: {error}", EXIT_USAGE)


def judge(arguments: argparse.Namespace) -> Judge:
    """Return who decides, by the rules that were asked for."""
    from analysis import gate  # noqa: PLC0415 - numpy takes time that other commands save
    from analysis.gate import text as gate_text  # noqa: PLC0415 - numpy takes time that other commands save

    rules = gate.Rules()
    if arguments.rounds is not None:
        rules = rules.with_rounds(arguments.rounds)
    if arguments.gate_p99:
        rules = rules.with_gated(Metric.P99)

    def conclude(record: GateRecord) -> Conclusion:
        decision = gate.decide(record.rounds, rules, record.not_compared)
        arms = {arm: str(record.arms[arm]["name"]) for arm in Arm}

        def show(console: Console) -> None:
            gate_text.print_decision(decision, console, arms)

        exit_code = decision.exit_code(strict=arguments.strict)
        return Conclusion(stored_form(decision), gate_text.markdown(decision, arms), show, exit_code)

    return Judge(
        rules=stored_form(rules),
        first_look=rules.first_look,
        last_look=rules.last_look,
        wants_more=lambda rounds: gate.wants_more(rounds, rules),
        conclude=conclude,
    )
