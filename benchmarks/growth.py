"""Many connections at the same time: whether each is answered right, and what it takes.

    python -m benchmarks growth [--rounds 7] [--seconds 1.5]

10,000 connections, of `fork` 2,000, from addresses of the loopback network so that ports do not run out. They come in
waves, and one that has come asks once; when all are there, each asks again. Every reply is compared with what was
asked: number and payload are different for each connection and each time. Of UDP a connection is a socket that asks.

Memory a connection is the growth of the pages that belong to the tree alone (`harness/memory.py`), from one connection
to all. What the kernel holds for the sockets isn't in it. It hardly varies, so there are two rounds at most.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NoReturn, TypeVar

from benchmarks import pairs, programs
from harness.memory import TreeMemory, read_memory

TRANSPORTS = ("tcp", "udp", "ws")
CONNECTIONS = {"fork": 2_000, "thread": 10_000, "selectors": 10_000, "asyncio": 10_000, "hybrid": 10_000}
WAVE = 250
ROUNDS_MOST = 2
OTHER_DESCRIPTORS = 100
PATIENCE_S = {"tcp": 30.0, "udp": 2.0, "ws": 30.0}  # a datagram that is lost stays lost
HEADER, PAYLOAD_BYTES = b"\xeb\x01\x01", 64
REQUEST, RESPONSE = b"\x01", b"\x02"
OPENING = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: echobench.v1\r\n\r\n"
)
T = TypeVar("T")
NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, when it need only be free to that server


@dataclass(frozen=True)
class Growth:
    """What happened to one server."""

    right: tuple[int, int]  # replies as they had to be, of the first and of the second time
    came_s: float
    again_s: float
    bytes_a_connection: float
    tasks: int  # processes or threads with all connections up, whichever there are more of


def run(rounds: int, seconds: float) -> str:
    """Measure and return the table as Markdown; the length of a figure is given by its connections."""
    most = _raise_descriptor_limit()
    cells = {f"{model} {transport}": (model, transport) for model, transport in product(programs.MODELS, TRANSPORTS)}
    found: dict[str, list[Growth]] = defaultdict(list)
    for number, name in pairs.shuffled(cells, min(rounds, ROUNDS_MOST)):
        model, transport = cells[name]
        count = min(CONNECTIONS[model], most)
        found[name].append(_measure(model, transport, count))
        last = found[name][-1]
        print(f"  round {number}  {name:<34}{last.right}  {last.came_s:.1f} s", file=sys.stderr, flush=True)
    lines = [
        programs.header("Connections at the same time, one request each, then one more, 64 bytes"),
        "| model | transport | connections | right, first | right, again | first, s | again, s | processes or threads "
        "| memory a connection, KiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_row(*cells[name], min(CONNECTIONS[cells[name][0]], most), found[name]) for name in cells]
    return "\n".join([*lines, "", "Expected: all of them right, both times."])


def _row(model: str, transport: str, count: int, rounds: Sequence[Growth]) -> str:
    cells = [
        model,
        transport,
        f"{count:,}",
        *(f"{min(growth.right[time] for growth in rounds):,}" for time in (0, 1)),
        f"{statistics.median(growth.came_s for growth in rounds):.1f}",
        f"{statistics.median(growth.again_s for growth in rounds):.1f}",
        f"{max(growth.tasks for growth in rounds):,}",
        f"{statistics.median(growth.bytes_a_connection for growth in rounds) / 1024:,.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _raise_descriptor_limit() -> int:
    """Take all descriptors that we may have, and return how many connections they are enough for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - OTHER_DESCRIPTORS


def _measure(model: str, transport: str, count: int) -> Growth:
    # A peer must not end while the others come.
    options = ("--peer-timeout", "0") if transport == "udp" and model in ("fork", "thread") else ()
    command = programs.our_server(model, *options, transport=transport)
    with programs.running(command) as server, contextlib.ExitStack() as held:
        port = int(server.ready["port"])
        first = Visitor(0, transport, port)
        held.enter_context(contextlib.closing(first.connection))
        right = [_asked([first], 1), 0]
        before = _memory(server.pid)
        began_s = time.monotonic()
        visitors = [first]
        for numbers in _waves(range(1, count)):
            wave = [Visitor(number, transport, port) for number in numbers]
            for visitor in wave:
                held.enter_context(contextlib.closing(visitor.connection))
            right[0] += _asked(wave, 1)
            visitors += wave
        there_s = time.monotonic()
        right[1] = sum(_asked(wave, 2) for wave in _waves(visitors))
        again_s = time.monotonic() - there_s
        after = _memory(server.pid)
    grown_bytes = (after.own_pss_bytes or 0) - (before.own_pss_bytes or 0)
    tasks = max(after.processes, after.threads)
    return Growth((right[0], right[1]), there_s - began_s, again_s, grown_bytes / (count - 1), tasks)


def _waves(all_of_them: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(all_of_them), WAVE):
        yield all_of_them[start : start + WAVE]


def _memory(pid: int) -> TreeMemory:
    memory = read_memory(pid)
    if memory is None or memory.own_pss_bytes is None:
        raise RuntimeError("the server has gone, or its memory may not be read")
    return memory


def _asked(visitors: Sequence[Visitor], time_number: int) -> int:
    """Have all visitors ask, and return how many replies were as they had to be."""
    for visitor in visitors:
        visitor.ask(time_number)
    return sum(visitor.is_answered(time_number) for visitor in visitors)


def _fail(sentence: str) -> NoReturn:
    raise RuntimeError(sentence)


class Visitor:
    """One connection, from an address and with requests of its own."""

    def __init__(self, number: int, transport: str, port: int) -> None:
        self._number, self._transport = number, transport
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.connection = socket.socket(socket.AF_INET, kind)
        self.connection.settimeout(PATIENCE_S[transport])
        self.connection.setsockopt(socket.IPPROTO_IP, NO_PORT_YET, 1)
        self.connection.bind((f"127.0.{1 + number // 200}.{1 + number % 200}", 0))
        self.connection.connect(("127.0.0.1", port))
        if transport == "ws":
            self.connection.sendall(OPENING)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self._read(1) or _fail("the server closed a connection in its handshake")

    def ask(self, time_number: int) -> None:
        """Send the request of a time."""
        message = self._message(REQUEST, time_number)
        if self._transport == "ws":  # in a frame whose mask of zeros hides nothing, and is allowed
            message = b"\x82" + bytes([0x80 | len(message)]) + bytes(4) + message
        self.connection.sendall(message)

    def is_answered(self, time_number: int) -> bool:
        """Wait for the reply and compare it."""
        expected = self._message(RESPONSE, time_number)
        if self._transport == "ws":
            expected = b"\x82" + bytes([len(expected)]) + expected
        return self._read(len(expected)) == expected

    def _message(self, kind: bytes, time_number: int) -> bytes:
        payload = f"{self._number} at {time_number}".encode().ljust(PAYLOAD_BYTES, b".")
        sequence = self._number << 8 | time_number
        return HEADER + kind + PAYLOAD_BYTES.to_bytes(4, "big") + sequence.to_bytes(8, "big") + payload

    def _read(self, size: int) -> bytes:
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while len(received) < size and (data := self.connection.recv(size - len(received))):
                received += data
        return received
