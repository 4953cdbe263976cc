"""One thread, one selector, a state machine per connection.

**Accepts** when the listener is readable, a burst a turn. **A connection lives** as a `Connection` in the selector's
table (connection.py); its states are *reading*, *flushing* (the peer takes replies slower than it sends requests) and
*lingering* (sending side shut down, reading only to discard). **Datagrams** are read from their one socket until it
would block; there are no peers to keep. **Blocks:** nothing but the work of a request; while one is served all others
wait.

**Stops** by reading each connection until it would block (everything that had arrived is answered), then closing it as
any other: send all, shut down the sending side, read and discard until the peer has closed or the linger is over. What
is left at the drain deadline is cut off and counted as aborted.

**Breaks first:** one CPU. Nothing here uses a second one. With `--selector select` also the number of descriptors:
`select()` takes none over 1,023, so the process is held to that many, and connections beyond them are refused.
"""

from __future__ import annotations

import selectors
import socket
import time
from math import inf
from typing import Any

from servers.acceptor import Acceptor
from servers.config import LINGER_S, SELECTORS, ServerConfig
from servers.contract import ABORTED, LIVE, DatagramProtocol, StreamProtocol, Variant
from servers.datagrams import Mailbox
from servers.deadlines import Deadlines
from servers.later import Later
from servers.models.selectors.connection import Connection
from servers.service import Service, datagram_buffer, receive_buffer
from servers.stepping import finish_errands, new_errands, new_responder

SUMMARY = "one thread, an event loop on a selector"
KEEPS_PEERS = False
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_MOST_DESCRIPTORS_OF_SELECT = 1024  # FD_SETSIZE


def _selector_class(name: str | None) -> Any:
    """Return the class of a selector, None where the platform has none of that name."""
    return getattr(selectors, f"{name.capitalize()}Selector", None) if name else selectors.DefaultSelector


def _variant(name: str) -> Variant:
    def unavailable() -> str | None:
        return None if _selector_class(name) else f"this platform has no {name}()"

    return Variant(name, f"waits with {name}()", unavailable)


OPTIONS = {"selector": tuple(_variant(name) for name in SELECTORS)}


def parallelism(_config: ServerConfig) -> int | None:
    """Return 1: one thread serves all."""
    return 1


def effective(config: ServerConfig) -> dict[str, str]:
    """Return which selector it is."""
    return {"selector": config.selector or selectors.DefaultSelector.__name__.removesuffix("Selector").lower()}


def most_descriptors(config: ServerConfig) -> int | None:
    """Return how many descriptors the selector can tell apart, None where there is no limit."""
    return _MOST_DESCRIPTORS_OF_SELECT if effective(config)["selector"] == "select" else None


def serve_stream(service: Service[StreamProtocol], acceptors: list[Acceptor]) -> None:
    """Serve connections until the service is stopped and drained."""
    acceptor = acceptors[0]
    with _new_selector(service.config) as selector:
        loop = Loop(service, selector)
        selector.register(service.stop, _READ, lambda _events: service.stop.clear())
        selector.register(acceptor, _READ, lambda _events: loop.accept(acceptor))
        service.ready()
        loop.run_until_stopped()
        selector.unregister(acceptor)
        for connection in acceptor.drain(service.tally):
            loop.add(connection)
        acceptor.close()
        loop.drain()
        loop.later.close()


def serve_datagrams(service: Service[DatagramProtocol], mailboxes: list[Mailbox]) -> None:
    """Serve datagrams until the service is stopped and drained."""
    mailbox, stop, later = mailboxes[0], service.stop, Later(service.work)
    errands = new_errands(service, mailbox.socket, later)
    responder = new_responder(service, mailbox.socket, datagram_buffer(service.config), errands)
    with _new_selector(service.config) as selector:

        def on_ready() -> None:
            held = responder.holds_reply
            responder.respond()
            if responder.holds_reply is not held:
                selector.modify(mailbox, _READ if held else _WRITE, on_ready)

        def turn() -> None:
            for key, _ in selector.select(later.sleep_s(stop.remaining_s() if stop.requested else inf)):
                key.data()
            later.run()

        selector.register(stop, _READ, stop.clear)
        selector.register(mailbox, _READ, on_ready)
        for descriptor in later.descriptors():
            selector.register(descriptor, _READ, lambda: None)
        service.ready()
        while not stop.requested:
            turn()
        selector.unregister(mailbox)
        mailbox.stop_admitting()
        responder.respond_to_rest(stop.remaining_s)
        finish_errands(errands, stop, turn)
        mailbox.close()
    later.close()


def _new_selector(config: ServerConfig) -> selectors.BaseSelector:
    selector: selectors.BaseSelector = _selector_class(config.selector)()
    return selector


class Loop:
    """The selector's loop, the receive buffer that all connections share, and the deadlines."""

    def __init__(self, service: Service[StreamProtocol], selector: selectors.BaseSelector) -> None:
        self.service = service
        self.selector = selector
        self.buffer = receive_buffer(service.config)
        self.unread: set[Connection] = set()  # while draining: those that may still hold something received
        self.message_deadlines = Deadlines(service.config.message_timeout_s)
        self.linger_deadlines = Deadlines(LINGER_S)
        self.later = Later(service.work)
        for descriptor in self.later.descriptors():
            selector.register(descriptor, _READ, lambda _events: None)
        self._connections: set[Connection] = set()

    def run_until_stopped(self) -> None:
        """Serve until the stop signal."""
        select, expire, stop = self.selector.select, self._expire, self.service.stop
        while not stop.requested:
            for key, events in select(self._wait_s()):
                key.data(events)
            expire()

    def drain(self) -> None:
        """Answer what has arrived and end every connection, at the latest at the drain deadline."""
        self.unread = set(self._connections)
        while self._connections and (left_s := self.service.stop.remaining_s()):
            for connection in list(self.unread):
                if self.service.stop.remaining_s():
                    connection.read_rest()
            if not self._connections:
                return
            due_s = 0.0 if self.unread else self._wait_s()
            for key, events in self.selector.select(left_s if due_s is None else min(left_s, due_s)):
                key.data(events)
            self._expire()
        self.service.tally[ABORTED] += sum(not connection.lingers for connection in self._connections)
        for connection in list(self._connections):
            connection.close()

    def accept(self, acceptor: Acceptor) -> None:
        """Take the connections that wait."""
        for connection in acceptor.burst(self.service.tally):
            self.add(connection)

    def add(self, connection: socket.socket) -> None:
        """Serve a connection that was accepted."""
        connection.setblocking(False)
        self._connections.add(Connection(connection, self))

    def holds(self, connection: Connection) -> bool:
        """Tell whether a connection is still served."""
        return connection in self._connections

    def forget(self, connection: Connection) -> None:
        """Serve a connection no more; it may be forgotten once."""
        self._connections.remove(connection)
        self.unread.discard(connection)
        self.service.tally[LIVE] -= 1

    def _wait_s(self) -> float | None:
        sources = (self.message_deadlines, self.linger_deadlines, self.later)
        return _until([at for each in sources if (at := each.next_s()) is not None])

    def _expire(self) -> None:
        for deadlines in (self.message_deadlines, self.linger_deadlines):
            if deadlines.next_s() is not None:
                for on_expiry in deadlines.expired(time.monotonic()):
                    on_expiry()
        self.later.run()


def _until(times_s: list[float]) -> float | None:
    """Return how long the loop may sleep; None is for ever."""
    return max(0.0, min(times_s) - time.monotonic()) if times_s else None
