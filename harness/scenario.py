"""A scenario: everything that is chosen about one measurement, and the rules of each choice.

`KEYS` is the one list of what a plan may say. Each key knows how its value is checked and stored; a rule returns the
value in its stored form and raises ValueError with what is allowed. The harness adds nothing to a scenario that is not
in this table, so the scenario stored with a cell tells all of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.pinning import parse_pin
from harness.schema import MAX_SWEEP_STEPS, WORK_FORMS, Load, parse_payload, parse_work, require_capacity, window_names

MAX_CONNECTIONS = 100_000
MAX_PAYLOAD_BYTES = 1_048_576
MAX_DATAGRAM_PAYLOAD_BYTES = 65_491
MAX_PIPELINE = 10_000
MAX_WORKERS = 1_024
MAX_DURATION_S = 3_600
PYTHON_NAME = re.compile(r"(pypy)?3\.\d{1,2}t?", re.ASCII)
# Flags of `python -m servers` that the harness sets itself, each from its own place in the plan.
FLAGS_WITH_A_KEY = {"--model": "model", "--transport": "transport", "--workers": "workers", "--work": "work"}
FLAGS_OF_THE_HARNESS = {"--host", "--port", "--list", "--json", "--help", "-h"}


@dataclass(frozen=True)
class Scenario:
    """One combination of a plan's matrix; the field names are the plan's keys.

    `pin` is as planned until a run resolves it to CPUs, `SERVER:LOADGEN`, or leaves it at `none`.
    """

    model: str
    transport: str
    connections: int
    idle: int
    payload: str
    loads: tuple[str, ...]
    warmup_s: float
    window_s: float
    timeout_s: float
    mode: str
    pipeline: int
    work: str
    pin: str
    python: str | None
    workers: int | None
    options: tuple[str, ...]

    @property
    def held_connections(self) -> int:
        """Return how many connections are up all the time: none under churn."""
        return 0 if self.mode == "churn" else self.connections + self.idle

    @property
    def contradiction(self) -> str | None:
        """Return why these choices don't go together, None where they do."""
        longest_bytes = max(share.size_bytes for share in parse_payload(self.payload))
        if self.transport == "udp" and longest_bytes > MAX_DATAGRAM_PAYLOAD_BYTES:
            return f"over udp a payload has at most {MAX_DATAGRAM_PAYLOAD_BYTES:,} bytes"
        if self.pipeline != 1 and not any(load == "closed" for load in self.loads):
            return "pipeline is for closed load, and there is none"
        if (work_s := self.pipeline * parse_work(self.work).total_s) >= self.timeout_s:
            return f"{self._pipelined_work} takes {work_s:g} s, and timeout_s is {self.timeout_s:g}"
        if self.mode != "churn":
            return None
        if self.transport == "udp":
            return 'mode = "churn" makes connections, and udp has none'
        if self.pipeline != 1 or self.idle:
            return 'mode = "churn" has one request on a connection: no pipeline, no idle'
        return None

    @property
    def _pipelined_work(self) -> str:
        """Return how much work a reply waits for: requests of one connection are served one after the other."""
        return f"work {self.work}" + (f" for each of {self.pipeline} requests" if self.pipeline > 1 else "")

    @property
    def windows(self) -> list[str]:
        """Return what the windows are called, in their order: a load may stand for several."""
        return window_names(self.loads)

    def as_dict(self) -> dict[str, Any]:
        """Return the stored form, of JSON's types alone."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


Rule = Callable[[object], Any]


@dataclass(frozen=True)
class Key:
    """A key of a plan: the rule of its value and what it is when the plan is silent (None: nothing)."""

    rule: Rule
    default: Any = None
    required: bool = False


def _name(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("a name in quotes")


def whole_number(least: int, most: int) -> Rule:
    """Return the rule of whole numbers in a range, both ends included."""

    def rule(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError(f"a whole number from {least} to {most:,}")

    return rule


def _seconds(least: float) -> Rule:
    def rule(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            seconds = float(value)
            if least <= seconds <= MAX_DURATION_S:
                return seconds
        raise ValueError(f"seconds, from {least:g} to {MAX_DURATION_S:,}")

    return rule


def _one_of(*texts: str) -> Rule:
    def rule(value: object) -> str:
        if isinstance(value, str) and value in texts:
            return value
        raise ValueError(" or ".join(f'"{text}"' for text in texts))

    return rule


def _python(value: object) -> str | None:
    """Take an interpreter by its version or its path; the one that runs the harness is stored as none named.

    "all" stands for those of this machine until a plan has asked for them.
    """
    if value == "default":
        return None
    if isinstance(value, str) and (value == "all" or PYTHON_NAME.fullmatch(value)):
        return value
    if isinstance(value, str) and value.startswith(("/", "~/")):
        path, home = Path(value), Path.home()
        # Results are published: a home folder stands in none of them.
        return f"~/{path.relative_to(home)}" if path.is_relative_to(home) and home != Path("/") else value
    raise ValueError(
        '"default" (the interpreter that runs echobench), a version in quotes, as "3.13", "3.13t" (without a GIL) or '
        '"pypy3.11", the path of an interpreter from the root, or "all" (that are found here)'
    )


def _work(value: object) -> str:
    if isinstance(value, str):
        parse_work(value)
        return value
    raise ValueError(WORK_FORMS)


def _payload(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and text.isascii() and text.isdecimal() and int(text) <= MAX_PAYLOAD_BYTES:
        return str(int(text))
    try:
        if isinstance(text, str) and max(share.size_bytes for share in parse_payload(text)) <= MAX_PAYLOAD_BYTES:
            return text
    except ValueError:
        pass  # told below, in the same words as for a value that is no text
    raise ValueError(
        f'a number of bytes from 0 to {MAX_PAYLOAD_BYTES:,}, as "64", or a mix of sizes with parts that add up to 1, '
        'as "64:0.9,4096:0.1"'
    )


def _loads(value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    allowed = (
        'a list of loads, each "closed", "open:RATE" or "open:RATE:constant" (RATE in requests/s, more than 0), or '
        f'"sweep:N" (N steps, 1 to {MAX_SWEEP_STEPS}, of the capacity that a "closed" before it measured)'
    )
    if not isinstance(texts, list) or not texts:
        raise ValueError(allowed)
    try:
        loads = [Load.parse(text) for text in texts]
        require_capacity(loads)
    except (ValueError, AttributeError):  # not a load, or not a text
        raise ValueError(allowed) from None
    return tuple(str(load) for load in loads)


def _pin(value: object) -> str:
    try:
        if isinstance(value, str):
            parse_pin(value)
            return value
    except ValueError:
        pass  # told below, in the same words as for a value that is no text
    raise ValueError('"auto", "one", "none" or "SERVER:LOADGEN" with the numbers of CPUs, as "0:1" or "0,1:2-3"')


def _options(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(flag, str) for flag in value):
        raise ValueError('a list of texts, as ["--backlog", "128"]')
    for flag in (part.partition("=")[0] for part in value):
        if flag in FLAGS_WITH_A_KEY:
            raise ValueError(f'flags of the servers, but {flag} has a key of its own, "{FLAGS_WITH_A_KEY[flag]}"')
        if flag in FLAGS_OF_THE_HARNESS:
            raise ValueError(f"flags of the servers, but {flag} is set by the harness")
    return tuple(value)


KEYS: Mapping[str, Key] = {
    "model": Key(_name, required=True),
    "transport": Key(_name, required=True),
    "connections": Key(whole_number(1, MAX_CONNECTIONS), 64),
    "idle": Key(whole_number(0, MAX_CONNECTIONS), 0),
    "payload": Key(_payload, "64"),
    "loads": Key(_loads, ("closed",)),
    "warmup_s": Key(_seconds(0), 1.0),
    "window_s": Key(_seconds(0.05), 5.0),
    "timeout_s": Key(_seconds(0.001), 1.0),
    "mode": Key(_one_of("persistent", "churn"), "persistent"),
    "pipeline": Key(whole_number(1, MAX_PIPELINE), 1),
    "work": Key(_work, "echo"),
    "pin": Key(_pin, "auto"),
    "python": Key(_python, None),
    "workers": Key(whole_number(1, MAX_WORKERS), None),
    "options": Key(_options, ()),
}
