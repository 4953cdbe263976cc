"""Closed load over UDP: peers with one request outstanding each, the next one when its reply has arrived.

A peer is a socket of its own, connected to the server, so the kernel hands it replies of that server alone. Every reply
is compared byte by byte with the only right one, and must be one that is waited for: a second reply to a request fails.
Nothing is sent again, so a datagram that is lost anywhere stays missing.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable

from tests.integration.messages import request, response, sequence_of
from tests.integration.running import PATIENCE_S

_RECEIVE_BYTES = 4096


class Peer:
    """One socket; `waiting` are the numbers of its requests that have no reply yet."""

    def __init__(self, port: int, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.connect(("127.0.0.1", port))
        self.address: tuple[str, int] = self.socket.getsockname()
        self.socket.setblocking(False)
        self.sent = 0
        self.waiting: set[int] = set()

    def ask(self) -> None:
        """Send the next request; raises ConnectionRefusedError where the port has been closed."""
        self.socket.send(request(self.sent + 1))
        self.sent += 1
        self.waiting.add(self.sent)

    def take(self) -> bool:
        """Take one reply; tell whether there was one. Raises ConnectionRefusedError where the port has been closed."""
        try:
            datagram = self.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        sequence = sequence_of(datagram)
        assert datagram == response(sequence)
        assert sequence in self.waiting, f"a second reply to request {sequence}"
        self.waiting.remove(sequence)
        return True


class UdpLoad:
    """Drives the peers; with `requests_each` a peer stops when it has sent that many."""

    def __init__(self, port: int, requests_each: int | None = None) -> None:
        self.peers: list[Peer] = []
        self.sent = 0  # what the system took
        self.replies = 0
        self.goes_on = True  # whether a reply is followed by a request
        self._port = port
        self._requests_each = requests_each
        self._selector = selectors.DefaultSelector()

    def add(self, host: str = "127.0.0.1") -> None:
        """Make one more peer and send its first request."""
        peer = Peer(self._port, host)
        self.peers.append(peer)
        self._selector.register(peer.socket, selectors.EVENT_READ, peer)
        self.ask(peer)

    def ask(self, peer: Peer) -> None:
        """Send a peer's next request, whether or not it waits for a reply."""
        peer.ask()
        self.sent += 1

    def run_while(self, goes_on: Callable[[], bool], wait_s: float = 0.05) -> None:
        """Answer replies with requests while a condition holds; fails after `PATIENCE_S` without a reply."""
        deadline_s, replies = time.monotonic() + PATIENCE_S, self.replies
        while goes_on():
            self._turn(wait_s)
            if self.replies != replies:
                deadline_s, replies = time.monotonic() + PATIENCE_S, self.replies
            assert time.monotonic() < deadline_s, f"{self.outstanding()} requests have no reply after {PATIENCE_S:g} s"

    def take_all(self) -> None:
        """Take the replies that have arrived; each is followed by a request while the load goes on."""
        while self._turn(0):
            pass

    def outstanding(self) -> int:
        """Return how many requests have no reply."""
        return self.sent - self.replies

    def close(self) -> None:
        """Close all sockets."""
        for peer in self.peers:
            peer.socket.close()
        self._selector.close()

    def _turn(self, wait_s: float) -> bool:
        """Handle what is readable; tell whether anything was."""
        ready = self._selector.select(wait_s)
        for key, _ in ready:
            peer = key.data
            try:
                if peer.take():
                    self.replies += 1
                    if self._is_to_ask(peer):
                        self.ask(peer)
            except ConnectionRefusedError:  # the port has been closed: what had arrived is still to be taken
                self.goes_on = False
        return bool(ready)

    def _is_to_ask(self, peer: Peer) -> bool:
        return self.goes_on and (self._requests_each is None or peer.sent < self._requests_each)
