"""Peers over UDP: what gives each source address a process or a thread of its own. What `fork` and `thread` share.

UDP has no connections, so these two models make some: a *peer* is a source address together with a datagram socket that
is bound to the server's address and connected to that peer. The kernel hands it whatever comes from there, and the
mailbox, which is open to everybody, gets the rest.

**How a peer begins.** The loop at the mailbox receives the first request of an address that it does not know (what is
no request makes no peer). It makes the connected socket itself, before fork or thread start: so the address is known
before the next datagram is looked at. The peer's first act is to send the first reply.

**Races, and why none loses a request.** An echo needs no memory, so a request may be answered by whoever receives it.
What a known peer had sent before its socket was there waits in the mailbox: it is answered there, and counted as
`served_by_listener`. What strangers sent between the new socket's `bind` and its `connect` waits in that socket: it is
answered there, to whom it came from, before the peer reads on in the faster way that takes every datagram for its own.

**How a peer ends.** By `--peer-timeout` seconds of silence (`SO_RCVTIMEO`), by a port unreachable (`ECONNREFUSED`: the
client has gone), or because it is told to, by `SHUT_RD`, which wakes a blocked receive. Each end is the same: admit
nothing more to the socket, answer what it has received, close. Then the address is unknown again.

**`--max-peers`** bounds the table: a new peer first ends the one that has been silent longest, and waits for that.

**Stops** by admitting nothing to any socket; each peer answers what it has received, the mailbox's loop the rest.

What breaks first: a peer costs what a connection costs its model, and anyone can make one with a single datagram from a
forged address; `--max-peers` is what stands against that.
"""

from __future__ import annotations

import heapq
import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from servers.blocking import limit_receive
from servers.contract import (
    CONNECTIONS,
    LAST_ACTIVE_NS,
    MESSAGES,
    REFUSED,
    SERVED_BY_LISTENER,
    DatagramProtocol,
    Octets,
)
from servers.datagrams import Mailbox, Responder, count_undelivered
from servers.listener import Address, peer_socket, stop_admitting
from servers.service import Service, receive_buffer

log = logging.getLogger(__name__)

_CANDIDATES = 64  # peers that are found at once to be silent longest


class Peers(Protocol):
    """The live peers of a model."""

    rows: dict[Address, memoryview]  # what each counts into

    def start(self, address: Address, bound: socket.socket, first_reply: Octets) -> None:
        """Serve a new peer at its socket; raises OSError or RuntimeError where the system has no room for it."""

    def collect(self) -> None:
        """Forget the peers that have ended."""

    def dismiss(self, address: Address) -> None:
        """End a peer and wait until it has ended."""

    def terminate(self) -> None:
        """Tell every peer to answer what it has received, and to end."""

    def join(self) -> None:
        """Wait until all have ended; at the drain deadline end and count those that are left."""


def serve_mailbox(service: Service[DatagramProtocol], mailbox: Mailbox, peers: Peers) -> None:
    """Make peers until the service is stopped, then drain."""
    stop = service.stop
    reception = _Reception(service, mailbox, peers)
    poller = select.poll()
    poller.register(stop, select.POLLIN)
    service.ready()
    while not stop.requested:
        poller.register(mailbox, select.POLLOUT if reception.holds_reply else select.POLLIN)
        poller.poll()
        stop.clear()
        peers.collect()
        reception.respond()
    mailbox.stop_admitting()
    peers.terminate()
    reception.makes_peers = False
    reception.respond_to_rest(stop.remaining_s)
    mailbox.close()
    peers.join()


class _Reception(Responder):
    """Answers known peers whose datagrams reach the mailbox, and makes peers of the others."""

    def __init__(self, service: Service[DatagramProtocol], mailbox: Mailbox, peers: Peers) -> None:
        protocol = service.new_protocol(service.tally)
        super().__init__(mailbox.socket, protocol, receive_buffer(service.config), service.tally)
        self.makes_peers = True
        self._config = service.config
        self._peers = peers
        self._silent: deque[tuple[int, Address]] = deque()

    def _answer(self, reply: Octets, address: Address) -> bool:
        known = address in self._peers.rows
        if known or not self.makes_peers:
            self._tally[SERVED_BY_LISTENER] += known
            return self._send(reply, address)
        if len(self._peers.rows) >= self._config.max_peers:
            self._peers.dismiss(self._longest_silent())
        try:
            self._peers.start(address, peer_socket(self._socket, address, self._config), reply)
        except (OSError, RuntimeError) as error:
            log.info("turned a peer away: %s", error)
            self._tally[MESSAGES] -= 1
            self._tally[REFUSED] += 1
        else:
            self._tally[CONNECTIONS] += 1
        return True

    def _longest_silent(self) -> Address:
        """Return the peer that has been silent longest.

        To look at all peers for every new one would make a flood of them quadratic. So some candidates are found at
        once; a candidate that was heard of since is none any more.
        """
        rows = self._peers.rows
        while self._silent:
            last_ns, address = self._silent.popleft()
            row = rows.get(address)
            if row is not None and row[LAST_ACTIVE_NS] == last_ns:
                return address
        found = ((row[LAST_ACTIVE_NS], address) for address, row in rows.copy().items())
        self._silent.extend(heapq.nsmallest(_CANDIDATES, found))
        return self._silent.popleft()[1]


def serve_peer(
    bound: socket.socket,
    first_reply: Octets,
    service: Service[DatagramProtocol],
    buffer: memoryview,
    is_told_to_end: Callable[[], bool],
) -> None:
    """Serve a peer to its end at its own socket; the caller closes it."""
    tally = service.tally
    protocol = service.new_protocol(tally)
    responder = Responder(bound, protocol, buffer, tally)
    try:
        tally[LAST_ACTIVE_NS] = time.monotonic_ns()
        _send(bound, first_reply, service)
        while not responder.respond():  # what strangers sent before the socket was connected is among these
            tally[LAST_ACTIVE_NS] = time.monotonic_ns()
        limit_receive(bound, service.config.peer_timeout_s)
        _converse(bound, protocol, service, buffer, is_told_to_end)
    except ConnectionRefusedError as error:
        log.info("the peer has gone: %s", error)
    stop_receiving(bound)
    with suppress(ConnectionRefusedError):  # it has gone, and what it asked is of no use
        responder.respond_to_rest(service.stop.remaining_s)


def stop_receiving(bound: socket.socket) -> None:
    """Admit nothing more to a peer's socket and wake whoever waits to receive from it."""
    with suppress(OSError):  # a socket whose peer has gone is no longer connected, and nothing waits there
        stop_admitting(bound)
        bound.shutdown(socket.SHUT_RD)


def _converse(
    bound: socket.socket,
    protocol: DatagramProtocol,
    service: Service[DatagramProtocol],
    buffer: memoryview,
    is_told_to_end: Callable[[], bool],
) -> None:
    recv_into, receive, tally, now_ns = bound.recv_into, protocol.receive, service.tally, time.monotonic_ns
    while True:
        try:
            size = recv_into(buffer)
        except BlockingIOError:  # SO_RCVTIMEO
            return
        if not size and is_told_to_end():  # else it is an empty datagram
            return
        reply = receive(buffer[:size])
        tally[LAST_ACTIVE_NS] = now_ns()
        if reply is not None:
            _send(bound, reply, service)


def _send(bound: socket.socket, reply: Octets, service: Service[DatagramProtocol]) -> None:
    try:
        bound.send(reply)
    except ConnectionRefusedError as error:
        count_undelivered(service.tally, error)
        raise
    except OSError as error:
        count_undelivered(service.tally, error)
