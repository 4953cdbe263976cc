"""Connections out of a listening socket: configured, drained without a reset, refused when there is no room."""

import contextlib
import os
import resource
import socket
import sys
from collections.abc import Iterator

import pytest

from servers.acceptor import Acceptor
from servers.config import ServerConfig
from servers.contract import CONNECTIONS, LIVE, REFUSED
from servers.listener import listen
from servers.tally import Ledger

CONFIG = ServerConfig("thread")


@contextlib.contextmanager
def listening(count: int = 1) -> Iterator[list[socket.socket]]:
    listeners = listen(CONFIG, count)
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
        tally = Ledger().open()
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


def test_a_connection_is_blocking_and_has_nodelay() -> None:
    with listening() as (listener,):
        acceptor, tally = Acceptor(listener.dup()), Ledger().open()
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
        acceptor, tally = Acceptor(listener.dup()), Ledger().open()
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
        acceptor, tally = Acceptor(listener.dup()), Ledger().open()
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


def test_no_more_connections_are_admitted_than_the_limit_over_all_who_accept() -> None:
    ledger = Ledger()
    with listening() as (listener,):
        acceptors = [Acceptor(listener.dup(), 3, ledger.live) for _ in range(2)]
        tallies = [ledger.open() for _ in acceptors]
        clients = [connect(listener) for _ in range(3)]
        held = [next(acceptors[at % 2].burst(tallies[at % 2])) for at in range(3)]
        refused = connect(listener)
        assert acceptors[0].accept(tallies[0]) is None
        assert refused.recv(1) == b""
        assert ledger.live() == 3
        tallies[1][LIVE] -= 1  # the second has let one go
        clients.append(connect(listener))
        room = acceptors[0].accept(tallies[0])
        assert room is not None
        totals = ledger.totals()
        assert (totals["connections"], totals["refused"]) == (4, 1)
        for connection in (*clients, *held, refused, room):
            connection.close()
        for acceptor in acceptors:
            acceptor.close()
