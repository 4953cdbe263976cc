"""What a run says while it goes on: JSON lines on stdout, or nothing.

A line goes out with one write, so that a reader sees whole lines. When nobody reads any more, the run has lost whoever
asked for it: that ends the run (`UnheardError`), it does not go on loading a server for nobody.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Protocol, TextIO

from harness.schema import Load, Second
from loadgen.tally import FOREVER_NS


class UnheardError(Exception):
    """Whoever reads the events has gone."""


class Announcer(Protocol):
    """Where events go."""

    def say(self, event: str, **fields: Any) -> None:
        """Tell of an event."""
        ...


class JsonLines:
    """Events as JSON lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, event: str, **fields: Any) -> None:
        """Write one line; raises UnheardError when the stream is closed at the other end."""
        try:
            self._stream.write(json.dumps({"event": event, **fields}) + "\n")
            self._stream.flush()
        except OSError as error:
            # Python flushes stdout once more when it exits, and would complain there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            gone = isinstance(error, BrokenPipeError)
            sentence = (
                "nobody reads the events on stdout any more" if gone else f"can not write to stdout: {error.strerror}"
            )
            raise UnheardError(sentence) from error


class Silence:
    """No events."""

    def say(self, event: str, **fields: Any) -> None:
        """Say nothing."""


def say_window(announcer: Announcer, index: int, load: Load, opens_ns: int, closes_ns: int) -> None:
    """Announce a window."""
    announcer.say(
        "window",
        index=index,
        load=str(load),
        opens_monotonic_ns=opens_ns,
        closes_monotonic_ns=None if closes_ns == FOREVER_NS else closes_ns,
    )


def say_second(announcer: Announcer, window_index: int, second: Second) -> None:
    """Tell of a second of a window; `index` is the window's, as in the event that announced it."""
    announcer.say("second", **(dict(second) | {"index": window_index, "second": second["index"]}))
