"""Connecting: what is timed, and how failures are named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harness.schema import ErrorKind
from loadgen.dial import RECV_BUFFER_BYTES, DialError, dial, resolve
from tests.loadgen.peers import answering, bound_datagram_socket, closed_port, serving, unbound_datagram_port


def test_a_connection_is_non_blocking_and_sends_at_once() -> None:
    with serving() as server:
        fd, took_ns = dial(resolve("localhost", server.port, socket.SOCK_STREAM), socket.SOCK_STREAM)
        with socket.socket(fileno=fd) as made:
            assert not os.get_blocking(fd)
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert took_ns > 0


def test_a_datagram_socket_is_connected_to_the_server_and_holds_what_the_system_allows() -> None:
    with answering("udp") as server, bound_datagram_socket() as stranger:
        fd, _ = dial(resolve("localhost", server.port, socket.SOCK_DGRAM), socket.SOCK_DGRAM)
        with socket.socket(fileno=fd) as made:
            assert not os.get_blocking(fd)
            stranger.sendto(b"from somebody else", made.getsockname())
            with pytest.raises(BlockingIOError):
                made.recv(100)
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == _granted_bytes(RECV_BUFFER_BYTES)


def _granted_bytes(asked_bytes: int) -> int:
    """Return what SO_RCVBUF reads after so much was asked for: the kernel doubles what it grants (socket(7))."""
    return 2 * min(asked_bytes, int(Path("/proc/sys/net/core/rmem_max").read_text()))


def test_a_port_that_nobody_receives_on_can_be_connected_to_over_udp() -> None:
    port = unbound_datagram_port()
    fd, _ = dial(resolve("127.0.0.1", port, socket.SOCK_DGRAM), socket.SOCK_DGRAM)
    with socket.socket(fileno=fd) as made:
        assert made.getpeername() == ("127.0.0.1", port)


def test_a_port_that_nobody_listens_on_refuses() -> None:
    with pytest.raises(DialError) as failure:
        dial(resolve("127.0.0.1", closed_port(), socket.SOCK_STREAM), socket.SOCK_STREAM)
    assert failure.value.kind is ErrorKind.REFUSED


def test_an_address_that_can_not_be_connected_to_fails_as_connect() -> None:
    # TCP can not be connected to a multicast address: the system refuses without sending anything.
    with pytest.raises(DialError) as failure:
        dial(resolve("224.0.0.1", 9, socket.SOCK_STREAM), socket.SOCK_STREAM)
    assert failure.value.kind is ErrorKind.CONNECT


def test_a_name_without_an_address_is_named_with_the_reason() -> None:
    with pytest.raises(OSError, match=r"no address for nobody.invalid: \w"):
        resolve("nobody.invalid", 1, socket.SOCK_STREAM)
