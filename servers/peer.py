"""One peer over UDP, from its first reply to its end, at a socket of its own; why there are peers: `servers.peers`.

Its socket may hold what strangers sent before it was connected, and some that the system hands over a moment after: so
at first it looks at where each datagram is from, and only then reads in the faster way that takes every one for its
peer's.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from servers.blocking import limit_receive
from servers.contract import LAST_ACTIVE_NS, DatagramProtocol, Octets, Tally
from servers.datagrams import Responder, count_undelivered, do_uncounted, raise_unless_told
from servers.listener import Address, part_from_peer
from servers.service import Service

log = logging.getLogger(__name__)

_STRANGERS_NS = 250_000_000  # after its first reply; far more than the system takes to hand over a datagram


class Ending(Protocol):
    """Whether a peer is told to end."""

    requested: bool


def serve_peer(
    bound: socket.socket,
    first_reply: Octets,
    service: Service[DatagramProtocol],
    buffer: memoryview,
    ending: Ending,
) -> None:
    """Serve a peer to its end at its own socket; the caller closes it at once."""
    tally = service.tally
    protocol = service.new_protocol(tally)
    responder = Responder(bound, protocol, buffer, tally, service.work)
    tally[LAST_ACTIVE_NS] = time.monotonic_ns()
    if service.work is not None:
        do_uncounted(service.work, tally)  # whose row had counted it does not matter: the rows are summed
    _send(bound, first_reply, tally)
    while not (responder.respond() or ending.requested):  # what strangers sent before it was connected is among these
        tally[LAST_ACTIVE_NS] = time.monotonic_ns()
    if not responder.was_refused:
        limit_receive(bound, service.config.peer_timeout_s)
        _converse(bound, protocol, service, buffer, ending)
    part_from_peer(bound)
    responder.respond_to_rest(service.stop.remaining_s)


def tell_to_end(bound: socket.socket) -> None:
    """Wake whoever waits to receive from a peer's socket."""
    with suppress(OSError):  # it has just ended by itself
        bound.shutdown(socket.SHUT_RD)


def _converse(
    bound: socket.socket,
    protocol: DatagramProtocol,
    service: Service[DatagramProtocol],
    buffer: memoryview,
    ending: Ending,
) -> None:
    """Answer the peer until it is silent for too long, has gone, or is told to end."""
    tally, work = service.tally, service.work
    recv_into, receive, now_ns = bound.recv_into, protocol.receive, time.monotonic_ns
    peer = bound.getpeername()
    address: Address = peer
    strangers, strangers_until_ns = True, now_ns() + _STRANGERS_NS
    while True:
        try:
            if strangers:
                size, address = bound.recvfrom_into(buffer)
            else:
                size = recv_into(buffer)
        except OSError as error:
            if _is_over(error):
                return
            continue
        if not size and ending.requested:  # else it is an empty datagram
            return
        reply = receive(buffer[:size])
        tally[LAST_ACTIVE_NS] = heard_ns = now_ns()
        if reply is not None:
            if work is not None:
                do_uncounted(work, tally)
            _send(bound, reply, tally, None if address == peer else address)
        if strangers and heard_ns > strangers_until_ns:
            strangers, address = False, peer
        if ending.requested:  # a peer that floods must not hold up its own end
            return


def _is_over(error: OSError) -> bool:
    """Tell whether what a receive says is the end of a peer; raise what is about something else."""
    if isinstance(error, BlockingIOError):  # SO_RCVTIMEO
        return True
    raise_unless_told(error)
    if isinstance(error, ConnectionRefusedError):
        log.info("the peer has gone")
        return True
    return False


def _send(bound: socket.socket, reply: Octets, tally: Tally, address: Address | None = None) -> None:
    """Send a reply to an address, or to the peer."""
    send: Callable[[Octets], int] = bound.send if address is None else lambda octets: bound.sendto(octets, address)
    try:
        send(reply)
    except OSError as error:
        raise_unless_told(error)
        try:
            send(reply)  # what was told was about another
        except OSError as again:
            count_undelivered(tally, again)
