"""The sockets of servers: sharing a port, refusing one that is taken, receive buffers, nobody admitted any more."""

import contextlib
import errno
import socket
import sys
from collections.abc import Iterator

import pytest

from servers.config import ServerConfig, UsageError
from servers.listener import (
    admit_again,
    effective_recv_buffer,
    is_loopback,
    listen,
    part_from_peer,
    peer_socket,
    receive_at,
    stop_admitting,
)

CONFIG = ServerConfig("thread")


@contextlib.contextmanager
def closing(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


def sent_to(bound: socket.socket, *datagrams: bytes) -> tuple[str, int]:
    """Send datagrams from a new socket and return its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        for datagram in datagrams:
            client.sendto(datagram, bound.getsockname())
        address: tuple[str, int] = client.getsockname()
        return address


@pytest.mark.parametrize("count", [1, 2])
def test_a_port_in_use_is_refused_with_a_sentence_even_where_ports_can_be_shared(count: int) -> None:
    with closing(listen(CONFIG, 2)) as listeners:
        taken = ServerConfig("hybrid", port=listeners[0].getsockname()[1])
        with pytest.raises(UsageError, match=r"can't listen on 127\.0\.0\.1 port \d+: Address already in use; choose"):
            listen(taken, count)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("for_peers", [False, True])
def test_a_datagram_port_in_use_is_refused_though_the_sockets_of_peers_may_join(count: int, for_peers: bool) -> None:
    with closing(receive_at(CONFIG, 2, for_peers=True)) as mailboxes:
        taken = ServerConfig("fork", port=mailboxes[0].getsockname()[1])
        with pytest.raises(UsageError, match="Address already in use; choose another --port"):
            receive_at(taken, count, for_peers=for_peers)


def test_an_address_that_is_not_ours_is_refused_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="choose another --host"):
        listen(ServerConfig("thread", host="192.0.2.1"), 1)
    with pytest.raises(UsageError, match="choose another --host"):
        receive_at(ServerConfig("thread", host="192.0.2.1"), 1, for_peers=False)


def test_loopback_is_told_from_the_rest() -> None:
    with closing(listen(CONFIG, 1)) as (listener,):
        assert is_loopback(listener)
    with closing(listen(ServerConfig("thread", host="0.0.0.0"), 1)) as (listener,):
        assert not is_loopback(listener)


def test_the_receive_buffer_is_as_large_as_asked_for() -> None:
    with closing(receive_at(ServerConfig("thread", recv_buffer=65_536), 1, for_peers=False)) as (mailbox,):
        assert effective_recv_buffer(mailbox) == 65_536


def test_a_peer_s_socket_takes_what_comes_from_its_peer_and_the_mailbox_the_rest() -> None:
    with (
        closing(receive_at(CONFIG, 1, for_peers=True)) as (mailbox,),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.connect(mailbox.getsockname())
        with peer_socket(mailbox, client.getsockname(), CONFIG) as own:
            client.send(b"from the peer")
            sent_to(mailbox, b"from another")
            assert own.recv(100) == b"from the peer"
            assert mailbox.recv(100) == b"from another"
            own.send(b"back")
            assert client.recv(100) == b"back"


def test_a_socket_that_parts_from_its_peer_keeps_what_it_has_and_the_mailbox_gets_the_rest() -> None:
    with (
        closing(receive_at(CONFIG, 1, for_peers=True)) as (mailbox,),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.connect(mailbox.getsockname())
        with peer_socket(mailbox, client.getsockname(), CONFIG) as own:
            client.send(b"before")
            part_from_peer(own)
            client.send(b"after")
            assert mailbox.recv(100) == b"after"
            datagram, address = own.recvfrom(100)
            assert (datagram, address) == (b"before", client.getsockname())
            own.sendto(b"back", address)
            assert client.recv(100) == b"back"


@pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")
def test_a_mailbox_that_admits_nothing_keeps_what_it_has_and_can_admit_again() -> None:
    with closing(receive_at(CONFIG, 1, for_peers=False)) as (mailbox,):
        sent_to(mailbox, b"before")
        stop_admitting(mailbox)
        sent_to(mailbox, b"too late")
        assert mailbox.recv(100) == b"before"
        with pytest.raises(BlockingIOError) as nothing:
            mailbox.recv(100)
        assert nothing.value.errno == errno.EAGAIN
        admit_again(mailbox)
        sent_to(mailbox, b"again")
        assert mailbox.recv(100) == b"again"
