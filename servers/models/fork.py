"""A process per connection, forked on accept.

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
from contextlib import suppress

from servers.blocking import serve_connection
from servers.children import Children, fork_unavailable, unblock_stop_signals
from servers.config import ServerConfig
from servers.contract import ABORTED
from servers.listener import Acceptor, refuse
from servers.service import Service, receive_buffer
from servers.signals import StopSignal

SUMMARY = "a process per connection, forked on accept"
_REMIND_S = 0.1

unavailable = fork_unavailable


def parallelism(_config: ServerConfig) -> int | None:
    """Return None: each connection has its own process."""
    return None


def serve_stream(service: Service, acceptors: list[Acceptor]) -> None:
    """Serve until the service is stopped and drained."""
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
            service.tally[ABORTED] += 1
    poller.unregister(acceptor)
    acceptor.close()
    _drain(children, service, poller)


def _drain(children: Children, service: Service, poller: select.poll) -> None:
    stop = service.stop

    def wait() -> None:
        # A signal that reaches a child on its way into `recv` sets its flag and wakes nothing: it is told again.
        poller.poll(min(_REMIND_S, stop.remaining_s()) * 1000)
        stop.clear()
        children.terminate()

    children.terminate()
    children.reap()
    if not children.wait(stop.remaining_s, wait):
        service.tally[ABORTED] += len(children)
        children.kill_and_wait()


def _fork_for(
    connection: socket.socket, acceptor: Acceptor, children: Children, service: Service, buffer: memoryview
) -> None:
    def work(tally: memoryview, stop: StopSignal) -> None:
        acceptor.close()
        conversing = [connection]
        stop.install_in_child(on_stop=lambda: _stop_receiving(conversing))
        unblock_stop_signals()
        own = service.in_worker(tally, stop, service.ready)
        serve_connection(connection, own, buffer, on_finish=conversing.clear)
        connection.close()

    try:
        children.fork(work)
    except OSError as error:
        refuse(connection, service.tally, error)
    else:
        connection.close()


def _stop_receiving(connections: list[socket.socket]) -> None:
    for connection in connections:
        with suppress(OSError):  # the peer has gone: the loop is about to find out
            connection.shutdown(socket.SHUT_RD)
