"""One cell: one scenario in one round, on a fresh server process, with one load generator.

    start the server, wait until it is ready            its memory without load
    start the load generator, follow its events         memory with all connections up, both ends of every window
    stop the server, take its own counts                cross-check
    figures, verdict and warnings of every window

What goes wrong on the way becomes the cell's `failure`, one sentence, with all that was learned until then; the run
goes on with the next cell. Only the user's interrupt and the harness's own faults pass through.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.accounting import Reaped, cell_unavailable, cell_windows, memory_figures
from harness.accounts import Accounts
from harness.bench import Bench, Task
from harness.environment import anonymous, utc_now
from harness.failure import CellFailure
from harness.generator import follow, load_command, read_record, running_generator
from harness.memory import TreeMemory, read_memory
from harness.pinning import running_on
from harness.sampler import Sampler
from harness.schema import CELL_SCHEMA, Cell, CellWindow, LoadRecord, ServerOutcome, Usage
from harness.server import ServerStart, new_outcome, running_server, server_start, stop_server
from harness.verdict import ServerLife


@dataclass
class Findings:
    """What has been learned so far."""

    started: str
    server: ServerOutcome
    baseline: TreeMemory | None = None
    accounts: Accounts = field(default_factory=Accounts)
    record: LoadRecord | None = None
    usage: dict[str, Usage | None] = field(default_factory=lambda: {"server": None, "loadgen": None})
    died: bool = False
    failure: str | None = None


def measure_cell(task: Task, bench: Bench) -> Cell:
    """Measure one cell; a failure is part of what is returned. Raises Interrupted when the user asks to stop.

    Nothing is started for a task that is known to be impossible.
    """
    start = server_start(task.scenario, task.foreign, bench, task.interpreter)
    findings = Findings(utc_now(), new_outcome(start))
    if task.impossible is not None:
        findings.failure = anonymous(f"can't be measured here: {task.impossible}")
        return _cell(task, findings)
    try:
        with running_on(task.pinning.loadgen_cpus):
            _measure(task, start, findings, bench)
    except CellFailure as failure:
        findings.failure = anonymous(str(failure))
    return _cell(task, findings)


def _measure(task: Task, start: ServerStart, findings: Findings, bench: Bench) -> None:
    before = Reaped.now()
    with running_server(start, task.pinning.server_cpus, bench, findings.server) as server:
        findings.baseline = read_memory(server.pid)
        ready = findings.server["ready"] or {}
        record = bench.scratch / "load.json"
        record.unlink(missing_ok=True)
        command = load_command(task, ready, record, bench)
        with (
            running_generator(command, task.pinning, bench) as generator,
            Sampler(server.pid, generator.pid, ready["port"] if task.scenario.transport == "udp" else None) as sampler,
        ):
            follow(generator, server, sampler, task.scenario, bench)
            findings.accounts = sampler.stop()
        after_load = Reaped.now()
        findings.usage["loadgen"] = after_load.since(before)
        findings.record = read_record(record, task.scenario)
        bench.watch.look()
        findings.died = server.exit_code is not None
        connections = task.scenario.connections + task.scenario.idle
        stop_server(server, start, bench, findings.server, connections)
    findings.usage["server"] = Reaped.now().since(after_load)


def _cell(task: Task, findings: Findings) -> Cell:
    accounts, connections = findings.accounts, task.scenario.held_connections
    return {
        "schema": CELL_SCHEMA,
        "scenario": task.scenario.as_dict(),
        "round": task.round,
        "started": findings.started,
        "server": findings.server,
        "load": findings.record,
        "windows": _windows(task, findings),
        "memory": memory_figures(findings.baseline, accounts.memory.server, connections),
        "series": accounts.series.as_dict(),
        "usage": findings.usage,
        "accounting": {"cpu_s": accounts.spent_s, "elapsed_s": accounts.lived_s},
        "unavailable": cell_unavailable(findings.baseline, accounts, connections, findings.usage),
        "outcome": "measured" if findings.failure is None else "failed",
        "failure": findings.failure,
    }


def _windows(task: Task, findings: Findings) -> list[CellWindow]:
    record = findings.record
    if record is None:
        return []
    messages = (findings.server["stopped"] or {}).get("messages")
    life = ServerLife(
        transport=task.scenario.transport,
        requests_total=record["requests_total"],
        messages=messages if isinstance(messages, int) else None,
        died=findings.died,
    )
    return cell_windows(record, findings.accounts, task.pinning, life)
