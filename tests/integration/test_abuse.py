"""Peers that behave badly over a stream transport cost bounded memory, and nobody else's service, on every model.

Bounded means: what the process tree holds of its own grows by less than 60 MB in all. `fork` has a process for each of
them, and there it is less than 2 MB a child; over WebSocket 3.5 MB, of which a handshake alone takes one. Memory is no
time: the figures hardly depend on the machine.

It is measured when the server has read what it is going to read: the kernel says how much of it is unread.
"""

import contextlib
import select
import socket
from collections.abc import Iterator

import pytest

from tests.conformance.kernel import queues
from tests.integration.dialects import DIALECTS, Dialect
from tests.integration.messages import header, request, response
from tests.integration.running import MODELS, PATIENCE_S, Running, command, eventually, started

GROWTH_MOST_BYTES, CHILD_MOST_BYTES = 60_000_000, {"tcp": 2_000_000, "ws": 3_500_000}
ANNOUNCED_BYTES, SENT_BYTES = 512 << 10, 8 << 10
HALF_SENT, DRIBBLERS, DRIBBLED_BYTES, PIPELINERS = 200, 50, 100, 8
FEW_BYTES = 4096
PIPELINED = {
    name: b"".join(dialect.sent(header(1, 4096, sequence) + bytes(4096)) for sequence in range(64))
    for name, dialect in DIALECTS.items()
}
PIPELINED_MOST_BYTES = 64 << 20  # a server that takes that much of one peer who never reads has no bound
ROOM_WAIT_MS, ROUNDS_WITHOUT_ROOM = 4, 10


