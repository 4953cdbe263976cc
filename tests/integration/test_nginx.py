"""A WebSocket server behind nginx as a reverse proxy: echo, health page, a clean close, a short load."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.sync.client import connect

from .messages import request, response
from .reverse_proxy import NGINX, reverse_proxy
from .running import PATIENCE_S, ROOT, Running, command, started

SIZES = (0, 1, 125, 126, 65_535, 65_536, 1_000_000)

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass(frozen=True)
class Proxied:
    """A server and the port of nginx in front of it."""

    server: Running
    port: int

    @property
    def url(self) -> str:
        """Return the address for WebSocket clients."""
        return f"ws://127.0.0.1:{self.port}/echo"


@pytest.fixture(params=["asyncio", "fork"])
def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxied]:
    with started(command(request.param, "ws", "--port", "0")) as server, reverse_proxy(server.port, tmp_path) as port:
        yield Proxied(server, port)


def test_text_and_binary_come_back_through_nginx(proxied: Proxied) -> None:
    with connect(proxied.url, proxy=None, max_size=None) as client:
        assert client.subprotocol is None
        for size in SIZES:
            for message in ("x" * size, bytes(size)):
                client.send(message)
                assert client.recv(timeout=PATIENCE_S) == message
        client.send(["in ", "frag", "ments"])
        assert client.recv(timeout=PATIENCE_S) == "in fragments"
        assert client.ping().wait(PATIENCE_S)
        client.close(1000)
        assert client.close_code == 1000
    stopped = proxied.server.stop()
    assert (stopped["messages"], stopped["protocol_errors"], stopped["truncated"]) == (2 * len(SIZES) + 1, 0, 0)


def test_the_subprotocol_is_negotiated_through_nginx(proxied: Proxied) -> None:
    with connect(proxied.url, proxy=None, subprotocols=["chat", "echobench.v1"]) as client:
        assert client.subprotocol == "echobench.v1"
        for number in range(100):
            client.send(request(number))
        for number in range(100):
            assert client.recv(timeout=PATIENCE_S) == response(number)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_health_page_answers_through_nginx(version: str, tmp_path: Path) -> None:
    with started(command("asyncio", "ws", "--port", "0")) as server:
        with reverse_proxy(server.port, tmp_path, health_version=version) as port:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE_S) as answer:
                assert answer.status == 200
                assert answer.read()
        assert server.stop()["protocol_errors"] == 0


def test_a_drain_reaches_a_client_behind_nginx(proxied: Proxied) -> None:
    with connect(proxied.url, proxy=None) as client:
        client.send("before")
        assert client.recv(timeout=PATIENCE_S) == "before"
        proxied.server.terminate()
        list(client)  # ends when the server has closed, in order
        assert client.close_code == 1001
    assert proxied.server.stopped_line()["aborted"] == 0


def test_a_short_load_passes_nginx_without_an_error(proxied: Proxied, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    load = ["--connections", "8", "--warmup", "0.2", "--window", "0.5", "--load", "closed", "--load", "open:200"]
    subprocess.run(
        [sys.executable, "-m", "loadgen", proxied.url, *load, "--json", str(record)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE_S,
    )
    windows = json.loads(record.read_text())["windows"]
    assert [window["load"] for window in windows] == ["closed", "open:200"]
    for window in windows:
        assert window["answered"] > 0
        assert window["unanswered"] == 0
        assert not any(window["errors"].values()), window["errors"]
