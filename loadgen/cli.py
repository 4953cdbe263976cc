"""`python -m loadgen URL`: one headless Locust run of the Locust file of this package, in this process.

With `--processes N` this process is Locust's master and conducts, and N that it forks carry the load.

Nothing is measured or connected here. Arguments are checked (one sentence and exit code 2 for a mistake), limits are
raised or found wanting, and the rest is a command line for Locust. Exit codes: 0 with a result, whatever its warnings;
2 usage; 3 no result; 130 and 143 after SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import logging
import os
import runpy
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from loadgen.limits import LimitError, pin, provide_descriptors, provide_ports, require_linux
from loadgen.options import (
    DEFAULT_CONNECTIONS,
    PROGRAM,
    RECORD_HELP,
    Options,
    UsageError,
    add_shared,
    as_locust_arguments,
)
from loadgen.wire import MAX_CONNECTION_NUMBER

LOOPBACK = "127.0.0.1"
MAX_PROCESSES = 1024
EXIT_USAGE, EXIT_NO_RESULT, EXIT_INTERRUPTED = 2, 3, 130


class Parser(argparse.ArgumentParser):
    """argparse with one sentence for a mistake."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage."""
        raise UsageError(message)


def make_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(prog=PROGRAM, description="Drive an echo service and measure it.", allow_abbrev=False)
    parser.add_argument("url", metavar="URL", help="tcp://HOST:PORT, udp://HOST:PORT or ws://HOST:PORT/PATH")
    parser.add_argument(
        "--connections", metavar="N", default=DEFAULT_CONNECTIONS, help=f"how many (default: {DEFAULT_CONNECTIONS})"
    )
    parser.add_argument(
        "--processes", metavar="N", default=1, help="processes that share the load and its connections (default: 1)"
    )
    add_shared(parser)
    parser.add_argument("--json", metavar="FILE", default="", help=RECORD_HELP)
    return parser


def locust_command(values: argparse.Namespace) -> list[str]:
    """Return the arguments of the Locust run that the parsed values ask for."""
    shared = {
        "locustfile": str(Path(__file__).with_name("locustfile.py")),
        "host": values.url,
        "users": values.connections + int(values.idle),
        "spawn-rate": values.connections + int(values.idle),  # all at once
        "exit-code-on-error": 0,  # errors of the server are a result
        "load-record": values.json,
    }
    arguments = [f"--{name}={value}" for name, value in shared.items() if value != ""]
    return [*arguments, "--headless", "--only-summary", "--skip-log-setup", *as_locust_arguments(values)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load generator and return its exit code."""
    try:
        require_linux()
    except LimitError as error:
        return _say(error, EXIT_NO_RESULT)
    try:
        values = make_parser().parse_args(arguments)
        values.connections = _whole("connections", values.connections, MAX_CONNECTION_NUMBER)
        values.processes = _processes(values.processes, values.connections)
        values.window = values.window or "none"  # only Locust knows windows without a length
        options = Options.read(values.url, values, values.json)
        provide_descriptors(-(-(values.connections + options.idle) // values.processes))
        provide_ports(options.target.host, values.connections + options.idle)
        if options.cpus:
            pin(options.cpus)
    except (UsageError, LimitError) as error:
        return _say(error, EXIT_USAGE)
    if values.processes == 1:
        return _run_locust(locust_command(values))
    with _free_port() as port:
        return _run_locust([*locust_command(values), *_several(values.processes, port)])


def _run_locust(arguments: list[str]) -> int:
    # What is measured follows from this command line alone: not from Locust's variables and files (for those, see
    # the Locust file), nor from keys pressed in the terminal, which Locust takes for changes of the number of users.
    for name in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[name]
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  # stays open as long as the process
    logging.basicConfig(level=logging.ERROR, format=f"{PROGRAM}: %(message)s")  # to stderr
    sys.argv = [PROGRAM, *arguments]
    try:
        runpy.run_module("locust", run_name="__main__")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else EXIT_USAGE
    except KeyboardInterrupt:  # before Locust was up
        return EXIT_INTERRUPTED
    return 0


def _whole(name: str, value: object, most: int) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise UsageError(f"--{name} {value} is not a whole number from 1 to {most}")
    return number


def _processes(value: object, connections: int) -> int:
    processes = _whole("processes", value, MAX_PROCESSES)
    if processes > connections:
        raise UsageError(f"--processes {processes} are more than the {connections} --connections: each needs one")
    return processes


@contextmanager
def _free_port() -> Iterator[int]:
    """Hold a port of the loopback for a master, so that runs at the same time do not meet.

    The socket is bound and never listens. Both it and the master's allow their address to be used again, so the master
    can bind it and listen, and nobody else is given it meanwhile.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((LOOPBACK, 0))
        yield held.getsockname()[1]


def _several(processes: int, port: int) -> list[str]:
    """Return what makes Locust fork workers and conduct them."""
    return [
        f"--processes={processes}",
        f"--master-bind-host={LOOPBACK}",
        f"--master-host={LOOPBACK}",
        f"--master-bind-port={port}",
        f"--master-port={port}",
    ]


def _say(error: Exception, code: int) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return code
