"""SIGTERM under closed load loses nothing: every request that was sent early enough is answered, on every model.

Under closed load a request is seldom older than a fraction of a millisecond, so a server that dropped all that it had
received would look good. So the server's process group is stopped (SIGSTOP) under load: now every connection has a
request on its way, and some connections wait in the listen queue. When the grace has passed, SIGTERM is sent and the
group goes on: each of those requests must be answered.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

import servers.models
from servers import registry

CONNECTIONS = 64
IN_THE_QUEUE = 16
GRACE_NS = 20_000_000  # a request sent this long before the signal, or earlier, must be answered
PATIENCE_S = 20.0
MODELS = registry.names(servers.models)
REPLY_BYTES = 16 + 32


@dataclass
class Peer:
    """One connection under closed load: one request outstanding, the next one when its reply has arrived."""

    connection: socket.socket
    sequence: int = 0
    sent_ns: int = 0
    replies: int = 0
    received: bytearray = field(default_factory=bytearray)
    outstanding: bool = False

    def ask(self) -> None:
        self.sequence += 1
        self.sent_ns = time.monotonic_ns()
        self.outstanding = True
        self.connection.send(self.message(kind=1))

    def message(self, kind: int) -> bytes:
        head = b"\xeb\x01\x01" + bytes([kind]) + (32).to_bytes(4, "big") + self.sequence.to_bytes(8, "big")
        return head + self.sequence.to_bytes(32, "little")

    def on_readable(self) -> bool:
        """Take what has arrived; tell whether the connection goes on."""
        data = self.connection.recv(4096)
        self.received += data
        while len(self.received) >= REPLY_BYTES:
            assert self.received[:REPLY_BYTES] == self.message(kind=2)
            del self.received[:REPLY_BYTES]
            self.replies += 1
            self.outstanding = False
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server has closed by now
                self.ask()
        return bool(data)


@contextlib.contextmanager
def started(model: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "servers", "--model", model, "--transport", "tcp"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert server.stdout is not None
        yield server, json.loads(server.stdout.readline())["port"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.communicate()


class Load:
    """Drives the peers; ends those that the server has closed."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self._selector = selectors.DefaultSelector()

    def add(self, port: int) -> None:
        """Connect one more peer and send its first request."""
        peer = Peer(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
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
        return sum(peer.replies for peer in self.peers)

    def some_open(self) -> bool:
        return bool(self._selector.get_map())

    def close(self) -> None:
        for peer in self.peers:
            peer.connection.close()
        self._selector.close()


def stop_under_load(load: Load, server: subprocess.Popen[str], port: int, replies_before: int) -> list[Peer]:
    """Stop a server under load as the module's text says; return the peers whose requests must be answered."""
    load.run_while(lambda: load.replies() < replies_before)
    os.killpg(server.pid, signal.SIGSTOP)
    frozen_until_ns = time.monotonic_ns() + GRACE_NS
    for _ in range(IN_THE_QUEUE):
        load.add(port)
    load.run_while(lambda: time.monotonic_ns() <= frozen_until_ns + GRACE_NS, wait_s=GRACE_NS / 4e9)
    signalled_ns = time.monotonic_ns()
    sent_before = [peer for peer in load.peers if peer.outstanding and peer.sent_ns <= signalled_ns - GRACE_NS]
    server.send_signal(signal.SIGTERM)
    os.killpg(server.pid, signal.SIGCONT)
    return sent_before


def drain_once(model: str, replies_before: int) -> None:
    load = Load()
    with contextlib.closing(load), started(model) as (server, port):
        for _ in range(CONNECTIONS):
            load.add(port)
        must_be_answered = stop_under_load(load, server, port, replies_before)
        asked = {id(peer): peer.sequence for peer in must_be_answered}
        load.run_while(load.some_open)
        stopped = json.loads(server.communicate(timeout=PATIENCE_S)[0].splitlines()[-1])
        assert server.returncode == 0
    # A process group stops process by process, so the last replies may still come when the first process has stopped.
    assert len(must_be_answered) >= CONNECTIONS // 2 + IN_THE_QUEUE
    lost = [peer for peer in must_be_answered if peer.outstanding and peer.sequence == asked[id(peer)]]
    assert lost == []
    assert (stopped["event"], stopped["aborted"]) == ("stopped", 0)
    assert stopped["connections"] == CONNECTIONS + IN_THE_QUEUE
    assert stopped["messages"] == load.replies()
    with socket.create_server(("127.0.0.1", port)) as again:
        assert again.getsockname()[1] == port


@pytest.mark.parametrize("model", MODELS)
def test_no_request_is_lost_when_a_server_is_stopped_under_load(model: str) -> None:
    for round_number in range(3):
        drain_once(model, replies_before=1000 + 777 * round_number)


@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_no_request_is_lost_in_twenty_stops_under_load(model: str) -> None:
    for round_number in range(20):
        drain_once(model, replies_before=500 + 531 * round_number)
