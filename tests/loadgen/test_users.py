"""`TcpUser`, `UdpUser` and `WebSocketUser` in Locust files written by hand (run by Locust itself, in a subprocess)."""

from __future__ import annotations

import ast
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loadgen import ws_bytes
from tests.loadgen.ours import our_server
from tests.loadgen.peers import (
    TRANSPORTS,
    answering,
    garbage,
    requests,
    response,
    serving,
    unbound_datagram_port,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "loadgen" / "examples"
# By file: the transport, what it asks for often and seldom, and the payload of the latter.
EXAMPLES = {
    "browser_tabs": ("ws", "chat", "open", 5),
    "mixed_payloads": ("tcp", "small", "large", 4096),
    "sensors": ("udp", "reading", "history", 8192),
}
USERS = {"tcp": "TcpUser", "udp": "UdpUser", "ws": "WebSocketUser"}
LOCUST = (sys.executable, "-m", "locust", "-f")
THREE_ECHOES = """
from locust import task
from loadgen.users import {user}

class One({user}):
    timeout_s = 1.0

    @task
    def ask(self):
        print([self.client.echo(b"first"), self.client.echo(b"", name="second"), self.client.echo(b"third")])
        print([repr(entry.error) for entry in self.environment.stats.errors.values()])
        self.environment.runner.quit()
"""


def run(file: Path, url: str, *arguments: str) -> str:
    """Run a Locust file and return what it wrote to stdout."""
    done = subprocess.run(
        [*LOCUST, str(file), "--host", url, "--headless", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def run_echoes(folder: Path, url: str) -> tuple[list[bytes | None], list[str]]:
    """Send three requests over a URL's transport; returns what came back, and the failures that Locust counted."""
    file = folder / "scenario.py"
    file.write_text(THREE_ECHOES.format(user=USERS[url.partition(":")[0]]))
    echoed, failures = run(file, url).splitlines()
    return ast.literal_eval(echoed), ast.literal_eval(failures)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_echo_returns_the_payload(transport: str, tmp_path: Path) -> None:
    with answering(transport) as server:
        echoed, failures = run_echoes(tmp_path, server.url)
    assert (echoed, failures) == ([b"first", b"", b"third"], [])


def test_a_wrong_reply_is_a_failure_and_the_next_request_gets_a_new_connection(tmp_path: Path) -> None:
    def garbles_the_first(number: int, header: bytes, payload: bytes) -> list[bytes]:
        return [response(header, b"f1rst" if number == 0 else payload)]

    with answering("tcp", garbles_the_first) as server:
        echoed, failures = run_echoes(tmp_path, server.url)
    assert echoed == [None, b"", b"third"]
    assert failures == ["WrongEchoError('the reply is not the echo of the request')"]


def test_a_connection_that_ends_is_a_failure(tmp_path: Path) -> None:
    def answers_two(peer: socket.socket, number: int) -> None:
        for count, (header, payload) in enumerate(requests(peer)):
            if count == 2:
                return
            peer.sendall(response(header, payload))

    with serving(answers_two) as server:
        echoed, failures = run_echoes(tmp_path, server.url)
    assert echoed == [b"first", b"", None]
    assert failures == ["ConnectionError('the server closed the connection before it answered')"]


def test_over_websocket_the_handshake_is_one_pings_are_answered_and_leave_is_taken(tmp_path: Path) -> None:
    seen: list[tuple[int, bytes]] = []
    asked: list[bytes] = []

    def pings(peer: socket.socket, number: int) -> None:
        request = ws_bytes.read_request(peer)
        asked.append(request.partition(b"\r\n")[0])
        peer.sendall(ws_bytes.answer_to(request) + ws_bytes.frame(b"early", ws_bytes.PING))
        for first, data in ws_bytes.frames(peer):
            seen.append((first, data))
            if first == ws_bytes.BINARY:
                message = response(data[:16], data[16:])
                fragments = ws_bytes.frame(message[:9], 0x02) + ws_bytes.frame(b"in between", ws_bytes.PING)
                peer.sendall(fragments + ws_bytes.frame(message[9:], ws_bytes.CONTINUATION))

    with serving(pings, "ws") as server:
        echoed, failures = run_echoes(tmp_path, f"{server.url}/a/path?with=query")
    assert (echoed, failures) == ([b"first", b"", b"third"], [])
    assert asked == [b"GET /a/path?with=query HTTP/1.1"]
    pongs = [data for first, data in seen if first == ws_bytes.PONG]
    assert pongs == [b"early", b"in between", b"in between", b"in between"]
    assert seen[-1] == (ws_bytes.CLOSE, b"\x03\xe8")


def test_over_websocket_a_refusal_and_a_close_are_failures_that_say_so(tmp_path: Path) -> None:
    def refuses_one_and_closes_two(peer: socket.socket, number: int) -> None:
        if number == 0:
            ws_bytes.read_request(peer)
            peer.sendall(b"HTTP/1.1 503 Busy\r\n\r\n")
            return
        ws_bytes.shake_hands(peer)
        ws_bytes.read_frame(peer)
        peer.sendall(ws_bytes.frame((1001 if number == 1 else 1009).to_bytes(2, "big"), ws_bytes.CLOSE))
        assert ws_bytes.read_frame(peer)[0] == ws_bytes.CLOSE

    with serving(refuses_one_and_closes_two, "ws") as server:
        echoed, failures = run_echoes(tmp_path, server.url)
    assert echoed == [None, None, None]
    assert failures == [
        "HandshakeError('the server answered 503 Busy to the WebSocket handshake')",
        "ConnectionError('the server closed the connection before it answered')",
        "WrongEchoError('the server closed the connection: 1009 (message too big)')",
    ]


def test_a_lost_datagram_is_a_time_out_and_its_late_reply_no_answer_to_the_next_request(tmp_path: Path) -> None:
    seen: list[tuple[int, bytes]] = []

    def late(number: int, header: bytes, payload: bytes) -> list[bytes]:
        seen.append((number, response(header, payload)))
        return {1: [], 2: [seen[0][1], seen[-1][1], seen[-1][1]]}.get(len(seen), [seen[-1][1]])

    with answering("udp", late) as server:
        echoed, failures = run_echoes(tmp_path, server.url)
    assert echoed == [None, b"", b"third"]
    assert failures == ["TimeoutError('no reply within 1 s')"]
    assert [number for number, _ in seen] == [0, 0, 0]  # one socket for all


def test_a_wrong_datagram_is_a_failure_of_its_own_request_only(tmp_path: Path) -> None:
    def garbles_the_third(number: int, header: bytes, payload: bytes) -> list[bytes]:
        return garbage(number, header, payload) if payload == b"third" else [response(header, payload)]

    with answering("udp", garbles_the_third) as server:
        echoed, failures = run_echoes(tmp_path, server.url)
    assert echoed == [b"first", b"", None]
    assert failures == ["WrongEchoError('the reply is not the echo of the request')"]


def test_without_a_server_requests_are_refused_over_udp_too(tmp_path: Path) -> None:
    echoed, failures = run_echoes(tmp_path, f"udp://127.0.0.1:{unbound_datagram_port()}")
    assert echoed == [None, None, None]
    assert {failure.partition("(")[0] for failure in failures} == {"ConnectionRefusedError"}


def test_a_host_of_another_transport_is_refused_in_one_sentence() -> None:
    code = (
        "from loadgen import users\n"
        "for client in users.TcpClient, users.UdpClient, users.WebSocketClient:\n"
        "    for url in 'tcp://a:1', 'udp://a:1', 'ws://a:1/b':\n"
        "        try: client(url, None, 1.0)\n"
        "        except users.UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "URL 'udp://a:1' is not tcp://HOST:PORT",
        "URL 'ws://a:1/b' is not tcp://HOST:PORT",
        "URL 'tcp://a:1' is not udp://HOST:PORT",
        "URL 'ws://a:1/b' is not udp://HOST:PORT",
        "URL 'tcp://a:1' is not ws://HOST:PORT/PATH",
        "URL 'udp://a:1' is not ws://HOST:PORT/PATH",
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_shows_its_requests_in_locust_s_statistics(name: str) -> None:
    transport, often, seldom, seldom_bytes = EXAMPLES[name]
    with our_server(transport, "asyncio") as server:
        out = run(FOLDER / f"{name}.py", server.url, "-u", "8", "-r", "8", "-t", "1s", "--json")
    entries = {entry["name"]: entry for entry in json.loads(out)}
    assert {entry["method"] for entry in entries.values()} == {transport.upper()}
    assert {entry["num_failures"] for entry in entries.values()} == {0}
    assert entries[often]["num_requests"] > entries[seldom]["num_requests"] > 0
    assert entries[seldom]["total_content_length"] == seldom_bytes * entries[seldom]["num_requests"]


def test_every_example_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == EXAMPLES.keys()
