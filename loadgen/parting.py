"""How connections end. Some protocols take their leave in words, and close a socket only after the other side's.

A program that says goodbye and closes its socket at once has the answer come to a closed one: the system then tells the
other side of a reset, and a server that counts those counts one for every connection that ended well. So a connection
that this side ends (its user is gone, its one request was answered) stays open until something comes on it: the other
side's last word, or its end. Nothing else is expected there any more. Nobody waits for that but the engine's epoll, and
only for a short time. What ends because of a failure, or by the other side's wish, is answered and closed.

Where a protocol has no such words, a connection is closed, and that is all. It is with the system's own `close`: gevent
replaces `os.close` by one that lets the descriptor live on until its loop comes around, and until then the engine's
epoll reports it.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from time import monotonic_ns as clock

import gevent.monkey

PATIENCE_NS = 200_000_000
READ_BYTES = 1 << 16

_close: Callable[[int], None] = gevent.monkey.get_original("os", "close")


def hang_up(fd: int, farewell: bytes) -> None:
    """Close a descriptor after some last words, if there are any and the socket takes them."""
    if farewell:
        _say(fd, farewell)
    _close(fd)  # which takes it out of an epoll too


def _say(fd: int, farewell: bytes) -> bool:
    try:
        return os.write(fd, farewell) == len(farewell)
    except OSError:  # full, or gone already
        return False


class Partings:
    """Descriptors on which goodbye was said, until it is answered. They stay in the epoll."""

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll
        self._since_ns: dict[int, int] = {}  # in order

    def part(self, fd: int, farewell: bytes) -> None:
        """Say goodbye on a descriptor, and close it when that is answered; at once where nothing is to be said."""
        if farewell and _say(fd, farewell):
            self._epoll.modify(fd, select.EPOLLIN)
            self._since_ns[fd] = clock()
        else:
            _close(fd)

    def heard(self, fd: int) -> None:
        """Close a descriptor on which something came, if it is one of these."""
        if self._since_ns.pop(fd, None) is not None:
            _close(fd)

    def sweep(self, now: int) -> None:
        """Close those that have waited long enough."""
        while self._since_ns:
            fd, since_ns = next(iter(self._since_ns.items()))
            if since_ns > now - PATIENCE_NS:
                return
            self.heard(fd)

    def close(self) -> None:
        """Wait for the last answers, for a short time, and close all."""
        look: select.poll = gevent.monkey.get_original("select", "poll")()
        for fd in self._since_ns:
            look.register(fd, select.POLLIN)
        until_ns = clock() + PATIENCE_NS
        while self._since_ns and (left_ns := until_ns - clock()) > 0:
            for fd, _ in look.poll(left_ns // 1_000_000 + 1):
                look.unregister(fd)
                with suppress(OSError):
                    os.read(fd, READ_BYTES)  # what is closed with something unread is reset
                self.heard(fd)
        for fd in list(self._since_ns):
            self.heard(fd)
