"""What each model costs: CPU a request, and memory a connection.

    python -m benchmarks cost [--rounds 7] [--seconds 1.5]

**CPU a request** under the C client: 64 connections (UDP: sockets), 64 bytes, closed load. It is taken from the stopped
lines of two servers: one that answered the load, and one that was connected to and asked once a connection. Their
difference in CPU over their difference in `messages` is the price of a request: start, connecting and forking stand on
both sides. The stopped line has the whole tree to the microsecond, with children that were reaped; `/proc` would round
each process to 10 ms.

**Memory a connection** is the growth of the tree's private and shared-memory pages (`harness/memory.py` says why not of
all proportional ones) by 200 connections, each of which was answered once and is idle. One more has been answered
before, so that what the first request alone loads is not in the growth. What the kernel holds for the sockets isn't in
it, in no model.

Rounds alternate; quoted are medians and, of CPU, the range.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from benchmarks import pairs, programs
from harness.memory import read_memory

TRANSPORTS = ("tcp", "udp", "ws")
IDLE_CONNECTIONS = 200
MEMORY_ROUNDS_MOST = 3  # it hardly varies
REQUEST = b"\xeb\x01\x01\x01" + (64).to_bytes(4, "big") + bytes(8) + b"e" * 64
FRAME = b"\x82" + bytes([0x80 | len(REQUEST)]) + bytes(4) + REQUEST  # a mask of zeros hides nothing, and is allowed
FRAME_HEAD_BYTES = 2  # of the reply
OPENING = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: echobench.v1\r\n\r\n"
)
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Cpu:
    """What a request cost the whole process tree, in microseconds."""

    user_us: float
    system_us: float

    @property
    def total_us(self) -> float:
        """Return user and system time together."""
        return self.user_us + self.system_us


def run(rounds: int, seconds: float) -> str:
    """Measure and return the tables as Markdown."""
    cells = {f"{model} {transport}": (model, transport) for model, transport in product(programs.MODELS, TRANSPORTS)}
    cpu: dict[str, list[Cpu]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    for number, name in pairs.shuffled(cells, rounds):
        cpu[name].append(cpu_a_request(*cells[name], seconds))
        if number <= MEMORY_ROUNDS_MOST:
            memory[name].append(_memory_bytes(*cells[name]))
        print(f"  round {number}/{rounds}  {name:<34}{cpu[name][-1].total_us:>9.1f} us", file=sys.stderr, flush=True)
    title = (
        f"CPU a request under the reference client (64 connections, 64 bytes), memory of {IDLE_CONNECTIONS} idle ones"
    )
    lines = [
        programs.header(title),
        "| model | transport | CPU a request, us | range | user | system | memory a connection, KiB |",
        "|---|---|---:|---|---:|---:|---:|",
    ]
    lines += [_row(*cells[name], cpu[name], memory[name]) for name in cells]
    return "\n".join(lines)


def _row(model: str, transport: str, cpu: list[Cpu], memory_bytes: list[float]) -> str:
    totals = [figure.total_us for figure in cpu]
    cells = [
        model,
        transport,
        f"{statistics.median(totals):.1f}",
        f"{min(totals):.1f} to {max(totals):.1f}",
        f"{statistics.median(figure.user_us for figure in cpu):.1f}",
        f"{statistics.median(figure.system_us for figure in cpu):.1f}",
        f"{statistics.median(memory_bytes) / 1024:,.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def cpu_a_request(
    model: str, transport: str, seconds: float, *options: str, spin: bool = False, connections: int = 64
) -> Cpu:
    """Return what a request costs a model that runs with these options, by the stopped lines of two servers."""
    loaded, idle = (
        _stopped(model, transport, length_s, *options, spin=spin, connections=connections)
        for length_s in (seconds, 0.0)
    )
    requests = loaded["messages"] - idle["messages"]
    user_s, system_s = (loaded[column] - idle[column] for column in ("cpu_user_s", "cpu_system_s"))
    return Cpu(user_s / requests * 1e6, system_s / requests * 1e6)


def _stopped(
    model: str, transport: str, seconds: float, *options: str, spin: bool, connections: int
) -> dict[str, float]:
    """Return the stopped line after a load; of no seconds is one request a connection."""
    with programs.running(programs.our_server(model, *options, transport=transport)) as server:
        port = server.ready["port"]
        programs.reference_load(port, seconds, transport=transport, spin=spin, connections=connections)
        return server.stop()


def _memory_bytes(model: str, transport: str) -> float:
    """Return the memory that one idle connection takes."""
    with programs.running(programs.our_server(model, transport=transport)) as server, contextlib.ExitStack() as held:
        port = server.ready["port"]
        held.enter_context(_answered(port, transport))
        before = _own_bytes(server.pid)
        for _ in range(IDLE_CONNECTIONS):
            held.enter_context(_answered(port, transport))
        return (_own_bytes(server.pid) - before) / IDLE_CONNECTIONS


@contextlib.contextmanager
def _answered(port: int, transport: str) -> Iterator[None]:
    """Hold a connection on which one request has been answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(("127.0.0.1", port))
        if transport == "ws":
            connection.sendall(OPENING)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += _read(connection, 1)
            connection.sendall(FRAME)
            _read(connection, FRAME_HEAD_BYTES)
        else:
            connection.sendall(REQUEST)
        _read(connection, len(REQUEST))
        yield


def _read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        data = connection.recv(size - len(received))
        if not data:
            raise RuntimeError("the server closed an idle connection")
        received += data
    return received


def _own_bytes(pid: int) -> int:
    memory = read_memory(pid)
    if memory is None or memory.own_pss_bytes is None:
        raise RuntimeError("the server has gone, or its memory may not be read")
    return memory.own_pss_bytes
