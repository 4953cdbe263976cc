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
answered there, to whom it came from. Some comes later still: the system looks for the socket of a datagram among all
that share the port, which takes it a good part of a millisecond where they are thousands, and one that it chose before
`connect` gets the datagram after it. So only after a while does a peer read in the faster way that takes every datagram
for its own.

**How a peer ends.** By `--peer-timeout` seconds of silence (`SO_RCVTIMEO`), by a port unreachable (`ECONNREFUSED`: the
client has gone), or because it is told to, by `SHUT_RD`, which wakes a blocked receive. Each end is the same. First
the socket parts from its peer: it is connected elsewhere, so that the kernel hands the peer's datagrams to the mailbox
again. Then it answers what it has received, and is closed. No datagram falls in between.

**Work.** A peer does the work of its requests itself, and sleeps while they wait. The mailbox must not: new peers come
there. So what is answered at the mailbox has its waits there as in an event loop (`servers.stepping.Errands`).

**`--max-peers`** bounds the table: a new peer first ends the one that has been silent longest, and waits for that. If
no room can be made, or the system has none for another process or thread, the request is answered at the mailbox.

**Stops** by admitting nothing more to the mailbox; each peer ends as above, the mailbox's loop answers the rest.

What breaks first: a peer costs what a connection costs its model, and anyone can make one with a single datagram from a
forged address; `--max-peers` is what stands against that.
"""

from __future__ import annotations

import heapq
import logging
import math
import select
import socket
from collections import deque
from typing import Protocol

from servers.contract import (
    CONNECTIONS,
    LAST_ACTIVE_NS,
    REFUSED,
    SERVED_BY_LISTENER,
    DatagramProtocol,
    Octets,
)
from servers.datagrams import Mailbox, Responder
from servers.later import Later
from servers.listener import Address, part_from_peer, peer_socket
from servers.service import Service, datagram_buffer
from servers.stepping import Errands, PatientResponder, finish_errands, new_errands

log = logging.getLogger(__name__)

_CANDIDATES = 64  # peers that are found at once to be silent longest


class Peers(Protocol):
    """The live peers of a model."""

    rows: dict[Address, memoryview]  # what each counts into

    def start(self, address: Address, bound: socket.socket, first_reply: Octets) -> None:
        """Serve a new peer at its socket, and close that.

        Raises OSError or RuntimeError where the system has no room for it; then the socket is still the caller's.
        """

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
    stop, later = service.stop, Later(service.work)
    errands = new_errands(service, mailbox.socket, later)
    reception = _Reception(service, mailbox, peers, errands)
    poller = select.poll()
    for descriptor in (mailbox.fileno(), stop.fileno(), *later.descriptors()):
        poller.register(descriptor, select.POLLIN)

    def turn() -> None:
        left_s = later.sleep_s(stop.remaining_s())
        poller.poll(None if left_s is None else math.ceil(left_s * 1000))
        stop.clear()
        peers.collect()
        later.run()

    service.ready()
    while not stop.requested:
        poller.register(mailbox, select.POLLOUT if reception.holds_reply else select.POLLIN)
        turn()
        reception.respond()
    poller.unregister(mailbox)
    mailbox.stop_admitting()
    peers.terminate()
    reception.makes_peers = False
    reception.respond_to_rest(stop.remaining_s)
    finish_errands(errands, stop, turn)
    mailbox.close()
    later.close()
    peers.join()


class _Reception(Responder):
    """Answers known peers whose datagrams reach the mailbox, and makes peers of the others."""

    def __init__(
        self, service: Service[DatagramProtocol], mailbox: Mailbox, peers: Peers, errands: Errands | None
    ) -> None:
        self._protocol = service.new_protocol(service.tally)
        super().__init__(mailbox.socket, self._protocol, datagram_buffer(service.config), service.tally)
        self._errands = errands
        self.makes_peers = True
        self._config = service.config
        self._peers = peers
        self._silent: deque[tuple[int, Address]] = deque()

    def _answer(self, reply: Octets, address: Address) -> bool:
        known = address in self._peers.rows
        if known:
            self._tally[SERVED_BY_LISTENER] += 1
        # Port 0 can't be answered, and a socket connected to it would take the datagrams of the whole host.
        elif self.makes_peers and address[1] and self._make_room():
            return self._make_peer(reply, address)
        return self._answer_here(reply, address)

    def _make_room(self) -> bool:
        """End the peer that was silent longest if there are as many as may be; tell whether there is room now."""
        most = self._config.max_peers
        if len(self._peers.rows) >= most and (silent := self._longest_silent()) is not None:
            self._peers.dismiss(silent)
        return len(self._peers.rows) < most

    def _make_peer(self, reply: Octets, address: Address) -> bool:
        """Make a peer; where the system has no room for it, its request is answered here."""
        try:
            bound = peer_socket(self._socket, address, self._config)
        except OSError as error:
            return self._turn_away(reply, address, error)
        try:
            self._peers.start(address, bound, reply)
        except (OSError, RuntimeError) as error:
            with bound:  # strangers may have reached it
                part_from_peer(bound)
                self._answer_strangers(bound)
            return self._turn_away(reply, address, error)
        self._tally[CONNECTIONS] += 1
        return True

    def _turn_away(self, reply: Octets, address: Address, reason: Exception) -> bool:
        log.info("no room for a peer: %s", reason)
        self._tally[REFUSED] += 1
        return self._answer_here(reply, address)

    def _answer_strangers(self, bound: socket.socket) -> None:
        """Answer what reached a socket that is to be closed."""
        strangers = Responder(bound, self._protocol, self._buffer, self._tally)
        if self._errands is not None:  # the mailbox's, which sends from the same address
            strangers = PatientResponder(bound, self._protocol, self._buffer, self._tally, self._errands)
        strangers.respond_to_rest(lambda: 1.0)

    def _answer_here(self, reply: Octets, address: Address) -> bool:
        if self._errands is None:
            return self._send(reply, address)
        self._errands.take(reply, address)
        return True

    def _longest_silent(self) -> Address | None:
        """Return the peer that has been silent longest, None where all have just ended.

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
        return self._silent.popleft()[1] if self._silent else None
