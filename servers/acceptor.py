"""Connections out of a listening socket.

**Out of descriptors.** A listening socket stays readable while its queue holds a connection that can't be accepted, and
a loop that waits for it would spin. So an acceptor keeps one spare descriptor: it is given up, the connection is
accepted and closed at once, and the spare is taken again. The peer learns that it was refused; nobody else notices.
A connection over `--max-connections` is closed the same way.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator

from servers.config import ServerConfig
from servers.contract import CONNECTIONS, LIVE, REFUSED, Tally
from servers.listener import admit_again, configure_connection, stop_admitting

log = logging.getLogger(__name__)

_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BURST = 256
_GONE = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR})


class Acceptor:
    """A listening socket and the spare descriptor that keeps it from spinning; see the module's text.

    At most `limit` connections are admitted while `live()` of them are held, 0 is no limit.
    """

    def __init__(self, listener: socket.socket, limit: int = 0, live: Callable[[], int] = lambda: 0) -> None:
        self._listener = listener
        self._limit, self._live = limit, live
        self._spare = _spare_descriptor()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._listener.fileno()

    def accept(self, tally: Tally) -> socket.socket | None:
        """Return a connection, blocking and configured, or None when none waits; what has no room is refused."""
        while (connection := self._take(tally)) is not None:
            tally[CONNECTIONS] += 1
            tally[LIVE] += 1
            # It was counted first: workers that accept at the same time may both refuse, but never both exceed.
            if self._limit and self._live() > self._limit:
                refuse(connection, tally, f"--max-connections {self._limit}")
                continue
            try:
                configure_connection(connection)
            except OSError as error:  # it was reset while it waited: its owner will read that
                log.debug("connection gone before it was configured: %s", error)
            return connection
        return None

    def burst(self, tally: Tally) -> Iterator[socket.socket]:
        """Yield the connections that wait, a few hundred a turn: a flood must not stop those that are served."""
        for _ in range(_BURST):
            connection = self.accept(tally)
            if connection is None:
                return
            yield connection

    def drain(self, tally: Tally) -> Iterator[socket.socket]:
        """Let nobody in any more, then yield what the queue still holds; the caller closes the acceptor."""
        self.stop_admitting()
        while (connection := self.accept(tally)) is not None:
            yield connection

    def stop_admitting(self) -> None:
        """Let nobody enter the queue any more."""
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
        os.close(self._spare)

    def _take(self, tally: Tally) -> socket.socket | None:
        """Take a connection out of the queue."""
        while True:
            try:
                return self._listener.accept()[0]
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno in _OUT_OF_ROOM:
                    if not self._refuse_next(tally, error):
                        return None
                elif error.errno not in _GONE:
                    raise

    def _refuse_next(self, tally: Tally, reason: OSError) -> bool:
        """Take a connection from the queue and close it; tell whether that could be done."""
        log.info("refused a connection: %s", reason.strerror)
        os.close(self._spare)
        try:
            self._listener.accept()[0].close()
            tally[REFUSED] += 1
            return True
        except OSError as error:
            log.info("could not refuse it: %s", error.strerror)
            return False
        finally:
            self._spare = _spare_descriptor()


def refuse(connection: socket.socket, tally: Tally, reason: object) -> None:
    """Close an accepted connection at once that can't be served, and count it."""
    log.info("refused a connection: %s", reason)
    tally[CONNECTIONS] -= 1
    tally[LIVE] -= 1
    tally[REFUSED] += 1
    connection.close()


def _spare_descriptor() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
