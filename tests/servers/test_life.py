"""What can happen to a server's processes: no privilege, a killed child or worker, a foreign child, a closed stdout."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import servers.models
from servers import registry

ROOT = Path(__file__).parent.parent.parent
MODELS = registry.names(servers.models)
PATIENCE_S = 15.0
REQUEST = b"\xeb\x01\x01\x01" + (3).to_bytes(4, "big") + (7).to_bytes(8, "big") + b"abc"
RESPONSE = b"\xeb\x01\x01\x02" + REQUEST[4:]


def command(model: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "servers", "--model", model, "--transport", "tcp", *options]


@contextlib.contextmanager
def started(words: list[str], **settings: Any) -> Iterator[tuple[subprocess.Popen[str], int]]:
    settings = {"stderr": subprocess.PIPE, "cwd": ROOT, **settings}
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True, **settings)
    try:
        assert server.stdout is not None
        yield server, json.loads(server.stdout.readline())["port"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.communicate()


def echo(connection: socket.socket) -> bool:
    """Send a request; tell whether its reply came."""
    connection.sendall(REQUEST)
    received = b""
    while len(received) < len(RESPONSE):
        data = connection.recv(4096)
        if not data:
            return False
        received += data
    return received == RESPONSE


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def stop(server: subprocess.Popen[str]) -> dict[str, Any]:
    """Stop a server and return its stopped line; its exit code must be 0."""
    server.terminate()
    out, errors = server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0, errors
    stopped: dict[str, Any] = json.loads(out.splitlines()[-1])
    return stopped


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite runs without privileges already")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed")
@pytest.mark.parametrize("model", MODELS)
def test_a_server_without_privileges_stops_as_it_should(model: str, tmp_path: Path) -> None:
    # The code is copied to where another user may read it, and runs under an interpreter of the system.
    python = "/usr/bin/python3"
    if not Path(python).exists() or subprocess.run([python, "-c", "import enum; enum.StrEnum"], check=False).returncode:
        pytest.skip("the system has no Python 3.11 that another user may run")
    folder = Path("/tmp") / f"echobench-unprivileged-{os.getpid()}-{model}"
    shutil.copytree(ROOT / "servers", folder / "servers")
    try:
        folder.chmod(0o755)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, *command(model)[1:]]
        with started(words, cwd=folder) as (server, port), connect(port) as connection:
            assert echo(connection)
            assert stop(server)["messages"] == 1
    finally:
        shutil.rmtree(folder)


def test_a_killed_child_costs_its_own_connection_and_is_counted() -> None:
    with started(command("fork")) as (server, port), connect(port) as first, connect(port) as second:
        assert echo(first)
        assert echo(second)
        children = psutil.Process(server.pid).children()
        assert len(children) == 2
        children[0].kill()
        alive = []
        for connection in (first, second):
            with contextlib.suppress(ConnectionError):
                alive.append(echo(connection))
        assert alive.count(True) == 1
        with connect(port) as third:
            assert echo(third)
        stopped = stop(server)
        assert (stopped["connections"], stopped["messages"]) == (3, 4)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_is_replaced_and_its_listener_admits_again(number: signal.Signals) -> None:
    with started(command("hybrid", "--workers", "2")) as (server, port):
        root = psutil.Process(server.pid)
        victim = root.children()[0]
        victim.send_signal(number)
        victim.wait(PATIENCE_S)
        eventually(lambda: len(root.children()) == 2, "there are two workers again")
        connections = [connect(port) for _ in range(30)]
        assert all(echo(connection) for connection in connections)
        for connection in connections:
            connection.close()
        assert stop(server)["messages"] == 30


@pytest.mark.parametrize("model", ["fork", "hybrid"])
def test_a_child_that_the_server_did_not_fork_is_nothing_to_it(model: str) -> None:
    words = ["sh", "-c", 'sleep 0.3 & exec "$@"', "sh", *command(model)]
    with started(words) as (server, port), connect(port) as connection:
        assert echo(connection)
        foreign = [child for child in psutil.Process(server.pid).children() if child.name() == "sleep"]
        for child in foreign:
            child.wait(PATIENCE_S)
        assert echo(connection)
        assert stop(server)["messages"] == 2


@pytest.mark.parametrize("model", MODELS)
def test_a_server_whose_output_nobody_reads_still_ends_well(model: str) -> None:
    with started(command(model)) as (server, _port):
        assert server.stdout is not None
        server.stdout.close()
        server.terminate()
        assert server.wait(PATIENCE_S) == 0
        assert server.stderr is not None
        assert "Traceback" not in server.stderr.read()
        server.stdout = None


@pytest.mark.parametrize("model", MODELS)
def test_how_a_connection_ended_is_counted_alike_by_all_models(model: str) -> None:
    with started(command(model, "--message-timeout", "0.2")) as (server, port):
        with connect(port) as half:
            half.sendall(REQUEST + REQUEST[:5])
            half.shutdown(socket.SHUT_WR)
            assert half.recv(100) == RESPONSE
            assert half.recv(100) == b""
        with connect(port) as slow:
            slow.sendall(REQUEST[:5])
            assert slow.recv(100) == b""
        with connect(port) as bad:
            bad.sendall(b"GET / HTTP/1.1\r\n")
            assert b"bad magic" in bad.recv(100)
        stopped = stop(server)
    counts = {name: stopped[name] for name in ("connections", "messages", "truncated", "timed_out", "protocol_errors")}
    assert counts == {"connections": 3, "messages": 1, "truncated": 2, "timed_out": 1, "protocol_errors": 1}


def test_workers_are_for_models_that_have_them() -> None:
    done = subprocess.run(command("asyncio", "--workers", "1"), capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr == "python -m servers: --workers is for models that have workers; asyncio has none\n"
