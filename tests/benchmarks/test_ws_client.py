"""The reference client over WebSocket: what it sends, and that it trusts nobody: against servers of other making."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from benchmarks import programs
from harness.reference_server import find_compiler
from tests.harness.reference import response_to, serving

COMPILER = find_compiler()
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")

SECONDS = "0.2"
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
SELECTED = b"sec-websocket-protocol: echobench.v1\r\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the client."""
    target = tmp_path_factory.mktemp("built") / "ws_client"
    source = programs.HERE / "reference" / "ws_client.c"
    subprocess.run([str(COMPILER), "-O2", "-o", str(target), str(source)], check=True, timeout=60)
    return target


def load(client: Path, port: int, connections: int, payload: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a short load to its end."""
    command = [str(client), str(port), str(connections), str(payload), SECONDS, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def answering(
    answer: Callable[[bytes], bytes | str], subprotocols: tuple[str, ...] = ("echobench.v1",)
) -> Iterator[int]:
    """Serve with the `websockets` package on a free port: each message is answered by what a function makes of it."""

    def handle(connection: ServerConnection) -> None:
        for message in connection:
            assert isinstance(message, bytes)
            connection.send(answer(message))

    offered = [Subprotocol(name) for name in subprotocols] or None
    with serve(handle, "127.0.0.1", 0, subprotocols=offered, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Talk to one client with raw bytes on a free port."""

    def accept() -> None:
        with suppress(OSError), listener.accept()[0] as peer:  # the client ends when it has seen enough
            peer.settimeout(10)
            talk(peer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def opening_of(peer: socket.socket) -> bytes:
    """Receive a client's handshake, to its empty line."""
    opening = b""
    while not opening.endswith(b"\r\n\r\n"):
        opening += peer.recv(1)
    return opening


def request_of(peer: socket.socket, payload: int) -> tuple[bytes, bytes]:
    """Receive a request in a short frame; return its masking key and the message in clear."""
    head = peer.recv(2, socket.MSG_WAITALL)
    assert head == bytes([0x82, 0x80 | 16 + payload])
    key, masked = peer.recv(4, socket.MSG_WAITALL), peer.recv(16 + payload, socket.MSG_WAITALL)
    return key, bytes(byte ^ key[index % 4] for index, byte in enumerate(masked))


@pytest.mark.parametrize("payload", [0, 64, 109, 110, 65_519, 65_520, 100_000])
def test_requests_of_every_length_are_answered_by_the_reference_server(
    client: Path, tmp_path: Path, payload: int
) -> None:
    with serving("ws", tmp_path) as server:
        done = load(client, server.address[1], 5, payload)
    figures = json.loads(done.stdout)
    assert (done.returncode, done.stderr, figures["wrong"]) == (0, "", 0)
    assert figures["responses"] > 5
    assert 0 < figures["p50_ns"] <= figures["p99_ns"] <= figures["p999_ns"]


def test_a_server_of_other_making_gets_requests_of_the_protocol(client: Path) -> None:
    heard: list[bytes] = []

    def answer(message: bytes) -> bytes:
        heard.append(message)
        return response_to(message)

    with answering(answer) as port:
        done = load(client, port, 1, 3)
    assert done.returncode == 0, done.stderr
    assert heard[:2] == [b"\xeb\x01\x01\x01\0\0\0\x03\0\0\0\0\0\0\0" + bytes([number]) + b"eee" for number in (1, 2)]
    assert json.loads(done.stdout)["responses"] in (len(heard), len(heard) - 1)  # the last may come too late


def test_an_echo_without_the_protocol_is_asked_for_by_raw(client: Path) -> None:
    with answering(bytes, subprotocols=()) as port:
        assert load(client, port, 2, 64, "raw").returncode == 0
        done = load(client, port, 2, 64)
    assert done.returncode == 3
    assert done.stderr == "the handshake was answered wrongly: HTTP/1.1 101 Switching Protocols\n"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(bytes, id="the request itself"),
        pytest.param(lambda message: response_to(message)[:-1] + b"x", id="another payload"),
        pytest.param(
            lambda message: response_to(message)[:15] + bytes([message[15] ^ 1]) + message[16:], id="another sequence"
        ),
    ],
)
def test_wrong_replies_are_counted_and_end_in_an_exit_code(client: Path, spoil: Callable[[bytes], bytes]) -> None:
    with answering(spoil) as port:
        done = load(client, port, 2, 64)
    figures = json.loads(done.stdout)
    assert done.returncode == 1
    assert figures["wrong"] == figures["responses"] > 0


@pytest.mark.parametrize(
    ("answer", "begins"),
    [
        pytest.param(lambda message: response_to(message) + b"x", "82 51", id="a longer one"),
        pytest.param(lambda message: "e" * len(message), "81 50", id="text"),
    ],
)
def test_a_reply_in_another_frame_ends_the_load(
    client: Path, answer: Callable[[bytes], bytes | str], begins: str
) -> None:
    with answering(answer) as port:
        done = load(client, port, 2, 64)
    assert done.returncode == 3
    assert done.stderr == f"another frame than that of the reply: it begins with {begins}\n"


def test_frames_are_masked_with_a_key_of_each_connections_own(client: Path, tmp_path: Path) -> None:
    keys = []

    def talk(peer: socket.socket) -> None:
        opening = opening_of(peer)
        assert opening.startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in opening
        peer.sendall(AGREED + SELECTED + b"\r\n")
        for sequence in (1, 2):
            key, message = request_of(peer, 4)
            assert message == b"\xeb\x01\x01\x01\0\0\0\x04\0\0\0\0\0\0\0" + bytes([sequence]) + b"eeee"
            reply = b"\x82\x14" + response_to(message)
            for byte in reply:  # however it is split
                peer.send(bytes([byte]))
            keys.append(key)

    for _ in range(2):
        with talking(talk) as port:
            assert load(client, port, 1, 4).stderr == "connection closed\n"
    assert len(keys) == 4
    assert keys[0] == keys[1] != keys[2] == keys[3]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"HTTP/1.1 426 Upgrade Required\r\n\r\n", "the handshake was answered wrongly: HTTP/1.1 426 Upgrade Required"),
        (AGREED + b"\r\n", "the handshake was answered wrongly: HTTP/1.1 101 Switching Protocols"),
        (
            AGREED.replace(b"s3p", b"S3p") + SELECTED + b"\r\n",
            "the handshake was answered wrongly: HTTP/1.1 101 Switching Protocols",
        ),
        (AGREED, "the handshake was not answered"),
        (b"", "the handshake was not answered"),
        (b"x" * 5000, "the handshake was not answered"),
    ],
)
def test_a_wrong_handshake_is_told(client: Path, reply: bytes, words: str) -> None:
    def talk(peer: socket.socket) -> None:
        opening_of(peer)
        peer.sendall(reply)

    with talking(talk) as port:
        done = load(client, port, 1, 64)
    assert (done.returncode, done.stderr) == (3, f"{words}\n")
