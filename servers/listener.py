"""Listening sockets and the connections that come from them: made and configured here and nowhere else.

**Several listeners on one port** (`SO_REUSEPORT`, one a worker): the first is bound *without* the option and gets it
afterwards. So the kernel picks a port that nobody has, and a port that another server uses is refused instead of
silently shared with it. The others then join.

**Draining a listener.** `close` on a listening socket resets the connections that are still in its queue. So a drain
first attaches a socket filter that drops everything (Linux): nobody enters any more, a client that knocks retries and
finds the port closed. Then the queue is accepted to its end, and only then the socket is closed. The filter takes a
privilege (CAP_NET_ADMIN); without it the queue is shortened to one, which may lose a few of a storm of connects.

**Out of descriptors.** A listening socket stays readable while its queue holds a connection that can't be accepted, and
a loop that waits for it would spin. So an acceptor keeps one spare descriptor: it is given up, the connection is
accepted and closed at once, and the spare is taken again. The peer learns that it was refused; nobody else notices.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from servers.config import ServerConfig, UsageError
from servers.contract import CONNECTIONS, REFUSED, Tally

log = logging.getLogger(__name__)

_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BURST = 256
_GONE = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR})
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_BPF_RETURN_CONSTANT = 0x06


def listen(config: ServerConfig, count: int) -> list[socket.socket]:
    """Return `count` listening sockets on one address, non-blocking, with the options of the config.

    Raises UsageError where the address can't be had.
    """
    sockets: list[socket.socket] = []
    try:
        family, address = _resolve(config)
        for _ in range(count):
            sockets.append(_bound(family, address, share=count > 1, joins=bool(sockets)))
            address = sockets[0].getsockname()
        for listener in sockets:
            listener.listen(config.backlog)
    except (OSError, UnicodeError) as error:  # a host name of too many letters is a UnicodeError
        for listener in sockets:
            listener.close()
        place = f"{config.host} port {config.port}"
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"can't listen on {place}: {reason}; {_advice(error)}") from error
    return sockets


def _resolve(config: ServerConfig) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    flags = socket.AI_PASSIVE
    family, _, _, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=flags)[0]
    return family, address


def _bound(family: socket.AddressFamily, address: tuple[object, ...], *, share: bool, joins: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if joins:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        listener.close()
        raise
    return listener


def _advice(error: OSError | UnicodeError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return "choose another --port, or 0 for a free one"
    if number == errno.EACCES:
        return "choose a --port over 1023"
    return "choose another --host"


def is_loopback(listener: socket.socket) -> bool:
    """Tell whether only this machine can reach a listener."""
    host = str(listener.getsockname()[0])
    return host.startswith("127.") or host == "::1"


def configure_connection(connection: socket.socket) -> None:
    """Give an accepted connection the options that every model shares."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform != "linux":
        connection.setblocking(True)  # elsewhere it inherits the listener's way


def effective_backlog(config: ServerConfig) -> int:
    """Return the length that the listen queue really has: the system may allow less than was asked for."""
    try:
        allowed = int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return config.backlog
    return min(config.backlog, allowed)


class Acceptor:
    """A listening socket and the spare descriptor that keeps it from spinning; see the module's text."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._listener.fileno()

    def accept(self, tally: Tally) -> socket.socket | None:
        """Return a connection, blocking and configured, or None when none waits; what has no room is refused."""
        while True:
            try:
                connection, _ = self._listener.accept()
                break
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno in _OUT_OF_ROOM:
                    if not self._refuse(tally, error):
                        return None
                elif error.errno not in _GONE:
                    raise
        tally[CONNECTIONS] += 1
        try:
            configure_connection(connection)
        except OSError as error:  # it was reset while it waited: its owner will read that
            log.debug("connection gone before it was configured: %s", error)
        return connection

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
        """Drop every packet that arrives for the listener itself; established connections are not touched."""
        if sys.platform != "linux":
            return
        instruction = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN_CONSTANT, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(instruction))
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        except PermissionError:
            self._listener.listen(0)

    def admit_again(self, config: ServerConfig) -> None:
        """Undo `stop_admitting`, which works on the socket and so for every process that shares it."""
        if sys.platform == "linux":
            with suppress(OSError):  # there is no filter, or no privilege to have attached one
                self._listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        self._listener.listen(config.backlog)

    def close(self) -> None:
        """Close the listening socket; the port is free when every process that shares it has done so."""
        self._listener.close()
        os.close(self._spare)

    def _refuse(self, tally: Tally, reason: OSError) -> bool:
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
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def refuse(connection: socket.socket, tally: Tally, reason: Exception) -> None:
    """Close a connection at once for which no process or thread could be made, and count it."""
    log.info("refused a connection: %s", reason)
    tally[CONNECTIONS] -= 1
    tally[REFUSED] += 1
    connection.close()