class Neighbour:
    """A well-behaved client with a connection of its own."""

    def __init__(self, connection: socket.socket, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect
        self._sequence = 0

    def is_answered(self) -> bool:
        """Send a request and tell whether its reply is right; raises TimeoutError where none comes."""
        self._sequence += 1
        expected = self._dialect.replied(response(self._sequence))
        self._connection.sendall(self._dialect.sent(request(self._sequence)))
        received = b""
        while len(received) < len(expected) and (data := self._connection.recv(len(expected) - len(received))):
            received += data
        return received == expected


class Growth:
    """The memory of a server now, to be compared with later."""

    def __init__(self, server: Running, model: str, transport: str) -> None:
        self._server = server
        self._child_most_bytes = CHILD_MOST_BYTES[transport] if model == "fork" else 0
        self._before_bytes = server.own_bytes()
        self._processes_before = server.processes()

    def check(self) -> None:
        """Fail where the server has grown beyond its bound."""
        grown_bytes = self._server.own_bytes() - self._before_bytes
        children = self._server.processes() - self._processes_before
        bound_bytes = self._child_most_bytes * children or GROWTH_MOST_BYTES
        assert grown_bytes < bound_bytes, f"{grown_bytes:,} bytes more, {children} processes more"


class Abused:
    """A server, the neighbour whose service must go on, and how to abuse it."""

    def __init__(self, server: Running, model: str, transport: str, held: contextlib.ExitStack) -> None:
        self._port = server.port
        self._held = held
        self.transport, self.dialect = transport, DIALECTS[transport]
        self.neighbour = Neighbour(self.connect(), self.dialect)
        assert self.neighbour.is_answered()
        self.growth = Growth(server, model, transport)

    def connect(self, receive_bytes: int | None = None) -> socket.socket:
        """Return a connection that is open for messages and is held to the end."""
        connection = self._held.enter_context(socket.socket())
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(PATIENCE_S)
        connection.connect(("127.0.0.1", self._port))
        connection.sendall(self.dialect.opening)
        received = b""
        while self.dialect.after_opening(received) is None:
            received += connection.recv(1)
        return connection


def has_been_read(connection: socket.socket) -> bool:
    """Tell whether the server has taken all that was sent."""
    found = queues(socket.AF_INET, connection.getpeername(), connection.getsockname())
    return found is not None and found.unread_bytes == 0


class Pipeliner:
    """Sends requests back to back and never reads a reply."""

    def __init__(self, connection: socket.socket, pipelined: bytes) -> None:
        self.sent_bytes = 0
        self._pipelined = memoryview(pipelined)
        self._connection = connection
        self._connection.setblocking(False)
        self._room = select.poll()
        self._room.register(connection, select.POLLOUT)

    def send_what_goes(self) -> int:
        """Wait a moment for room, send until there is none, return how many bytes went."""
        before = self.sent_bytes
        self._room.poll(ROOM_WAIT_MS)
        with contextlib.suppress(BlockingIOError):
            while self.sent_bytes < PIPELINED_MOST_BYTES:
                self.sent_bytes += self._connection.send(self._pipelined[self.sent_bytes % len(self._pipelined) :])
        return self.sent_bytes - before


@contextlib.contextmanager
def abused(model: str, transport: str) -> Iterator[Abused]:
    """Run a server that must end as any other when those who abuse it have gone."""
    with started(command(model, transport)) as server:
        with contextlib.ExitStack() as held:
            yield Abused(server, model, transport, held)
        stopped = server.stop()
        assert (stopped["protocol_errors"], stopped["aborted"]) == (0, 0)


@pytest.mark.parametrize("transport", DIALECTS)
@pytest.mark.parametrize("model", MODELS)
def test_peers_that_dribble_single_bytes_hold_up_nobody_and_cost_little_memory(model: str, transport: str) -> None:
    with abused(model, transport) as server:
        dribblers = [server.connect() for _ in range(DRIBBLERS)]
        dribble(server, dribblers)
        server.growth.check()


@pytest.mark.parametrize("transport", DIALECTS)
@pytest.mark.parametrize("model", MODELS)
def test_half_sent_messages_take_the_memory_of_what_was_sent_and_not_of_what_was_announced(
    model: str, transport: str
) -> None:
    with abused(model, transport) as server:
        send_halves(server)
        server.growth.check()


@pytest.mark.parametrize("transport", DIALECTS)
@pytest.mark.parametrize("model", MODELS)
def test_peers_that_send_and_never_read_are_read_no_further(model: str, transport: str) -> None:
    with abused(model, transport) as server:
        fill([pipeliner(server) for _ in range(PIPELINERS)], server)
        server.growth.check()


@pytest.mark.parametrize("transport", DIALECTS)
@pytest.mark.parametrize("model", MODELS)
def test_all_of_them_at_once_hold_up_nobody_and_cost_little_memory(model: str, transport: str) -> None:
    with abused(model, transport) as server:
        fill([pipeliner(server)], server)
        send_halves(server)
        dribble(server, [server.connect()])
        server.growth.check()


def pipeliner(server: Abused) -> Pipeliner:
    """Return a peer that pipelines on a connection of its own."""
    return Pipeliner(server.connect(receive_bytes=FEW_BYTES), PIPELINED[server.transport])


def dribble(server: Abused, dribblers: list[socket.socket]) -> None:
    """Send a byte on each connection, again and again; the last one's message is whole in the end."""
    unfinished = server.dialect.sent(header(1, ANNOUNCED_BYTES, 1) + bytes(DRIBBLED_BYTES))
    messages = [*[unfinished] * (len(dribblers) - 1), server.dialect.sent(request(1))]
    for at in range(DRIBBLED_BYTES):
        for dribbler, message in zip(dribblers, messages, strict=True):
            dribbler.sendall(message[at : at + 1])
        assert server.neighbour.is_answered()
    assert dribblers[-1].recv(4096) == server.dialect.replied(response(1))


def send_halves(server: Abused) -> None:
    """Announce much on many connections, send little of it, and wait until that has been read."""
    connections = [server.connect() for _ in range(HALF_SENT)]
    for sequence, connection in enumerate(connections):
        connection.sendall(server.dialect.sent(header(1, ANNOUNCED_BYTES, sequence) + b"\xa5" * SENT_BYTES))
        assert server.neighbour.is_answered()
    eventually(lambda: all(map(has_been_read, connections)), "every half of a message has been read")


def fill(pipeliners: list[Pipeliner], server: Abused) -> None:
    """Send until the server has read no further for some rounds, in each of which it has answered another."""
    rounds_without_room = 0
    while rounds_without_room < ROUNDS_WITHOUT_ROOM:
        sent_bytes = sum(pipeliner.send_what_goes() for pipeliner in pipeliners)
        rounds_without_room = 0 if sent_bytes else rounds_without_room + 1
        assert server.neighbour.is_answered()
    assert all(pipeliner.sent_bytes < PIPELINED_MOST_BYTES for pipeliner in pipeliners)
