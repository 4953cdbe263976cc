"""A thread per connection; over UDP a thread per peer (peers.py).

**Accepts** in the main thread, which waits on the listener and the stop signal. **A connection lives** in a thread of
its own, that serves it with blocking calls (blocking.py) and counts into a row of its own: threads would lose counts to
each other in an interpreter without a GIL. **Blocks:** a peer that doesn't read blocks its own thread. With a GIL only
one thread runs Python at a time, and on several CPUs handing the lock from core to core costs more than it gains.

**Stops** by shutting down the receiving side of each connection, which wakes its thread; what had arrived is answered.
At the drain deadline both sides are shut down and the connections counted as aborted.

**Breaks first:** memory for stacks and the system's limit of threads; a connection for which no thread can be started
is refused.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from servers.acceptor import Acceptor, refuse
from servers.blocking import serve_connection
from servers.config import ServerConfig
from servers.contract import ABORTED, LAST_ACTIVE_NS, LIVE, DatagramProtocol, Octets, StreamProtocol, Variant
from servers.datagrams import Mailbox
from servers.listener import Address
from servers.peer import serve_peer, tell_to_end
from servers.peers import serve_mailbox
from servers.service import Service, datagram_buffer, receive_buffer

SUMMARY = "a thread per connection"
OPTIONS: dict[str, tuple[Variant, ...]] = {}
KEEPS_PEERS = True
_LAST_WORDS_S = 1.0  # for threads to end whose connections were cut off


def parallelism(_config: ServerConfig) -> int | None:
    """Return None: each connection has its own thread."""
    return None


def serve_stream(service: Service[StreamProtocol], acceptors: list[Acceptor]) -> None:
    """Serve connections until the service is stopped and drained."""
    acceptor, threads = acceptors[0], _Threads(service)
    poller = select.poll()
    poller.register(acceptor, select.POLLIN)
    poller.register(service.stop, select.POLLIN)
    service.ready()
    while not service.stop.requested:
        poller.poll()
        service.stop.clear()
        for connection in acceptor.burst(service.tally):
            threads.start(connection)
    for connection in acceptor.drain(service.tally):
        threads.start(connection)
    acceptor.close()
    threads.drain()


def serve_datagrams(service: Service[DatagramProtocol], mailboxes: list[Mailbox]) -> None:
    """Serve datagrams until the service is stopped and drained."""
    serve_mailbox(service, mailboxes[0], _PeerThreads(service))


class _Threads:
    """The live connections and their threads."""

    def __init__(self, service: Service[StreamProtocol]) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._live: dict[socket.socket, threading.Thread] = {}
        self._conversing: set[socket.socket] = set()  # the live ones that are not about to be closed

    def start(self, connection: socket.socket) -> None:
        try:
            tally = self._service.ledger.open()
        except RuntimeError as error:
            refuse(connection, self._service.tally, error)
            return
        thread = threading.Thread(target=self._serve, args=(connection, tally), daemon=True)
        with self._lock:
            self._live[connection] = thread
            self._conversing.add(connection)
        # It is counted in the thread's row from here on. One after the other: another process that sees both refuses.
        self._service.tally[LIVE] -= 1
        tally[LIVE] = 1
        try:
            thread.start()
        except RuntimeError as error:  # the system has no room for another thread
            self._forget(connection, tally)
            self._service.tally[LIVE] += 1
            refuse(connection, self._service.tally, error)

    def drain(self) -> None:
        """Let every thread answer what its connection has received; cut off what is left at the deadline."""
        self._shut_down(self._conversing, socket.SHUT_RD)
        left = _join(list(self._live.values()), self._service.stop.remaining_s)
        self._service.tally[ABORTED] += len(self._conversing)  # the others have all their replies with the system
        self._shut_down(self._live, socket.SHUT_RDWR)
        deadline_s = time.monotonic() + _LAST_WORDS_S  # for all together: those that are at work may be many
        _join(left, lambda: max(0.0, deadline_s - time.monotonic()))

    def _serve(self, connection: socket.socket, tally: memoryview) -> None:
        service = self._service
        try:
            own = service.in_worker(tally, service.stop, service.ready)
            on_finish = partial(self._finishes, connection)
            serve_connection(connection, own, receive_buffer(service.config), on_finish)
        finally:
            self._forget(connection, tally)

    def _finishes(self, connection: socket.socket) -> None:
        with self._lock:
            self._conversing.discard(connection)

    def _forget(self, connection: socket.socket, tally: memoryview) -> None:
        """Close a connection, under the lock: nobody may shut down a descriptor that has a new owner."""
        with self._lock:
            del self._live[connection]
            self._conversing.discard(connection)
            connection.close()
        self._service.ledger.close(tally)

    def _shut_down(self, connections: Iterable[socket.socket], how: int) -> None:
        with self._lock:
            for connection in connections:
                with suppress(OSError):  # the peer has gone: its thread is about to find out
                    connection.shutdown(how)


@dataclass(eq=False)
class _Peer:
    """A peer's socket and thread."""

    bound: socket.socket
    thread: threading.Thread
    requested: bool = False  # to end


class _PeerThreads:
    """The peers that have a thread each; see `servers.peers.Peers`."""

    def __init__(self, service: Service[DatagramProtocol]) -> None:
        self.rows: dict[Address, memoryview] = {}
        self._service = service
        self._lock = threading.Lock()
        self._live: dict[Address, _Peer] = {}

    def start(self, address: Address, bound: socket.socket, first_reply: Octets) -> None:
        row = self._service.ledger.open()
        row[LAST_ACTIVE_NS] = time.monotonic_ns()
        thread = threading.Thread(target=self._serve, args=(address, first_reply), daemon=True)
        with self._lock:
            self.rows[address], self._live[address] = row, _Peer(bound, thread)
        try:
            thread.start()
        except RuntimeError:  # the system has no room for another thread
            with self._lock:
                del self._live[address], self.rows[address]
            self._service.ledger.close(row)
            raise

    def collect(self) -> None:
        """Do nothing: each thread forgets its own peer."""

    def dismiss(self, address: Address) -> None:
        peer = self._live.get(address)
        if peer is not None:  # else it has just ended by itself
            self._tell_to_end(peer)
            peer.thread.join(_LAST_WORDS_S)

    def terminate(self) -> None:
        for peer in self._live.copy().values():
            self._tell_to_end(peer)

    def join(self) -> None:
        left = _join([peer.thread for peer in self._live.copy().values()], self._service.stop.remaining_s)
        self._service.tally[ABORTED] += len(left)

    def _serve(self, address: Address, first_reply: Octets) -> None:
        peer, service = self._live[address], self._service
        try:
            own = service.in_worker(self.rows[address], service.stop, service.ready)
            serve_peer(peer.bound, first_reply, own, datagram_buffer(service.config), peer)
        finally:
            self._forget(address)

    def _tell_to_end(self, peer: _Peer) -> None:
        with self._lock:
            peer.requested = True
            tell_to_end(peer.bound)

    def _forget(self, address: Address) -> None:
        """Close a peer's socket, under the lock: nobody may shut down a descriptor that has a new owner."""
        with self._lock:
            self._live.pop(address).bound.close()
            row = self.rows.pop(address)
        self._service.ledger.close(row)


def _join(threads: list[threading.Thread], remaining_s: Callable[[], float]) -> list[threading.Thread]:
    """Wait for threads to end until no time remains; return those that have not."""
    for thread in threads:
        thread.join(remaining_s())
    return [thread for thread in threads if thread.is_alive()]
