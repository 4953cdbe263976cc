"""The fastest server at hand: built where there is a compiler, replaced where there is none."""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

import pytest

from harness.catalogue import Catalogue, Choice
from harness.reference_server import Opponent, our_models, reference_servers
from tests.harness.programs import catalogue
from tests.harness.reference import REQUEST, RESPONSE, needs_a_compiler, serving


@needs_a_compiler
def test_the_server_over_tcp_echoes_requests_also_glued_and_split(tmp_path: Path) -> None:
    with serving("tcp", tmp_path) as server, socket.create_connection(server.address, timeout=10) as peer:
        peer.sendall(REQUEST + REQUEST[:9])
        peer.sendall(REQUEST[9:])
        with peer.makefile("rb") as replies:
            assert replies.read(2 * len(RESPONSE)) == RESPONSE * 2


@needs_a_compiler
def test_the_server_over_udp_echoes_requests_and_drops_what_is_none(tmp_path: Path) -> None:
    wrong = (b"", b"\xeb\x01", REQUEST[:-1], REQUEST + b"x", RESPONSE, b"\xeb\x01\x02" + REQUEST[3:], bytes(20))
    with serving("udp", tmp_path) as server, socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.connect(server.address)
        for datagram in wrong:
            peer.send(datagram)
        largest = REQUEST[:4] + struct.pack(">I", 65_491) + REQUEST[8:16] + bytes(65_491)
        for datagram in (REQUEST, largest):
            peer.send(datagram)
            assert peer.recv(70_000) == datagram[:3] + b"\x02" + datagram[4:]


def test_without_a_compiler_that_is_said_and_nothing_is_built(tmp_path: Path) -> None:
    built, notes = reference_servers(["tcp", "udp"], None, tmp_path)
    assert built == {}
    assert notes == ["there is no C compiler (cc, gcc, clang): the fastest of our models takes its place"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'no such header' >&2; exit 1", "broken can't compile echo_server.c (no such header)"),
        ("exit 3", "broken can't compile echo_server.c (exit code 3)"),
    ],
)
def test_a_compiler_that_fails_is_named_with_its_last_words(tmp_path: Path, script: str, words: str) -> None:
    compiler = tmp_path / "broken"
    compiler.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    compiler.chmod(0o755)
    built, notes = reference_servers(["tcp"], str(compiler), tmp_path)
    assert built == {}
    assert notes == [f"{words}: the fastest of our models takes its place"]


def test_a_compiler_that_is_gone_is_named(tmp_path: Path) -> None:
    _, notes = reference_servers(["tcp"], str(tmp_path / "gone"), tmp_path)
    assert notes[0].startswith("gone can't compile echo_server.c (")


def test_a_transport_without_a_reference_server_is_left_to_our_models(tmp_path: Path) -> None:
    assert reference_servers(["carrier_pigeon"], sys.executable, tmp_path) == ({}, [])


def test_our_models_come_fastest_first_and_only_those_that_are_available() -> None:
    names = ("fork", "mine", "asyncio", "selectors")
    choices = tuple(Choice(name, "", available=name != "selectors", reason=None) for name in names)
    assert our_models(Catalogue(choices, ())) == [Opponent("asyncio"), Opponent("fork"), Opponent("mine")]
    assert our_models(catalogue())[0] == Opponent("good")
