"""One server's life as the harness sees it: started, ready, stopped, or why not.

A server is known by two lines of JSON on stdout. *Ready* says where it listens; it must be the first line, within a
deadline. *Stopped* comes after SIGTERM, with the server's own counts. A server that is not ours need only say where it
listens, and end on SIGTERM.

Whatever happens in between, leaving `running_server` ends the server and everything that it started, and its last
words stand in the outcome.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bench import Bench
from harness.environment import anonymous
from harness.failure import CellFailure, describe_exit, with_last_words
from harness.interpreters import Interpreter, under
from harness.lines import parse_event, shown
from harness.matrix import ForeignServer
from harness.scenario import KEYS, Scenario
from harness.schema import SERVER_SCHEMA, SchemaError, ServerOutcome, require_schema
from harness.supervise import Child, Ended, Line, end, run_to_end

HOST = "127.0.0.1"
ENDING_S = 0.003  # at most, for the process or thread of one connection


@dataclass(frozen=True)
class ServerStart:
    """How a server is started: its command, in which folder (None: where echobench was started), whether it is ours.

    One of ours must say in its ready line that it is the model and transport of the scenario.
    """

    command: tuple[str, ...]
    folder: Path | None
    ours: bool
    model: str = ""
    transport: str = ""


def server_start(
    scenario: Scenario, foreign: ForeignServer | None, bench: Bench, interpreter: Interpreter | None = None
) -> ServerStart:
    """Return how the server of a scenario is started: under the harness's own interpreter, or another one."""
    if foreign is not None:
        values = {"{host}": HOST, "{transport}": scenario.transport}
        if any("{port}" in word for word in foreign.command):
            values["{port}"] = str(_free_port(scenario.transport))
        return ServerStart(tuple(_filled(word, values) for word in foreign.command), None, ours=False)
    program = bench.tools.servers if interpreter is None else under(interpreter.executable, bench.tools.servers)
    command = [*program, "--model", scenario.model, "--transport", scenario.transport, "--host", HOST]
    if scenario.workers is not None:
        command += ["--workers", str(scenario.workers)]
    if scenario.work != KEYS["work"].default:
        command += ["--work", scenario.work]
    words = (*command, "--port", "0", *scenario.options)
    folder = bench.tools.servers_folder or bench.tools.folder
    return ServerStart(words, folder, ours=True, model=scenario.model, transport=scenario.transport)


def _filled(word: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def _free_port(transport: str) -> int:
    """Return a port that was free a moment ago, for servers that can't choose one themselves."""
    with socket.socket(type=socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def new_outcome(start: ServerStart) -> ServerOutcome:
    """Return the outcome of a server of which nothing is known yet."""
    command = [anonymous(word) for word in start.command]
    return {"command": command, "ready": None, "stopped": None, "exit_code": None, "stderr_tail": ""}


@contextmanager
def running_server(start: ServerStart, cpus: tuple[int, ...], bench: Bench, outcome: ServerOutcome) -> Iterator[Child]:
    """Start a server, wait until it is ready, and leave nothing of it behind; fills in the outcome.

    Raises CellFailure when it does not get ready.
    """
    try:
        child = bench.watch.start("server", start.command, cpus=cpus, cwd=start.folder)
    except OSError as error:
        raise CellFailure(f"the server can't be started: {error}") from error
    try:
        outcome["ready"] = await_ready(child, start, bench)
        yield child
    finally:
        end(child, bench.watch, bench.deadlines.cleanup_s)
        outcome["exit_code"] = child.exit_code
        outcome["stderr_tail"] = anonymous(child.stderr_tail)


def await_ready(child: Child, start: ServerStart, bench: Bench) -> dict[str, Any]:
    """Return the ready line of a server; raises CellFailure when something else comes, or nothing in time."""
    event = bench.watch.next(time.monotonic() + bench.deadlines.ready_s)
    match event:
        case None:
            what = f"the server was not ready within {bench.deadlines.ready_s:g} s"
            raise CellFailure(with_last_words(what, child))
        case Ended():
            what = f"the server ended with {describe_exit(event.exit_code)} before it was ready"
            raise CellFailure(with_last_words(what, child))
        case Line():
            return _ready_line(event.text, start)


def _ready_line(text: str, start: ServerStart) -> dict[str, Any]:
    ready = parse_event(text)
    if ready is None or ready["event"] != "ready":
        expected = 'one line of JSON with "event": "ready", "host" and "port"'
        raise CellFailure(f"the server printed {shown(text)} where its ready line was expected: {expected}")
    try:
        if start.ours or "schema" in ready:
            require_schema(ready, SERVER_SCHEMA, "the server's ready line")
    except SchemaError as error:
        raise CellFailure(str(error)) from error
    other = [key for key in ("model", "transport") if start.ours and ready.get(key) != getattr(start, key)]
    if other:
        raise CellFailure(
            f"the server says that its {other[0]} is {ready.get(other[0])!r}: do the plan's options change it?"
        )
    host, port = ready.get("host"), ready.get("port")
    if not isinstance(host, str) or type(port) is not int or not 0 < port < 65_536:
        raise CellFailure(f"the server's ready line names no host and port: {shown(text)}")
    return ready


def stop_server(child: Child, start: ServerStart, bench: Bench, outcome: ServerOutcome, connections: int = 0) -> None:
    """Ask a server to stop and take its counts; raises CellFailure when it does not do as it should.

    The more connections it had, the longer it may take: ten thousand threads end in nine seconds, without a server.
    """
    limit_s = bench.deadlines.stop_s + ENDING_S * connections
    if child.exit_code is not None:
        raise CellFailure(with_last_words(f"the server died with {describe_exit(child.exit_code)}", child))
    child.send(signal.SIGTERM)
    last = run_to_end(bench.watch, child, time.monotonic() + limit_s)
    if last is None:
        child.send(signal.SIGKILL)
        what = f"the server did not stop within {limit_s:g} s of SIGTERM and was killed"
        raise CellFailure(with_last_words(what, child))
    events = [event for event in map(parse_event, last.lines) if event is not None and event["event"] == "stopped"]
    outcome["stopped"] = events[-1] if events else None
    if start.ours and last.exit_code != 0:
        what = f"the server ended with {describe_exit(last.exit_code)} after SIGTERM"
        raise CellFailure(with_last_words(what, child))
    if start.ours and not events:
        raise CellFailure(with_last_words("the server ended without its stopped line", child))
