"""What every command of `echobench` shares: exit codes, how a failure is told, and how a list of names is read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from harness.bench import Tools

EXIT_OK = 0
EXIT_SOME_FAILED = 1
EXIT_USAGE = 2
EXIT_NOTHING = 3
EXIT_INTERRUPTED = 130

Command = Callable[[argparse.Namespace, Tools], int]


def fail(error: object, exit_code: int) -> int:
    """Tell a failure and return the exit code."""
    print(f"echobench: {error}", file=sys.stderr)
    return exit_code


def names(text: str) -> tuple[str, ...]:
    """Return the names of an option such as `--models a,b`."""
    found = tuple(text.replace(",", " ").split())
    if not found:
        raise argparse.ArgumentTypeError("names nothing")
    return found
