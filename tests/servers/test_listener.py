"""Listening sockets: sharing a port, refusing one that is taken, draining without a reset, no descriptor left."""

import contextlib
import os
import resource
import socket
import sys
from collections.abc import Iterator

import pytest

from servers.config import ServerConfig, UsageError
from servers.contract import CONNECTIONS, COUNTERS, REFUSED
from servers.listener import Acceptor, is_loopback, listen

CONFIG = ServerConfig("thread")


@contextlib.contextmanager
def listening(count: int = 1, config: ServerConfig = CONFIG) -> Iterator[list[socket.socket]]:
    listeners = listen(config, count)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname()[:2], timeout=5)


def test_several_listeners_share_a_port_that_the_kernel_picked() -> None:
    with listening(3) as listeners:
        ports = {listener.getsockname()[1] for listener in listeners}
        assert len(ports) == 1
        clients = [connect(listeners[0]) for _ in range(60)]
        tally = [0] * len(COUNTERS)
        shares = []
        for listener in listeners:
            acceptor, share = Acceptor(listener.dup()), 0
            while (connection := acceptor.accept(tally)) is not None:
                connection.close()
                share += 1
            shares.append(share)
            acceptor.close()
        assert sum(shares) == 60
        assert min(shares) > 0
        for client in clients:
            client.close()


@pytest.mark.parametrize("count", [1, 2])
def test_a_port_in_use_is_refused_with_a_sentence_even_where_ports_can_be_shared(count: int) -> None:
    with listening(2) as listeners:
        taken = ServerConfig("hybrid", port=listeners[0].getsockname()[1])
        with pytest.raises(UsageError, match=r"can't listen on 127\.0\.0\.1 port \d+: Address already in use; choose"):
            listen(taken, count)


def test_an_address_that_is_not_ours_is_refused_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="choose another --host"):
        listen(ServerConfig("thread", host="192.0.2.1"), 1)


def test_a_connection_is_blocking_and_has_nodelay() -> None:
    with listening() as (listener,):
        acceptor, tally = Acceptor(listener.dup()), [0] * len(COUNTERS)
        with connect(listener):
            connection = acceptor.accept(tally)
            assert connection is not None
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                assert os.get_blocking(connection.fileno())
        assert tally[CONNECTIONS] == 1
        acceptor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")
def test_a_drained_listener_yields_what_waits_and_lets_nobody_in() -> None:
    with listening() as (listener,):
        acceptor, tally = Acceptor(listener.dup()), [0] * len(COUNTERS)
        waiting = [connect(listener) for _ in range(5)]
        drained = acceptor.drain(tally)
        first = next(drained)
        with socket.socket() as late:
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())
        rest = list(drained)
        assert len([first, *rest]) == 5
        for connection in (first, *rest, *waiting):
            connection.close()
        acceptor.close()


def test_without_a_free_descriptor_a_connection_is_refused_and_the_next_one_served() -> None:
    with listening() as (listener,):
        acceptor, tally = Acceptor(listener.dup()), [0] * len(COUNTERS)
        client = connect(listener)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            assert acceptor.accept(tally) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert client.recv(1) == b""
        assert (tally[REFUSED], tally[CONNECTIONS]) == (1, 0)
        with connect(listener):
            connection = acceptor.accept(tally)
            assert connection is not None
            connection.close()
        client.close()
        acceptor.close()


def test_loopback_is_told_from_the_rest() -> None:
    with listening() as (listener,):
        assert is_loopback(listener)
    with listening(config=ServerConfig("thread", host="0.0.0.0")) as (listener,):
        assert not is_loopback(listener)
