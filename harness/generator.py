"""One load generator's life as the harness sees it: its command, its events, its record.

It tells on stdout what it is doing. Two events matter here: *connected*, when memory with all connections up can be
read, and *window*, given at least 50 ms before a window opens, so that the sampler stands ready. The record itself is a
file, read when the generator has ended well.

The harness follows the server at the same time: a server that dies ends the cell at once, rather than after all
time-outs of its clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from harness.bench import Bench, SecondPassed, Task
from harness.failure import CellFailure, describe_exit, with_last_words
from harness.lines import parse_event, parse_json, shown
from harness.pinning import Pinning, cpu_list
from harness.sampler import Sampler
from harness.scenario import Scenario
from harness.schema import (
    LOAD_SCHEMA,
    LoadRecord,
    LoadWindow,
    SchemaError,
    require_schema,
    required_keys,
    window_name,
)
from harness.supervise import Child, Ended, Line, end, run_to_end

AFTERMATH_S = 1.0
CONNECTING_S = 0.005  # at most for one connection: a process is forked for it in 2 ms, and ended after the load
SETTLE_S = 2.0  # beside warm-up and window: until the last requests of a window are through


def load_command(task: Task, ready: Mapping[str, Any], record: Path, bench: Bench) -> list[str]:
    """Return the load generator's command line against a server that is ready."""
    scenario = task.scenario
    host = f"[{ready['host']}]" if ":" in ready["host"] else ready["host"]
    command = [*bench.tools.loadgen, f"{scenario.transport}://{host}:{ready['port']}"]
    for load in scenario.loads:
        command += ["--load", load]
    options: dict[str, object] = {
        "--connections": scenario.connections,
        "--idle": scenario.idle,
        "--mode": scenario.mode,
        "--warmup": f"{scenario.warmup_s:.12g}",
        "--window": f"{scenario.window_s:.12g}",
        "--payload": scenario.payload,
        "--pipeline": scenario.pipeline,
        "--timeout": f"{scenario.timeout_s:.12g}",
        "--seed": task.seed,
        "--json": record,
    }
    if task.pinning.pinned:
        options["--cpus"] = cpu_list(task.pinning.loadgen_cpus)
    command += ["--spin"] if task.spin else []
    return [*command, *(str(word) for option in options.items() for word in option)]


def expected_s(scenario: Scenario) -> float:
    """Return how long the windows of a scenario take with their warm-ups."""
    return len(scenario.windows) * (scenario.warmup_s + scenario.window_s)


def deadline_s(scenario: Scenario, overhead_s: float) -> float:
    """Return after how long a load generator of this scenario must have ended, in seconds."""
    connecting_s = CONNECTING_S * (scenario.connections + scenario.idle)
    return (
        overhead_s + connecting_s + expected_s(scenario) + len(scenario.windows) * (2 * scenario.timeout_s + SETTLE_S)
    )


@contextmanager
def running_generator(command: list[str], pinning: Pinning, bench: Bench) -> Iterator[Child]:
    """Start a load generator and leave nothing of it behind; raises CellFailure when it can't be started."""
    try:
        child = bench.watch.start("load generator", command, cpus=pinning.loadgen_cpus, cwd=bench.tools.folder)
    except OSError as error:
        raise CellFailure(f"the load generator can't be started: {error}") from error
    try:
        yield child
    finally:
        end(child, bench.watch, bench.deadlines.cleanup_s)


def follow(generator: Child, server: Child, sampler: Sampler, scenario: Scenario, bench: Bench) -> None:
    """Follow a load generator to its end, and have the sampler read what it announces.

    Raises CellFailure when it ends badly, takes too long, breaks its contract, or when the server dies.
    """
    limit_s = deadline_s(scenario, bench.deadlines.load_overhead_s)
    deadline = time.monotonic() + limit_s
    while True:
        event = bench.watch.next(deadline)
        match event:
            case None:
                what = f"the load generator did not end within {limit_s:g} s and was stopped"
                raise CellFailure(with_last_words(what, generator))
            case Ended() if event.child is server:
                raise _server_died(server, event.exit_code)
            case Ended() if event.exit_code == 0:
                return
            case Ended():
                raise _why_generator_ended(generator, server, bench, event.exit_code)
            case Line() if event.child is generator:
                _heed(event.text, sampler, scenario, bench)
            case _:
                pass  # what a server says beside its two lines is its own affair


def _server_died(server: Child, exit_code: int) -> CellFailure:
    return CellFailure(with_last_words(f"the server died with {describe_exit(exit_code)} while the load ran", server))


def _why_generator_ended(generator: Child, server: Child, bench: Bench, exit_code: int) -> CellFailure:
    """Return the cause of a generator's bad end: a server that dies closes its connections first, and is seen later."""
    last = run_to_end(bench.watch, server, time.monotonic() + AFTERMATH_S)
    if last is not None:
        return _server_died(server, last.exit_code)
    return CellFailure(with_last_words(f"the load generator ended with {describe_exit(exit_code)}", generator))


def _heed(text: str, sampler: Sampler, scenario: Scenario, bench: Bench) -> None:
    event = parse_event(text)
    if event is None:
        raise CellFailure(f"the load generator printed {shown(text)} where a line of JSON was expected")
    try:
        act = _action(event, sampler, scenario, bench)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CellFailure(f"the load generator printed an event that makes no sense: {shown(text)}") from error
    act()  # outside: a mistake of ours in acting on it is not the load generator's


def _action(event: dict[str, Any], sampler: Sampler, scenario: Scenario, bench: Bench) -> Callable[[], None]:
    match event["event"]:
        case "connected":
            return sampler.connected
        case "window":
            opens_ns, closes_ns = int(event["opens_monotonic_ns"]), int(event["closes_monotonic_ns"])
            return partial(sampler.announce, int(event["index"]), opens_ns, closes_ns)
        case "second":
            figures = event | {"responses": int(event["responses"])}
            return partial(bench.tell, SecondPassed(scenario.windows[event["index"]], figures))
        case _:  # done, or an event of a later version
            return lambda: None


def read_record(path: Path, scenario: Scenario) -> LoadRecord:
    """Return the load generator's record; raises CellFailure where there is none, or not one of this scenario."""
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
        require_schema(document, LOAD_SCHEMA, "the load generator's record")
    except FileNotFoundError as error:
        raise CellFailure("the load generator ended with exit code 0 but wrote no record") from error
    except SchemaError as error:
        raise CellFailure(str(error)) from error
    except (OSError, ValueError, AttributeError) as error:
        raise CellFailure(f"the load generator's record can't be read: {error}") from error
    missing = required_keys(LoadRecord) - document.keys()
    if not missing:
        required = required_keys(LoadWindow)
        missing = frozenset().union(*(required - window.keys() for window in document["windows"]))
    if missing:
        raise CellFailure(f"the load generator's record lacks {', '.join(sorted(missing))}")
    try:
        names = [window_name(window) for window in document["windows"]]
    except (KeyError, TypeError) as error:
        raise CellFailure(
            f"the load generator's record holds a step of a sweep that makes no sense: {error}"
        ) from error
    if names != scenario.windows:
        raise CellFailure(f"the load generator's record holds the windows {names}, asked for were {scenario.windows}")
    return cast(LoadRecord, document)
