"""A process per connection, forked on accept; over UDP a process per peer (peers.py).

**Accepts** in the root, which waits on the listener, the stop signal and, through the same descriptor, the end of
children. **A connection lives** in a child of its own, forked when it was accepted; the child serves it with blocking
calls (blocking.py) and leaves. **Blocks:** nothing but the connection's own process; the kernel does all scheduling.
While the root forks, nobody is accepted: the cost of a fork is the price of a connection.

**Stops** by SIGTERM to each child, which shuts down the receiving side of its connection: what had arrived is answered.
At the drain deadline the children are killed and their connections counted as aborted.

**Breaks first:** the number of processes and the memory of each (about 1 MB of its own). A connection for which no
process can be forked is refused. The standard library's `ForkingMixIn` stops accepting at 40 children; this one
doesn't.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from contextlib import suppress

from servers.acceptor import Acceptor, refuse
from servers.blocking import serve_connection
from servers.children import Children, fork_unavailable, unblock_stop_signals
from servers.config import ServerConfig
from servers.contract import ABORTED, FINISHED, LAST_ACTIVE_NS, LIVE, DatagramProtocol, Octets, StreamProtocol, Variant
from servers.datagrams import Mailbox
from servers.listener import Address
from servers.peer import serve_peer, tell_to_end
from servers.peers import serve_mailbox
from servers.service import AnyProtocol, Service, datagram_buffer, receive_buffer
from servers.signals import StopSignal

SUMMARY = "a process per connection, forked on accept"
OPTIONS: dict[str, tuple[Variant, ...]] = {}
KEEPS_PEERS = True
_REMIND_S = 0.1
_REMIND_DISMISSED_MS = 10  # the mailbox waits for it
_LAST_WORDS_S = 1.0  # for a peer that is to make room for another

unavailable = fork_unavailable


def parallelism(_config: ServerConfig) -> int | None:
    """Return None: each connection has its own process."""
    return None


def serve_stream(service: Service[StreamProtocol], acceptors: list[Acceptor]) -> None:
    """Serve connections until the service is stopped and drained."""
    acceptor, stop = acceptors[0], service.stop
    children = Children(service.ledger, stop, service.config.drain_timeout_s)
    stop.install(before_exit=children.kill)
    buffer = receive_buffer(service.config)  # never written here: a child gets its own pages when it reads
    gc.freeze()  # a collection in a child would copy every page that holds an object of the root
    poller = select.poll()
    poller.register(acceptor, select.POLLIN)
    poller.register(stop, select.POLLIN)
    service.ready()
    while not stop.requested:
        poller.poll()
        stop.clear()
        children.reap()
        if not stop.requested and (connection := acceptor.accept(service.tally)) is not None:
            _fork_for(connection, acceptor, children, service, buffer)
    children.terminate()
    for connection in acceptor.drain(service.tally):
        if stop.remaining_s():
            _fork_for(connection, acceptor, children, service, buffer)
        else:
            connection.close()
            service.tally[LIVE] -= 1
            service.tally[ABORTED] += 1
    poller.unregister(acceptor)
    acceptor.close()
    _drain(children, service, poller)


def serve_datagrams(service: Service[DatagramProtocol], mailboxes: list[Mailbox]) -> None:
    """Serve datagrams until the service is stopped and drained."""
    gc.freeze()
    serve_mailbox(service, mailboxes[0], _PeerProcesses(service, mailboxes[0]))


def _drain(children: Children, service: Service[AnyProtocol], poller: select.poll) -> None:
    stop = service.stop

    def wait() -> None:
        # A signal that reaches a child on its way into `recv` sets its flag and wakes nothing: it is told again.
        poller.poll(min(_REMIND_S, stop.remaining_s()) * 1000)
        stop.clear()
        children.terminate()

    children.terminate()
    children.reap()
    if not children.wait(stop.remaining_s, wait):
        service.tally[ABORTED] += children.unfinished()
        children.kill_and_wait()


def _fork_for(
    connection: socket.socket,
    acceptor: Acceptor,
    children: Children,
    service: Service[StreamProtocol],
    buffer: memoryview,
) -> None:
    def work(tally: memoryview, stop: StopSignal) -> None:
        acceptor.close()
        conversing = [connection]
        stop.install_in_child(on_stop=lambda: _stop_receiving(conversing))
        unblock_stop_signals()
        own = service.in_worker(tally, stop, service.ready)

        def on_finish() -> None:
            conversing.clear()
            tally[FINISHED] = 1

        serve_connection(connection, own, buffer, on_finish)
        connection.close()

    try:
        children.fork(work, live=1)
    except OSError as error:
        refuse(connection, service.tally, error)
    else:
        service.tally[LIVE] -= 1  # it is counted in the child's row now
        connection.close()


def _stop_receiving(connections: list[socket.socket]) -> None:
    for connection in connections:
        with suppress(OSError):  # the peer has gone: the loop is about to find out
            connection.shutdown(socket.SHUT_RD)


class _PeerProcesses:
    """The peers that have a process each; see `servers.peers.Peers`."""

    def __init__(self, service: Service[DatagramProtocol], mailbox: Mailbox) -> None:
        self.rows: dict[Address, memoryview] = {}
        self._service = service
        self._mailbox = mailbox
        self._buffer = datagram_buffer(service.config)
        self._children = Children(service.ledger, service.stop, service.config.drain_timeout_s)
        self._pids: dict[Address, int] = {}
        self._addresses: dict[int, Address] = {}
        self._poller = select.poll()
        self._poller.register(service.stop, select.POLLIN)
        service.stop.install(before_exit=self._children.kill)

    def start(self, address: Address, bound: socket.socket, first_reply: Octets) -> None:
        def work(tally: memoryview, stop: StopSignal) -> None:
            self._mailbox.close()
            stop.install_in_child(on_stop=lambda: tell_to_end(bound))
            unblock_stop_signals()
            own = self._service.in_worker(tally, stop, self._service.ready)
            serve_peer(bound, first_reply, own, self._buffer, ending=stop)
            bound.close()

        pid = self._children.fork(work, live=1)
        bound.close()
        self._pids[address], self._addresses[pid] = pid, address
        self.rows[address] = self._children.row(pid)
        self.rows[address][LAST_ACTIVE_NS] = time.monotonic_ns()  # as the child will say when it runs

    def collect(self) -> None:
        for pid in self._children.reap():
            address = self._addresses.pop(pid)
            del self._pids[address], self.rows[address]

    def dismiss(self, address: Address) -> None:
        pid, deadline_s = self._pids[address], time.monotonic() + _LAST_WORDS_S
        killed = False
        while address in self.rows:
            if time.monotonic() < deadline_s:
                self._children.terminate(pid)  # again and again, as in a drain
            elif not killed:
                self._children.kill(pid)
                self._service.tally[ABORTED] += 1
                killed = True
            self._poller.poll(_REMIND_DISMISSED_MS)
            self._service.stop.clear()
            self.collect()

    def terminate(self) -> None:
        self._children.terminate()

    def join(self) -> None:
        _drain(self._children, self._service, self._poller)
