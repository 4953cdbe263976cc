"""Closed load over a stream transport: one request outstanding a connection, the next when its reply has arrived."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.integration.dialects import Dialect
from tests.integration.messages import request, response
from tests.integration.running import PATIENCE_S


@dataclass
class Peer:
    """One connection."""

    connection: socket.socket
    dialect: Dialect
    sequence: int = 0
    sent_ns: int = 0
    replies: int = 0
    received: bytearray = field(default_factory=bytearray)
    outstanding: bool = False
    opened: bool = False

    def ask(self) -> None:
        """Send the next request; the first behind the opening."""
        opening = b"" if self.sequence else self.dialect.opening
        self.sequence += 1
        self.sent_ns = time.monotonic_ns()
        self.outstanding = True
        self.connection.send(opening + self.dialect.sent(request(self.sequence)))

    def on_readable(self) -> bool:
        """Take what has arrived; tell whether the connection goes on."""
        data = self.connection.recv(4096)
        self.received += data
        if not self.opened:
            rest = self.dialect.after_opening(bytes(self.received))
            if rest is None:
                return bool(data)
            self.opened, self.received = True, bytearray(rest)
        while self.outstanding and self.received and self.received != self.dialect.farewell:
            expected = self.dialect.replied(response(self.sequence))
            if len(self.received) < len(expected):
                break
            assert self.received.startswith(expected)
            del self.received[: len(expected)]
            self.replies += 1
            self.outstanding = False
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server has closed by now
                self.ask()
        return bool(data)

    def was_told_goodbye(self) -> bool:
        """Tell whether the last that came is what the transport says at the end."""
        return bytes(self.received) == self.dialect.farewell


class StreamLoad:
    """Drives the peers; ends those that the server has closed."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.peers: list[Peer] = []
        self._selector = selectors.DefaultSelector()

    def add(self, port: int) -> None:
        """Connect one more peer and send its first request."""
        peer = Peer(socket.create_connection(("127.0.0.1", port), PATIENCE_S), self._dialect)
        self.peers.append(peer)
        self._selector.register(peer.connection, selectors.EVENT_READ, peer)
        peer.ask()

    def run_while(self, goes_on: Callable[[], bool], wait_s: float = 1.0) -> None:
        """Answer replies with requests while a condition holds; fails after `PATIENCE_S`."""
        deadline = time.monotonic() + PATIENCE_S
        while goes_on():
            assert time.monotonic() < deadline, f"{len(self._selector.get_map())} connections were not closed"
            for key, _ in self._selector.select(wait_s):
                try:
                    closed = not key.data.on_readable()
                except ConnectionResetError:
                    closed = True
                if closed:
                    self._selector.unregister(key.fileobj)
                    key.data.connection.close()

    def replies(self) -> int:
        """Return how many replies have come."""
        return sum(peer.replies for peer in self.peers)

    def some_open(self) -> bool:
        """Tell whether there is a connection that the server has not closed."""
        return bool(self._selector.get_map())

    def close(self) -> None:
        """Close all connections."""
        for peer in self.peers:
            peer.connection.close()
        self._selector.close()
