"""Servers whose requests cost something, and what tells from outside that one has been begun.

A request has been begun when the server has taken it from the kernel: nothing is left to read at the server's socket.
Waits are long where a test looks at what happens meanwhile, and such a server is not waited for but killed; they are
short where a test waits for the replies.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.conformance.kernel import Queues, queues
from tests.conformance.kernel_datagrams import sockets_of
from tests.integration.dialects import DIALECTS, Dialect
from tests.integration.messages import request, response
from tests.integration.running import PATIENCE_S, Running, eventually

ENDLESS = "wait:60s"
_CHUNK_BYTES = 65_536


@dataclass
class Client:
    """A connection in the words of its transport; the first request goes behind the opening."""

    connection: socket.socket
    dialect: Dialect
    received: bytearray = field(default_factory=bytearray)  # and not expected yet, without the answer to the opening
    _greeted: bool = False
    _opened: bool = False

    def ask(self, *sequences: int) -> None:
        """Send requests in one piece."""
        self.say(*(request(sequence) for sequence in sequences))

    def say(self, *messages: bytes) -> None:
        """Send messages in one piece."""
        opening = b"" if self._greeted else self.dialect.opening
        self._greeted = True
        self.connection.sendall(opening + b"".join(map(self.dialect.sent, messages)))

    def open(self) -> None:
        """Say the opening and be answered, where there is one."""
        self.say()
        while self.dialect.opening and not self._opened:
            assert self.receive(), "the opening is answered"

    def expect(self, *sequences: int) -> None:
        """Read the replies to some requests, which must be the next to come."""
        self.expect_bytes(b"".join(self.dialect.replied(response(sequence)) for sequence in sequences))

    def expect_bytes(self, expected: bytes) -> None:
        """Read what must be the next to come."""
        while len(self.received) < len(expected):
            assert self.receive(), f"the end came after {len(self.received)} of {len(expected)} bytes"
        assert self.received.startswith(expected)
        del self.received[: len(expected)]

    def rest(self) -> bytes:
        """Read to the end; return what came and was not expected yet."""
        while self.receive():
            pass
        return bytes(self.received)

    def receive(self) -> bool:
        """Read what comes next; tell whether something came before the end."""
        data = self.connection.recv(_CHUNK_BYTES)
        self.received += data
        if not self._opened and (rest := self.dialect.after_opening(bytes(self.received))) is not None:
            self._opened, self.received = True, bytearray(rest)
        return bool(data)

    def has_news(self) -> bool:
        """Tell whether something has come that was not read."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def queues(self) -> Queues | None:
        """Return what waits at the server's side of the connection, None where the server has let it go."""
        return queues(socket.AF_INET, self.connection.getpeername(), self.connection.getsockname())

    def is_read(self) -> bool:
        """Tell whether the server holds the connection and has taken all that was sent."""
        found = self.queues()
        return found is not None and found.unread_bytes == 0

    def is_stuck(self) -> bool:
        """Tell whether the server has something to read and something that it can't get rid of."""
        found = self.queues()
        return found is not None and found.unread_bytes > 0 and found.unsent_bytes > 0

    def reset(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()


@contextlib.contextmanager
def clients(server: Running, transport: str, count: int) -> Iterator[list[Client]]:
    """Hold some connections."""
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent is there at once
            held.append(Client(stack.enter_context(connection), DIALECTS[transport]))
        yield held


@contextlib.contextmanager
def knockers(server: Running, count: int) -> Iterator[list[socket.socket]]:
    """Hold some addresses that send datagrams."""
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(count):
            held.append(stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
            held[-1].settimeout(PATIENCE_S)
            held[-1].connect(("127.0.0.1", server.port))
        yield held


def begun(*asking: Client) -> None:
    """Wait until the server has taken all that was sent."""
    for client in asking:
        eventually(client.is_read, "the server takes a request")


def datagrams_begun(server: Running) -> None:
    """Wait until the server has taken all datagrams that were sent."""
    address = ("127.0.0.1", server.port)
    eventually(lambda: not any(each.waiting_bytes for each in sockets_of(address)), "the server takes all datagrams")
