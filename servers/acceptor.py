"""Connections out of a listening socket.

**Out of descriptors.** A listening socket stays readable while its queue holds a connection that can't be accepted, and
a loop that waits for it would spin. So an acceptor keeps one spare descriptor: it is given up, the connection is
accepted and closed at once, and the spare is taken again. The peer learns that it was refused. A connection over
`--max-connections` is closed the same way. A refusal is an attempt like any other: a flood of connects is refused in
bursts, and those that are served have their turns in between.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from enum import Enum

from servers.config import ServerConfig
from servers.contract import CONNECTIONS, LIVE, REFUSED, Tally
from servers.listener import admit_again, configure_connection, stop_admitting

log = logging.getLogger(__name__)

_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BURST = 256
_LONGEST_QUEUE = 1 << 17
# A connection that ended while it waited, in any of the ways that accept(2) names.
_GONE = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EPROTO", "EPERM", "EINTR", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"),
        *("EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)


class _Missed(Enum):
    """Why an attempt to accept brought no connection."""

    NOBODY_WAITS = "the queue is empty"
    REFUSED = "it was refused, or had ended"


class Acceptor:
    """A listening socket and the spare descriptor that keeps it from spinning; see the module's text.

    At most `limit` connections are admitted while `live()` of them are held, 0 is no limit.
    """

    def __init__(self, listener: socket.socket, limit: int = 0, live: Callable[[], int] = lambda: 0) -> None:
        self._listener = listener
        self._limit, self._live = limit, live
        self._spare = _spare_descriptor()
        self.is_shared = False  # other processes accept from it too: it is not this one's to shut

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._listener.fileno()

    def accept(self, tally: Tally) -> socket.socket | None:
        """Return a connection, blocking and configured, or None when none waits or the one that did was refused."""
        connection = self._attempt(tally)
        return connection if isinstance(connection, socket.socket) else None

    def burst(self, tally: Tally) -> Iterator[socket.socket]:
        """Yield the connections that wait, a few hundred a turn: a flood must not stop those that are served."""
        yield from self._attempts(tally, _BURST)

    def drain(self, tally: Tally) -> Iterator[socket.socket]:
        """Let nobody in any more, then yield what the queue still holds; the caller closes the acceptor."""
        self.stop_admitting()
        yield from self._attempts(tally, _LONGEST_QUEUE)

    def stop_admitting(self) -> None:
        """Let nobody enter the queue any more."""
        if self.is_shared:
            return
        try:
            stop_admitting(self._listener)
        except PermissionError:
            self._listener.listen(0)

    def admit_again(self, config: ServerConfig) -> None:
        """Undo `stop_admitting`."""
        admit_again(self._listener)
        self._listener.listen(config.backlog)

    def close(self) -> None:
        """Close the listening socket; the port is free when every process that shares it has done so."""
        self._listener.close()
        self._give_up_spare()

    def _attempts(self, tally: Tally, most: int) -> Iterator[socket.socket]:
        for _ in range(most):
            match self._attempt(tally):
                case socket.socket() as connection:
                    yield connection
                case _Missed.NOBODY_WAITS:
                    return

    def _attempt(self, tally: Tally) -> socket.socket | _Missed:
        """Take one connection out of the queue, or refuse one, or find that there is none."""
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return _Missed.NOBODY_WAITS
        except OSError as error:
            if error.errno in _OUT_OF_ROOM:
                return self._refuse_next(tally, error)
            if error.errno in _GONE:
                return _Missed.REFUSED
            raise
        tally[CONNECTIONS] += 1
        tally[LIVE] += 1
        # It was counted first: workers that accept at the same time may both refuse, but never both exceed.
        if self._limit and self._live() > self._limit:
            refuse(connection, tally, f"--max-connections {self._limit}")
            return _Missed.REFUSED
        try:
            configure_connection(connection)
        except OSError as error:  # it was reset while it waited: its owner will read that
            log.debug("connection gone before it was configured: %s", error)
        return connection

    def _refuse_next(self, tally: Tally, reason: OSError) -> _Missed:
        """Take a connection from the queue and close it; nobody is said to wait where that could not be done."""
        log.info("refused a connection: %s", reason.strerror)
        self._give_up_spare()
        try:
            self._listener.accept()[0].close()
            tally[REFUSED] += 1
            return _Missed.REFUSED
        except OSError as error:
            log.info("could not refuse it: %s", error.strerror)
            return _Missed.NOBODY_WAITS
        finally:
            self._spare = _spare_descriptor()

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


def refuse(connection: socket.socket, tally: Tally, reason: object) -> None:
    """Close an accepted connection at once that can't be served, and count it."""
    log.info("refused a connection: %s", reason)
    tally[CONNECTIONS] -= 1
    tally[LIVE] -= 1
    tally[REFUSED] += 1
    connection.close()


def _spare_descriptor() -> int | None:
    """Return a descriptor to give up later, None where somebody else was faster: the next attempt tries again."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        log.info("no descriptor to spare: %s", error.strerror)
        return None
