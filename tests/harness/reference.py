"""The reference servers, built and run for a test, with literal bytes of the wire protocol."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.reference_server import find_compiler, reference_servers

COMPILER = find_compiler()
REQUEST = b"\xeb\x01\x01\x01\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x07abcd"
RESPONSE = b"\xeb\x01\x01\x02\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x07abcd"
needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")


def request(payload: bytes, sequence: int = 7) -> bytes:
    """Return a request."""
    return b"\xeb\x01\x01\x01" + len(payload).to_bytes(4, "big") + sequence.to_bytes(8, "big") + payload


def response_to(message: bytes) -> bytes:
    """Return the right answer to a request."""
    return message[:3] + b"\x02" + message[4:]


def free_port(kind: socket.SocketKind) -> int:
    """Return a port that was free a moment ago."""
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Served:
    """A reference server that runs: the address of its ready line, and its process."""

    address: tuple[str, int]
    pid: int


@contextmanager
def serving(transport: str, folder: Path) -> Iterator[Served]:
    """Build and run the reference server of a transport."""
    built, notes = reference_servers([transport], COMPILER, folder)
    assert notes == []
    foreign = built[transport].foreign
    assert foreign is not None
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    command = [word.replace("{port}", str(free_port(kind))) for word in foreign.command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            ready = json.loads(process.stdout.readline())
            assert ready["event"] == "ready"
            yield Served((ready["host"], ready["port"]), process.pid)
        finally:
            process.kill()
