"""SIGTERM under closed load loses nothing: every request that was sent early enough is answered, on every model."""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

import servers.models
from servers import registry

CONNECTIONS = 64
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


def load_until_signal_then_to_the_end(peers: list[Peer], server: subprocess.Popen[str], replies_before: int) -> int:
    """Drive the load, send SIGTERM after some replies, go on until all are closed; return the signal's time."""
    signalled_ns, open_peers, deadline = 0, len(peers), time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            selector.register(peer.connection, selectors.EVENT_READ, peer)
            peer.ask()
        while open_peers:
            assert time.monotonic() < deadline, f"{open_peers} connections were not closed"
            for key, _ in selector.select(1.0):
                try:
                    goes_on = key.data.on_readable()
                except ConnectionResetError:
                    goes_on = False
                if not goes_on:
                    selector.unregister(key.fileobj)
                    key.data.connection.close()
                    open_peers -= 1
            if not signalled_ns and sum(peer.replies for peer in peers) >= replies_before:
                signalled_ns = time.monotonic_ns()
                server.send_signal(signal.SIGTERM)
    return signalled_ns


def drain_once(model: str, replies_before: int) -> None:
    with started(model) as (server, port):
        peers = [Peer(socket.create_connection(("127.0.0.1", port), PATIENCE_S)) for _ in range(CONNECTIONS)]
        signalled_ns = load_until_signal_then_to_the_end(peers, server, replies_before)
        stopped = json.loads(server.communicate(timeout=PATIENCE_S)[0].splitlines()[-1])
        assert server.returncode == 0
    lost = [peer for peer in peers if peer.outstanding and peer.sent_ns <= signalled_ns - GRACE_NS]
    assert lost == []
    assert (stopped["event"], stopped["aborted"], stopped["connections"]) == ("stopped", 0, CONNECTIONS)
    assert stopped["messages"] == sum(peer.replies for peer in peers)
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
