"""The options of the load generator: one table, two front ends.

`python -m loadgen` reads them with argparse; Locust's own command line gets the same ones added to its parser (with
`--load-record` for `--json`, which Locust has already, and with `--users` and `--host` for `--connections` and the
URL). Values stay as written (text and plain numbers) until `Options.read` makes them one frozen, checked object:
Locust's web interface writes into the parsed values too, and knows no types of ours.

Windows under plain Locust: with `--window`, the windows are measured one after the other once all users are spawned,
and the test then ends by itself. Without it the window *is* the test: it opens when all users are spawned and warmed
up, and closes when Locust stops the test (`--run-time`, Ctrl-C, the Stop button).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from harness.schema import Load, Share, parse_payload, require_capacity
from loadgen.wire import (
    MAX_CONNECTION_NUMBER,
    UnavailableError,
    has_path,
    most_payload_bytes,
    transports,
    url_forms,
)

# What `python -m loadgen` is called towards Locust's parser: its command line is complete, so that configuration files
# of Locust's that happen to lie about must not add to it (see the Locust file).
PROGRAM = "python -m loadgen"
DEFAULT_CONNECTIONS = 64
DEFAULT_WINDOW_S = 5.0
MAX_PIPELINE = 1 << 16
MOST_URL_CHARACTERS = 4096


class UsageError(ValueError):
    """An option's value makes no sense; the text is a sentence for the user."""


@dataclass(frozen=True)
class Target:
    """Where the load goes."""

    url: str
    transport: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read `TRANSPORT://HOST:PORT`, for some transports with a path; raises UsageError with what is wrong."""
        if not url:
            raise UsageError(f"there is no target: give one as {_forms()} (to Locust with --host)")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"URL {url!r} is not {_forms()}: {error}") from error
        is_known = parts.scheme in transports()
        if not is_known or not host or not port or parts.fragment or parts.username is not None:
            raise UsageError(f"URL {url!r} is not {_forms()}")
        try:
            _check_path(url, parts)
        except UnavailableError as error:
            raise UsageError(str(error)) from error
        return cls(url, parts.scheme, host, port)


def _forms() -> str:
    *others, last = url_forms()
    return f"{', '.join(others)} or {last}"


def _check_path(url: str, parts: SplitResult) -> None:
    """Refuse a path where there is none on a transport, and one that no request can name."""
    if not has_path(parts.scheme):
        if parts.path.strip("/") or parts.query:
            raise UsageError(f"URL {url!r} names a path, and over {parts.scheme} there is none: leave it out")
    elif len(url) > MOST_URL_CHARACTERS or any(letter <= " " for letter in url):
        raise UsageError(f"URL {url!r} has a space in it, or over {MOST_URL_CHARACTERS:,} characters")


def parse_cpus(text: str) -> tuple[int, ...]:
    """Read a list of CPUs such as `0,2-3`; raises UsageError."""
    cpus: set[int] = set()
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            cpus.update(range(int(first), int(last if dash else first) + 1))
    except ValueError as error:
        raise UsageError(f"CPU list {text!r} is not of the form 0,2-3") from error
    if not cpus or min(cpus) < 0:
        raise UsageError(f"CPU list {text!r} names no CPU")
    return tuple(sorted(cpus))


def _number(name: str, low: float, high: float, whole: bool = False) -> Callable[[Any], float]:
    """Return a reader of numbers within bounds; its errors name the option."""

    def read(value: Any) -> float:
        try:
            number = int(value) if whole else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not low <= number <= high:
            raise UsageError(f"--{name} {value} is not a {'whole ' if whole else ''}number from {low:,} to {high:,}")
        return number

    return read


@dataclass(frozen=True)
class Option:
    """One option: its flag, what it means, how argparse takes it, and the default where Locust's differs."""

    name: str
    help: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    locust_default: Any = None


MODES = ("persistent", "churn")
_IDLE = {"metavar": "N", "default": 0}
# In the order in which --help shows them.
OPTIONS = (
    Option(
        "load",
        "closed (every connection keeps --pipeline requests outstanding), open:RATE or open:RATE:constant (requests/s "
        "in total, Poisson unless constant), or sweep:N (N windows of open load at even parts of the throughput of the "
        "closed window before); repeat it for one window each (default: closed)",
        {"action": "append", "metavar": "LOAD"},
    ),
    Option("warmup", "seconds of the same load before each window (default: 1)", {"metavar": "S", "default": 1.0}),
    Option("window", "seconds a window lasts (default: 5)", {"metavar": "S", "default": DEFAULT_WINDOW_S}),
    Option(
        "payload",
        "payload of a request in bytes, or a mix of sizes with their parts, such as 64:0.9,4096:0.1 (default: 64)",
        {"metavar": "BYTES", "default": "64"},
    ),
    Option(
        "mode",
        "persistent: connections stay open; churn: each request makes a connection and closes it (default: persistent)",
        {"choices": list(MODES), "default": MODES[0]},
    ),
    Option(
        "idle", "connections that send one request and then are only held, beside the active ones (default: 0)", _IDLE
    ),
    Option(
        "pipeline", "requests outstanding on a connection, closed load (default: 1)", {"metavar": "N", "default": 1}
    ),
    Option("timeout", "seconds until a request is given up (default: 1)", {"metavar": "S", "default": 1.0}),
    Option("spin", "poll without sleeping: takes a whole CPU, halves the spread of results", {"action": "store_true"}),
    Option("seed", "seed of schedules and payload (default: 1)", {"metavar": "N", "default": 1}),
    Option("cpus", "run on these CPUs only, such as 1 or 0,2-3", {"metavar": "LIST", "default": ""}),
)
RECORD_HELP = "write the load record to this file, and the run's events to stdout as JSON lines"
LOCUST_WINDOW_HELP = (
    "seconds a window lasts; the test ends after the last one (default: one window until the test ends)"
)


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add the table to the parser of `python -m loadgen`."""
    for option in OPTIONS:
        parser.add_argument(f"--{option.name}", help=option.help, **option.settings)


def add_to_locust(parser: Any) -> None:
    """Add the table to Locust's parser; what belongs to the process and not to a test stays out of the web form."""
    for option in OPTIONS:
        settings = dict(option.settings)
        text = option.help
        if option.name == "window":
            settings["default"], text = "", LOCUST_WINDOW_HELP
        parser.add_argument(f"--{option.name}", help=text, include_in_web_ui=option.name != "cpus", **settings)
    parser.add_argument("--load-record", help=RECORD_HELP, metavar="FILE", default="", include_in_web_ui=False)


