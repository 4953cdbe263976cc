"""The benchmark over WebSocket: the peer that it compares with, and that its parts run and say what they should."""

from __future__ import annotations

import pytest
from websockets.sync.client import connect

from benchmarks import programs, websocket
from benchmarks.__main__ import NAMES
from harness.reference_server import find_compiler

needs_a_compiler = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")


def test_it_is_among_the_benchmarks() -> None:
    assert "websocket" in NAMES


def test_the_peer_echoes_text_and_bytes_and_compresses_nothing() -> None:
    with programs.server(programs.peer("websockets_echo")) as ready:
        url = f"ws://127.0.0.1:{ready['port']}"
        with connect(url, compression="deflate", proxy=None, open_timeout=10) as client:
            for message in ("text", b"bytes", b"x" * 100_000):
                client.send(message)
                assert client.recv(timeout=10) == message
            assert client.protocol.extensions == []


@needs_a_compiler
def test_a_model_is_measured_over_both_transports_and_the_ratio_stands_beside_its_bound() -> None:
    lines = websocket._model("asyncio", rounds=1, seconds=0.1).splitlines()
    assert [line.split(" | ")[0] for line in lines if "over" in line] == [
        "| asyncio over tcp",
        "| asyncio over ws",
        "| asyncio over ws / asyncio over tcp",
    ]
    assert lines[-1].endswith(" | >= 0.45 |")


@needs_a_compiler
def test_the_generator_is_measured_against_the_server_of_each_transport() -> None:
    text = websocket._ceilings(rounds=1, seconds=0.1)
    assert "| load generator over ws / load generator over tcp |" in text
    assert text.count(">= 0.60") == 1
