"""Why a cell could not be measured, as one sentence: what failed, where, and the last it said."""

from __future__ import annotations

import signal

from harness.environment import anonymous
from harness.supervise import Child

LAST_LINES = 4
LAST_CHARACTERS = 500


class CellFailure(Exception):  # noqa: N818 - an outcome that is stored, not a fault of the harness
    """A cell failed; the message is stored as its failure."""


def describe_exit(exit_code: int | None) -> str:
    """Return how a process ended, in words."""
    if exit_code is None:
        return "no exit code"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-exit_code}"


def with_last_words(sentence: str, child: Child) -> str:
    """Return a sentence with the end of what the child wrote to stderr."""
    lines = [line.strip() for line in child.stderr_tail.splitlines() if line.strip()]
    if not lines:
        return f"{sentence}; it wrote nothing to stderr"
    words = anonymous(" | ".join(lines[-LAST_LINES:]))[-LAST_CHARACTERS:]
    return f"{sentence}; its stderr ends with: {words}"
