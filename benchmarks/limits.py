"""A server out of descriptors: what it costs, whom it still serves, whether it recovers.

    python -m benchmarks limits [--rounds 7] [--seconds 1.5]

A listening socket stays readable while a connection waits that can't be accepted, so a loop that waits for it spins at
100 % of a core. Here 32 connections are established, then the soft descriptor limit of each process that accepts is set
to the lowest number that is free: the next `accept` fails with EMFILE. Then 200 more connects a second come, for twice
the seconds of other figures, while each established connection is asked about six times a second.

Recovery by itself: half of the established connections leave, and newcomers connect until eight in a row were answered.
`fork` gives a connection's descriptor to its child, so its root is no better off when connections leave; there the
limit is lifted instead, as when whatever took the descriptors has gone.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import pairs, programs
from harness.cputime import read_cpu
from harness.proctree import read_tree

ESTABLISHED, CONNECTS_PER_S, IN_A_ROW = 32, 200, 8
CPU_MOST_PERCENT = 10.0
ROUNDS_MOST = 3
PATIENCE_S = 10.0
REQUEST = b"\xeb\x01\x01\x01" + (64).to_bytes(4, "big") + bytes(8) + b"e" * 64
REPLY = b"\xeb\x01\x01\x02" + REQUEST[4:]


@dataclass
class Guest:
    """An established connection, one request outstanding at most."""

    connection: socket.socket
    asked_ns: int = 0
    received: bytes = b""


@dataclass(frozen=True)
class Figures:
    """What happened at the limit."""

    cpu_percent: float
    connects: int
    refused: int
    asked: int
    answered: int
    slowest_ms: float
    recovery_ms: float | None  # None: not within `PATIENCE_S`


@dataclass
class Siege:
    """The connects that come at the limit, and those who are served meanwhile."""

    port: int
    guests: list[Guest]
    poller: select.poll = field(default_factory=select.poll)
    newcomers: dict[int, socket.socket] = field(default_factory=dict)
    connects: int = 0
    refused: int = 0
    asked: int = 0
    times_ns: list[int] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Connect and ask on schedule, then wait for what is outstanding."""
        asking = {guest.connection.fileno(): guest for guest in self.guests}
        for descriptor in asking:
            self.poller.register(descriptor, select.POLLIN)
        start_ns = time.monotonic_ns()
        for number in range(int(seconds * CONNECTS_PER_S)):
            self._handle_until(start_ns + number * 1_000_000_000 // CONNECTS_PER_S, asking)
            self._connect()
            self._ask(self.guests[number % len(self.guests)])
        deadline_ns = time.monotonic_ns() + int(PATIENCE_S * 1e9)
        while len(self.times_ns) < self.asked and (now_ns := time.monotonic_ns()) < deadline_ns:
            self._handle_until(now_ns + 1_000_000, asking)
        for newcomer in self.newcomers.values():
            newcomer.close()

    def _connect(self) -> None:
        newcomer = socket.socket()
        newcomer.setblocking(False)
        newcomer.connect_ex(("127.0.0.1", self.port))
        self.connects += 1
        self.newcomers[newcomer.fileno()] = newcomer
        self.poller.register(newcomer, select.POLLIN)

    def _ask(self, guest: Guest) -> None:
        if guest.asked_ns:  # still outstanding
            return
        self.asked += 1
        guest.asked_ns = time.monotonic_ns()
        guest.connection.sendall(REQUEST)

    def _handle_until(self, until_ns: int, asking: dict[int, Guest]) -> None:
        while True:
            left_ms = max(0.0, (until_ns - time.monotonic_ns()) / 1e6)
            for descriptor, _ in self.poller.poll(left_ms):
                if descriptor in asking:
                    self._take(asking[descriptor])
                else:  # nothing was asked there, so it is the end
                    self.poller.unregister(descriptor)
                    self.newcomers.pop(descriptor).close()
                    self.refused += 1
            if not left_ms:
                return

    def _take(self, guest: Guest) -> None:
        data = guest.connection.recv(4096)
        if not data:
            raise RuntimeError("the server closed an established connection")
        guest.received += data
        if len(guest.received) == len(REPLY):
            if guest.received != REPLY:
                raise RuntimeError("the server sent a wrong reply")
            self.times_ns.append(time.monotonic_ns() - guest.asked_ns)
            guest.received, guest.asked_ns = b"", 0


def run(rounds: int, seconds: float) -> str:
    """Measure and return the table as Markdown."""
    figures: dict[str, list[Figures]] = {model: [] for model in programs.MODELS}
    for number, model in pairs.shuffled(programs.MODELS, min(rounds, ROUNDS_MOST)):
        with _on_client_cpu():
            figures[model].append(_measure(model, 2 * seconds))
        print(f"  round {number}  {model:<34}{figures[model][-1].cpu_percent:>9.2f} %", file=sys.stderr, flush=True)
    title = f"Out of descriptors: {ESTABLISHED} connections, {CONNECTS_PER_S} more connects a second"
    columns = (
        "model",
        "CPU of the tree, % of a core",
        "greatest",
        "wanted",
        "connects",
        "closed at once",
        "established: asked, answered",
        "slowest, ms",
        "served again after, ms",
    )
    lines = [programs.header(title), f"| {' | '.join(columns)} |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    return "\n".join(lines + [_row(model, found) for model, found in figures.items()])


def _row(model: str, found: list[Figures]) -> str:
    recoveries = [figure.recovery_ms for figure in found if figure.recovery_ms is not None]
    cells = [
        model,
        f"{statistics.median(figure.cpu_percent for figure in found):.2f}",
        f"{max(figure.cpu_percent for figure in found):.2f}",
        f"< {CPU_MOST_PERCENT:.0f}",
        f"{sum(figure.connects for figure in found):,}",
        f"{sum(figure.refused for figure in found):,}",
        f"{sum(figure.asked for figure in found):,}, {sum(figure.answered for figure in found):,}",
        f"{max(figure.slowest_ms for figure in found):.1f}",
        f"{max(recoveries):.1f}" if len(recoveries) == len(found) else f"not within {PATIENCE_S:g} s",
    ]
    return f"| {' | '.join(cells)} |"


def _measure(model: str, seconds: float) -> Figures:
    with programs.running(programs.our_server(model)) as server, contextlib.ExitStack() as held:
        port = server.ready["port"]
        guests = [Guest(held.enter_context(_connected(port))) for _ in range(ESTABLISHED)]
        for guest in guests:
            _converse(guest.connection)
        accepting = _accepting(server.pid, model)
        hard_limits = {pid: _use_up_descriptors(pid) for pid in accepting}
        siege = Siege(port, guests)
        before = read_cpu(server.pid)
        siege.run(seconds)
        after = read_cpu(server.pid)
        if model == "fork":
            for pid, hard in hard_limits.items():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        else:
            for guest in guests[::2]:
                guest.connection.close()
        recovery_ms = _until_served_ms(port)
        if (refused := server.stop()["refused"]) < siege.refused:
            raise RuntimeError(f"{siege.refused} connections were closed at once, the server counted {refused}")
    elapsed_ns = after.at_monotonic_ns - before.at_monotonic_ns
    return Figures(
        cpu_percent=100 * (after.total_ns - before.total_ns) / elapsed_ns,
        connects=siege.connects,
        refused=siege.refused,
        asked=siege.asked,
        answered=len(siege.times_ns),
        slowest_ms=max(siege.times_ns, default=0) / 1e6,
        recovery_ms=recovery_ms,
    )


@contextlib.contextmanager
def _on_client_cpu() -> Iterator[None]:
    """Run this process on the client's CPU: here it is the client."""
    os.sched_setaffinity(0, {programs.CLIENT_CPU})
    try:
        yield
    finally:
        os.sched_setaffinity(0, programs.CPUS)


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        yield connection


def _converse(connection: socket.socket) -> bool:
    """Tell whether a request is answered."""
    received = b""
    try:
        connection.sendall(REQUEST)
        while len(received) < len(REPLY) and (data := connection.recv(4096)):
            received += data
    except (ConnectionError, TimeoutError):  # refused again: closed before it was asked, or while; or left waiting
        return False
    return received == REPLY


def _accepting(root_pid: int, model: str) -> list[int]:
    """Return the processes that accept: the workers of hybrid, else the root."""
    return [pid for pid in read_tree(root_pid) if pid != root_pid] if model == "hybrid" else [root_pid]


def _use_up_descriptors(pid: int) -> int:
    """Leave a process not one descriptor more; return its hard limit."""
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    lowest_free = next(number for number in range(len(used) + 1) if number not in used)
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, hard))
    return hard


def _until_served_ms(port: int) -> float | None:
    """Connect until some newcomers in a row were answered; return how long that took, None where it never came."""
    start_s, in_a_row = time.monotonic(), 0
    while (passed_s := time.monotonic() - start_s) < PATIENCE_S:
        if in_a_row == IN_A_ROW:
            return passed_s * 1000
        with _connected(port) as connection:
            in_a_row = in_a_row + 1 if _converse(connection) else 0
    return None