def as_locust_arguments(values: argparse.Namespace) -> Iterator[str]:
    """Yield the table's options as they stand on Locust's command line."""
    for option in OPTIONS:
        value = getattr(values, option.name)
        if option.settings.get("action") == "store_true":
            if value:
                yield f"--{option.name}"
        elif value not in (None, ""):
            for item in value if isinstance(value, list) else [value]:
                yield f"--{option.name}={item}"


@dataclass(frozen=True)
class Options:
    """What a run does. `window_s` is None when the window lasts until the test is stopped from outside."""

    target: Target
    loads: tuple[Load, ...]
    warmup_s: float
    window_s: float | None
    payload: str
    shares: tuple[Share, ...]
    mode: str
    idle: int
    pipeline: int
    timeout_s: float
    spin: bool
    seed: int
    cpus: tuple[int, ...]
    record: Path | None

    @property
    def mean_payload_bytes(self) -> float:
        """The payload of a request on average."""
        return sum(share.size_bytes * share.part for share in self.shares)

    @classmethod
    def read(cls, url: str, values: Any, record: str) -> Options:
        """Check parsed values (of either front end) and freeze them; raises UsageError with a sentence."""
        target = Target.parse(url)
        payload, shares = _payload(str(values.payload), target.transport)
        options = cls(
            target=target,
            loads=_loads(values.load),
            warmup_s=_number("warmup", 0, 3600)(values.warmup),
            window_s=None if values.window in (None, "") else _number("window", 0.05, 86_400)(values.window),
            payload=payload,
            shares=shares,
            mode=values.mode,
            idle=int(_number("idle", 0, MAX_CONNECTION_NUMBER, whole=True)(values.idle)),
            pipeline=int(_number("pipeline", 1, MAX_PIPELINE, whole=True)(values.pipeline)),
            timeout_s=_number("timeout", 0.001, 3600)(values.timeout),
            spin=bool(values.spin),
            seed=int(_number("seed", 0, 2**63, whole=True)(values.seed)),
            cpus=parse_cpus(values.cpus) if values.cpus else (),
            record=_record(record),
        )
        if options.mode not in MODES:
            raise UsageError(f"--mode {options.mode} is not one of {', '.join(MODES)}")
        if options.mode == "churn":
            _check_churn(options)
        if options.pipeline != 1 and all(load.kind != "closed" for load in options.loads):
            raise UsageError(f"--pipeline {options.pipeline} is for closed load, and there is none: leave it out")
        if options.window_s is None and len(options.loads) > 1:
            raise UsageError("several loads need --window: without it the one window lasts until the test is stopped")
        return options


def _payload(text: str, transport: str) -> tuple[str, tuple[Share, ...]]:
    most_bytes = most_payload_bytes(transport)
    try:
        shares = parse_payload(text)
    except ValueError as error:
        raise UsageError(f"--payload {text}: {error}") from error
    if max(share.size_bytes for share in shares) > most_bytes:
        raise UsageError(f"--payload {text}: over {transport} a payload has at most {most_bytes:,} bytes")
    return text, shares


def _check_churn(options: Options) -> None:
    if options.target.transport == "udp":
        raise UsageError("--mode churn has no meaning over udp: there are no connections to make")
    if options.pipeline != 1:
        raise UsageError("--mode churn sends one request on a connection: leave out --pipeline")
    if options.idle:
        raise UsageError("--idle connections stay open: they go with --mode persistent")


def _loads(value: Any) -> tuple[Load, ...]:
    texts = [text for text in value.split(",") if text] if isinstance(value, str) else list(value or [])
    try:
        loads = tuple(Load.parse(text) for text in texts or ["closed"])
        require_capacity(loads)
        return loads
    except ValueError as error:
        raise UsageError(str(error)) from error


def _record(value: str) -> Path | None:
    if not value:
        return None
    path = Path(value)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"can not write the record to {value}: it is a folder, or its folder does not exist")
    return path
