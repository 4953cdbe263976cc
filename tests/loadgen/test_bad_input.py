"""Servers that are none, and rates that are too high: the exit code, and one sentence that says what was met."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from loadgen.conductor import NoResultError
from tests.loadgen.ours import ROOT
from tests.loadgen.peers import (
    TRANSPORTS,
    answering,
    closed_port,
    garbage,
    nothing,
    requests,
    reset,
    response,
    serving,
    unbound_datagram_port,
)
from tests.loadgen.runs import carry

CONNECTIONS = 4
NONE_ANSWERED = r"no request of window 0 \(closed\) was answered, "
NONE_LEFT = NONE_ANSWERED + "because no connection was left, "
GARBAGE = b"HTTP/1.1 400 Bad".hex()  # the first 16 bytes of it

Url = Callable[[], AbstractContextManager[str]]


def cuts_short(peer: socket.socket, number: int) -> None:
    """Close after 40 bytes: in the middle of the first reply."""
    for header, payload in requests(peer):
        peer.sendall(response(header, payload)[:40])
        return


def resets(peer: socket.socket, number: int) -> None:
    """Break off at the first request."""
    peer.recv(100)
    reset(peer)


def says(data: bytes) -> Callable[[socket.socket, int], None]:
    """Return what says one thing to whatever it is asked."""

    def behave(peer: socket.socket, number: int) -> None:
        peer.recv(1000)
        peer.sendall(data)
        while peer.recv(1000):
            pass

    return behave


def nobody(transport: str) -> Url:
    """Return what gives a URL that nobody serves."""

    @contextmanager
    def url() -> Iterator[str]:
        yield f"{transport}://127.0.0.1:{unbound_datagram_port() if transport == 'udp' else closed_port()}"

    return url


def served(make: Callable[[], AbstractContextManager[object]]) -> Url:
    """Return what gives the URL of a server of the tests, while that runs."""

    @contextmanager
    def url() -> Iterator[str]:
        with make() as server:
            yield server.url  # type: ignore[attr-defined]  # every server of the tests has one

    return url


# What there is at the URL, and the whole of what the load generator says after its name.
BAD_SERVERS = {
    "tcp, nobody": (nobody("tcp"), rf"nothing connected to tcp://127.0.0.1:\d+ \(refused {CONNECTIONS}\)"),
    "udp, nobody": (nobody("udp"), NONE_LEFT + f"refused {CONNECTIONS}"),
    "tcp, silent": (served(lambda: answering("tcp", nothing)), NONE_ANSWERED + r"of \d+ that were due, timeout \d+"),
    "udp, silent": (served(lambda: answering("udp", nothing)), NONE_ANSWERED + r"of \d+ that were due, lost \d+"),
    "tcp, closes after 40 bytes": (served(lambda: serving(cuts_short)), NONE_LEFT + f"closed {CONNECTIONS}"),
    "tcp, resets": (served(lambda: serving(resets)), NONE_LEFT + f"reset {CONNECTIONS}"),
    "tcp, garbage": (
        served(lambda: answering("tcp", garbage)),
        NONE_LEFT + f"protocol {CONNECTIONS}; the server sent bytes that are no message: {GARBAGE}",
    ),
    "ws, nobody": (nobody("ws"), rf"nothing connected to ws://127.0.0.1:\d+ \(refused {CONNECTIONS}\)"),
    "ws, silent": (served(lambda: answering("ws", nothing)), NONE_ANSWERED + r"of \d+ that were due, timeout \d+"),
    "ws, garbage": (
        served(lambda: answering("ws", garbage)),
        NONE_LEFT + f"protocol {CONNECTIONS}; the server sent bytes that are no message: {GARBAGE}",
    ),
    "ws, a server of plain HTTP": (
        served(lambda: serving(says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"), "ws")),
        rf"nothing connected to ws://127.0.0.1:\d+ \(protocol {CONNECTIONS}\); "
        "the server answered 404 Not Found to the WebSocket handshake",
    ),
    "ws, a server of another protocol": (
        served(lambda: serving(says(b"220 mail.example.com ESMTP\r\n"), "ws")),
        rf"nothing connected to ws://127.0.0.1:\d+ \(protocol {CONNECTIONS}\); "
        r"the server did not answer the WebSocket handshake in HTTP/1.1: b'220 mail.example.com ESMTP\\r\\n'",
    ),
    # A datagram that is none of ours belongs to no request: what was asked for did not come.
    "udp, garbage": (
        served(lambda: answering("udp", garbage)),
        NONE_ANSWERED + r"of \d+ that were due, corrupt \d+, lost \d+",
    ),
}
WITH_EXIT_CODE = ("tcp, nobody", "udp, nobody", "tcp, silent", "udp, garbage", "ws, a server of plain HTTP")


@pytest.mark.parametrize("name", BAD_SERVERS)
def test_a_server_that_is_none_is_one_sentence_that_says_what_was_met(name: str) -> None:
    url, sentence = BAD_SERVERS[name]
    with url() as target, pytest.raises(NoResultError, match=f"^{sentence}$"):
        carry(target, CONNECTIONS, timeout=0.1, window=0.2)


@pytest.mark.parametrize("name", WITH_EXIT_CODE)
def test_a_server_that_is_none_is_exit_code_3_and_no_record(name: str, tmp_path: Path) -> None:
    url, sentence = BAD_SERVERS[name]
    with url() as target:
        done = load_generator(target, "--window", "0.2", "--timeout", "0.1", "--json", str(tmp_path / "r.json"))
    assert done.returncode == 3
    assert re.fullmatch(f"python -m loadgen: {sentence}\n", done.stderr), done.stderr
    assert list(tmp_path.iterdir()) == []


def load_generator(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the load generator to its end."""
    command = [sys.executable, "-m", "loadgen", url, "--connections", str(CONNECTIONS), "--warmup", "0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_when_nothing_was_due_because_all_still_wait_it_says_so(transport: str) -> None:
    refusal = pytest.raises(NoResultError, match=NONE_ANSWERED + "because every connection still waited for the answer")
    with answering(transport, nothing) as server, refusal:
        carry(server.url, CONNECTIONS, timeout=0.5, window=0.1)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_rate_that_can_not_be_reached_is_a_result_with_a_warning(transport: str, tmp_path: Path) -> None:
    path, one_at_a_time, never = tmp_path / "r.json", threading.Lock(), threading.Event()

    def slow(number: int, header: bytes, payload: bytes) -> list[bytes]:
        """Answer after at least 4 ms, one request at a time: 250 a second at most."""
        with one_at_a_time:
            never.wait(0.004)
        return [response(header, payload)]

    with answering(transport, slow) as server:
        rate = ("--load", "open:500:constant", "--window", "0.2", "--timeout", "5", "--json", str(path))
        done = load_generator(server.url, *rate)
    assert (done.returncode, done.stderr) == (0, "")
    window = json.loads(path.read_text())["windows"][0]
    assert (window["due"], window["unanswered"]) == (100, 0)
    assert window["achieved"] < 0.7
    assert window["warnings"][0]["kind"] == "schedule_missed"
