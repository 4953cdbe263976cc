"""`echobench gate`: its options, and a gate from the lock to the last file.

What was measured is on the disk after every round, as `echobench.gate/1`. A gate that is stopped leaves it there, says
so, and ends with 130; everything that it started, and every worktree that it made, is gone by then.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.bench import Bench
from harness.environment import utc_now
from harness.gate.arms import built
from harness.gate.console import Picture, describe
from harness.gate.lock import only_gate
from harness.gate.session import Session, Wanted
from harness.gate.wanted import read_sources, read_wanted, require_writable
from harness.progress import LineDisplay, Unheard
from harness.schema.gate import Arm, GateRecord, GateRound, Step, gate_document
from harness.store import StoreError, make_writable, write_json

RESULTS = Path("results/gates")
EXIT_INTERRUPTED = 130
LOG_WIDTH = 140  # of a pipe or a job's log, which has no width of its own: the table as a whole


@dataclass(frozen=True)
class Conclusion:
    """What a record means: the decision in its stored form, as Markdown, on a console, and as an exit code."""

    decision: Mapping[str, Any]
    markdown: str
    show: Callable[[Console], None]
    exit_code: int


@dataclass(frozen=True)
class Judge:
    """Who decides: by stored `rules`, whether a scenario needs another round, and what all rounds mean."""

    rules: Mapping[str, Any]
    first_look: int
    last_look: int
    wants_more: Callable[[Sequence[GateRound]], Step]
    conclude: Callable[[GateRecord], Conclusion]


def add_arguments(parser: argparse.ArgumentParser, names: Callable[[str], tuple[str, ...]]) -> None:
    """Add the options of a gate to a parser; `names` reads a list of names."""
    for arm, what in ((Arm.BASE, "what head is compared with"), (Arm.HEAD, "what may be slower")):
        group = parser.add_argument_group(arm.value, what).add_mutually_exclusive_group()
        default = " (default: the working tree, uncommitted changes of servers/ included)" if arm is Arm.HEAD else ""
        group.add_argument(f"--{arm}", metavar="REF", help=f"a commit, branch or tag{default}")
        group.add_argument(f"--{arm}-dir", type=Path, metavar="DIR", help="a folder that holds a servers package")
        group.add_argument(f"--{arm}-server", metavar="COMMAND", help="a server that is not ours, by its command")
    add = parser.add_argument
    add("--models", type=names, metavar="A,B", help="compare these models (default: asyncio, thread, hybrid)")
    add("--transports", type=names, metavar="A,B", help="over these transports (default: tcp)")
    add("--plan", metavar="PLAN", help="compare the scenarios of this plan instead; its loads and rounds don't count")
    add("--gate-p99", action="store_true", help="gate on the p99 of an open window too: two thirds longer")
    add("--rounds", type=_rounds, metavar="N", help="rounds a scenario has at most (default: 40)")
    add("--strict", action="store_true", help="end with 3 where nothing could be decided, instead of 0 and a warning")
    add("--json", type=Path, metavar="FILE", help="write the whole record there too")
    add("--markdown", type=Path, metavar="FILE", help="write the decision there, for a job summary or a comment")
    add("--results", type=Path, default=RESULTS, metavar="DIR", help="where records are kept (default: %(default)s)")
    add("--seed", type=int, metavar="N", help="fixes every order that is drawn (default: another one each time)")


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds from 1 to 1,000")
    return int(text)


def run_gate(
    arguments: argparse.Namespace, judge: Judge, open_bench: Callable[[], AbstractContextManager[Bench]]
) -> int:
    """Hold a gate and return its exit code; raises GateError, PlanError or StoreError with a sentence."""
    sources = read_sources(arguments)
    require_writable(arguments.json, arguments.markdown)
    make_writable(arguments.results)
    stored = _new_file(arguments.results)
    with only_gate(), open_bench() as bench, built(sources, Path.cwd()) as builds:
        wanted = read_wanted(arguments, builds, bench, (judge.first_look, judge.last_look))
        console = Unheard(stderr=True)
        with Picture(console) if console.is_terminal else LineDisplay(console, describe) as tell:
            record = Session(
                wanted,
                builds,
                bench,
                judge.wants_more,
                tell=tell,
                keep=lambda kept: write_json(stored, gate_document(kept)),
                settings=_settings(arguments, judge, wanted),
            ).run()
    return _finish(record, judge, stored, arguments)


def _settings(arguments: argparse.Namespace, judge: Judge, wanted: Wanted) -> dict[str, Any]:
    return {"rules": judge.rules, "strict": arguments.strict, "open_window": wanted.open_window}


def _new_file(results: Path) -> Path:
    stamp = utc_now().replace("-", "").replace(":", "")
    names = (f"{stamp}-gate{number}.json" for number in ("", *(f"-{count}" for count in range(2, 100))))
    free = next((results / name for name in names if not (results / name).exists()), None)
    if free is None:
        raise StoreError(f"{results} holds a hundred gates of this second")
    return free


def _finish(record: GateRecord, judge: Judge, stored: Path, arguments: argparse.Namespace) -> int:
    """Store what was found, and say it; return the exit code."""
    conclusion = judge.conclude(record)
    document = gate_document(replace(record, decision=conclusion.decision))
    write_json(stored, document, indent=1)
    interrupted = record.state == "interrupted"
    if interrupted:
        rounds = sum(map(len, record.rounds.values()))
        print(f"echobench: interrupted after {rounds} rounds, which are kept in {stored}", file=sys.stderr)
    else:
        # Whoever reads may stop half way, and the exit code must not change by that.
        console = Unheard(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else LOG_WIDTH)
        conclusion.show(console)
        console.print(str(stored), markup=False, highlight=False, soft_wrap=True)
        if arguments.markdown is not None:
            _write_text(arguments.markdown, conclusion.markdown)
    if arguments.json is not None:
        write_json(arguments.json, document, indent=1)
    return EXIT_INTERRUPTED if interrupted else conclusion.exit_code


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}") from error
