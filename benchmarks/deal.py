"""How connections are dealt to the workers of `hybrid`: `--accept own` beside `shared`, and what runs inside.

    python -m benchmarks deal [--rounds 7]

64 connections that stay, opened back to back (*burst*), or each when the one before has had a reply (*in turn*), to a
server that may use all CPUs. What each worker got is in the stopped line. Quoted are the medians over rounds of the
busiest worker's and the idlest one's connections: an even deal of 64 to four is 16 / 16.
"""

from __future__ import annotations

import socket
import statistics
import sys
from collections import defaultdict
from contextlib import ExitStack, closing
from itertools import product

from benchmarks import pairs, programs

VARIANTS = (
    ("--accept", "own"),
    ("--accept", "shared"),
    ("--accept", "shared", "--inner", "selectors"),
    ("--accept", "shared", "--inner", "thread"),
)
WORKERS, ORDERS = (2, 4), ("burst", "in turn")
CONNECTIONS, PATIENCE_S = 64, 10.0
REQUEST = b"\xeb\x01\x01\x01" + bytes(12)


def run(rounds: int, seconds: float) -> str:
    """Measure and return the table as Markdown; the length of a figure is given by its connections."""
    cells = {f"{' '.join(cell[0])} {cell[1]} {cell[2]}": cell for cell in product(VARIANTS, WORKERS, ORDERS)}
    dealt: dict[str, list[list[int]]] = defaultdict(list)
    for number, name in pairs.shuffled(cells, rounds):
        dealt[name].append(_dealt(*cells[name]))
        print(f"  round {number}/{rounds}  {name:<48}{dealt[name][-1]}", file=sys.stderr, flush=True)
    columns = [f"{workers} workers, {order}" for workers, order in product(WORKERS, ORDERS)]
    lines = [
        programs.header(f"{CONNECTIONS} connections dealt to the workers of hybrid: most / least", "nothing pinned"),
        f"| | {' | '.join(columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for options in VARIANTS:
        words = " ".join(options)
        figures = (_ends(dealt[f"{words} {workers} {order}"]) for workers, order in product(WORKERS, ORDERS))
        lines.append(f"| `{words}` | {' | '.join(figures)} |")
    return "\n".join([*lines, "", f"Medians of the busiest worker and of the idlest over {rounds} servers each."])


def _ends(rounds: list[list[int]]) -> str:
    most, least = (statistics.median(end(counts) for counts in rounds) for end in (max, min))
    return f"{most:g} / {least:g}"


def _dealt(options: tuple[str, ...], workers: int, order: str) -> list[int]:
    """Return how many connections each worker got."""
    command = programs.our_server("hybrid", "--workers", str(workers), *options)
    with programs.running(command, programs.CPUS) as server:
        with ExitStack() as held:
            waiting = []
            for _ in range(CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", server.ready["port"]), PATIENCE_S)
                held.enter_context(closing(connection))
                waiting.append(connection)
                if order == "in turn":
                    _ask(waiting.pop())
            for connection in waiting:
                _ask(connection)
        counts = [int(worker["connections"]) for worker in server.stop()["workers"]]
    if sum(counts) != CONNECTIONS:
        raise RuntimeError(f"of {CONNECTIONS} connections the workers of {' '.join(command)} counted {counts}")
    return counts


def _ask(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    left = len(REQUEST)
    while left:
        received = len(connection.recv(left))
        if not received:
            raise RuntimeError("the server closed a connection")
        left -= received
