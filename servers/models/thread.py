"""A thread per connection.

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
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from servers.blocking import serve_connection
from servers.config import ServerConfig
from servers.contract import ABORTED
from servers.listener import Acceptor, refuse
from servers.service import Service, receive_buffer

SUMMARY = "a thread per connection"
_LAST_WORDS_S = 1.0  # for threads to end whose connections were cut off


def parallelism(_config: ServerConfig) -> int | None:
    """Return None: each connection has its own thread."""
    return None


def serve_stream(service: Service, acceptors: list[Acceptor]) -> None:
    """Serve until the service is stopped and drained."""
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


class _Threads:
    """The live connections and their threads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._live: dict[socket.socket, threading.Thread] = {}
        self._conversing: set[socket.socket] = set()  # the live ones that are not about to be closed

    def start(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        with self._lock:
            self._live[connection] = thread
            self._conversing.add(connection)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no room for another thread
            self._forget(connection)
            refuse(connection, self._service.tally, error)

    def drain(self) -> None:
        """Let every thread answer what its connection has received; cut off what is left at the deadline."""
        self._shut_down(self._conversing, socket.SHUT_RD)
        threads = list(self._live.values())
        for thread in threads:
            thread.join(self._service.stop.remaining_s())
        left = [thread for thread in threads if thread.is_alive()]
        self._service.tally[ABORTED] += len(left)
        self._shut_down(self._live, socket.SHUT_RDWR)
        for thread in left:
            thread.join(_LAST_WORDS_S)

    def _serve(self, connection: socket.socket) -> None:
        service = self._service
        tally = service.ledger.open()
        try:
            own = service.in_worker(tally, service.stop, service.ready)
            on_finish = partial(self._finishes, connection)
            serve_connection(connection, own, receive_buffer(service.config), on_finish)
        finally:
            self._forget(connection)
            service.ledger.close(tally)

    def _finishes(self, connection: socket.socket) -> None:
        with self._lock:
            self._conversing.discard(connection)

    def _forget(self, connection: socket.socket) -> None:
        """Close a connection, under the lock: nobody may shut down a descriptor that has a new owner."""
        with self._lock:
            del self._live[connection]
            self._conversing.discard(connection)
            connection.close()

    def _shut_down(self, connections: Iterable[socket.socket], how: int) -> None:
        with self._lock:
            for connection in connections:
                with suppress(OSError):  # the peer has gone: its thread is about to find out
                    connection.shutdown(how)
