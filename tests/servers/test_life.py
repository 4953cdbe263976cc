"""What can happen to a server's processes: no privilege, a killed child or worker, a foreign child, a closed stdout."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
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


def command(model: str, *options: str, transport: str = "tcp") -> list[str]:
    return [sys.executable, "-m", "servers", "--model", model, "--transport", transport, *options]


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


# Starts a server of a model, under limits (options of prlimit), as an ordinary user.
OrdinaryUser = Callable[..., contextlib.AbstractContextManager[tuple[subprocess.Popen[str], int]]]


@pytest.fixture
def ordinary_user() -> Iterator[OrdinaryUser]:
    """Return what starts a server as a user without privileges.

    The code is copied to where another user may read it, and runs under an interpreter of the system.
    """
    if os.geteuid() != 0:
        pytest.skip("the whole suite runs without privileges already")
    if shutil.which("setpriv") is None or shutil.which("prlimit") is None:
        pytest.skip("setpriv and prlimit (util-linux) are not installed")
    python = "/usr/bin/python3"
    if not Path(python).exists() or subprocess.run([python, "-c", "import enum; enum.StrEnum"], check=False).returncode:
        pytest.skip("the system has no Python 3.11 that another user may run")
    folder = Path(tempfile.mkdtemp(prefix="echobench-unprivileged-", dir="/tmp"))

    def start(model: str, *limits: str) -> contextlib.AbstractContextManager[tuple[subprocess.Popen[str], int]]:
        user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
        limited = ["prlimit", *limits, "--"] if limits else []
        return started([*user, *limited, python, *command(model)[1:]], cwd=folder)

    try:
        shutil.copytree(ROOT / "servers", folder / "servers")
        folder.chmod(0o755)
        yield start
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("model", MODELS)
def test_a_server_without_privileges_stops_as_it_should(model: str, ordinary_user: OrdinaryUser) -> None:
    with ordinary_user(model) as (server, port), connect(port) as connection:
        assert echo(connection)
        assert stop(server)["messages"] == 1


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


@pytest.mark.parametrize("model", MODELS)
def test_replies_that_the_system_has_in_its_hands_at_the_deadline_are_not_aborted(model: str) -> None:
    payload = bytes(30_000)
    request = REQUEST[:4] + len(payload).to_bytes(4, "big") + REQUEST[8:16] + payload
    with started(command(model, "--drain-timeout", "0.3")) as (server, port), connect(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(8 * request)  # more than this side's buffers take, less than the server's
        eventually(lambda: not unread_bytes(connection), "the server has read all requests")
        stopped = stop(server)
        assert (stopped["messages"], stopped["aborted"]) == (8, 0)


def unread_bytes(connection: socket.socket) -> int:
    """Return how many bytes that were sent have not been acknowledged by the server's side."""
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def knock(port: int) -> socket.socket:
    """Return a datagram socket that is connected to the server."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(PATIENCE_S)
    client.connect(("127.0.0.1", port))
    return client


def test_over_udp_the_peer_of_a_killed_child_is_served_by_another() -> None:
    with started(command("fork", transport="udp")) as (server, port), knock(port) as first, knock(port) as second:
        assert echo(first)
        assert echo(second)
        root = psutil.Process(server.pid)
        killed, kept = root.children()
        killed.kill()
        eventually(lambda: root.children() == [kept], "the killed child is reaped")
        assert echo(first)
        assert echo(second)
        stopped = stop(server)
        assert (stopped["connections"], stopped["messages"]) == (3, 4)


def test_over_udp_a_new_worker_answers_what_its_predecessor_had_received() -> None:
    with started(command("hybrid", "--workers", "1", transport="udp")) as (server, port), knock(port) as client:
        assert echo(client)
        root = psutil.Process(server.pid)
        (worker,) = root.children()
        worker.suspend()
        for _ in range(20):
            client.send(REQUEST)
        worker.kill()
        for _ in range(20):
            assert client.recv(100) == RESPONSE
        assert stop(server)["messages"] == 21


def test_over_udp_what_waits_for_a_worker_that_has_no_successor_yet_is_answered_in_the_drain() -> None:
    with started(command("hybrid", "--workers", "1", transport="udp")) as (server, port), knock(port) as client:
        assert echo(client)
        root = psutil.Process(server.pid)
        killed: set[int] = set()

        def living() -> list[psutil.Process]:
            return [child for child in root.children() if child.pid not in killed]

        for _ in range(2):  # the second dies before a successor may come
            eventually(lambda: bool(living()), "there is a worker")
            (worker,) = living()
            killed.add(worker.pid)
            worker.kill()
        eventually(lambda: not root.children(), "the killed worker is reaped")
        for _ in range(20):
            client.send(REQUEST)
        stopped = stop(server)
        for _ in range(20):
            assert client.recv(100) == RESPONSE
        assert stopped["messages"] == 21


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


@pytest.mark.parametrize("model", ["fork", "thread"])
def test_without_room_for_a_process_or_thread_one_connection_is_refused(
    model: str, ordinary_user: OrdinaryUser
) -> None:
    with ordinary_user(model, "--nproc=4") as (server, port):
        served, refused = [], []
        for _ in range(10):
            connection = connect(port)
            with contextlib.suppress(ConnectionError):
                (served if echo(connection) else refused).append(connection)
                continue
            refused.append(connection)
        assert 1 <= len(served) <= 4
        assert all(echo(connection) for connection in served), "those that are served stay so"
        served.pop().close()

        def has_room_again() -> bool:
            with connect(port) as late, contextlib.suppress(ConnectionError):
                return echo(late)
            return False

        eventually(has_room_again, "the room of one that has left is used again")
        for connection in (*served, *refused):
            connection.close()
        stopped = stop(server)
        assert stopped["refused"] >= len(refused)


def test_a_worker_that_keeps_dying_is_not_replaced_over_and_over() -> None:
    with started(command("hybrid", "--workers", "1")) as (server, port):
        root = psutil.Process(server.pid)
        began_s, killed = time.monotonic(), 0
        while killed < 3:
            for worker in root.children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
                    worker.wait(PATIENCE_S)
                    killed += 1
        # A successor comes a second after its predecessor was started, at the earliest.
        assert time.monotonic() - began_s >= 2 - 0.1
        eventually(lambda: len(root.children()) == 1, "there is a worker again")
        with connect(port) as connection:
            assert echo(connection)
        assert stop(server)["messages"] == 1
