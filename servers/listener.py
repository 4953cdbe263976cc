"""The sockets at which strangers arrive, made and configured here and nowhere else.

**Several sockets on one port** (`SO_REUSEPORT`, one a worker): the first is bound *without* the option and gets it
afterwards. So the kernel picks a port that nobody has, and a port that another server uses is refused instead of
silently shared with it. The others then join. `SO_REUSEADDR` on a datagram socket, which lets the sockets of peers join
the port, is held the same way.

**Ending without a loss.** `close` on a listening socket resets the connections that are still in its queue, and `close`
on a datagram socket throws away what it has received. So a drain first attaches a socket filter that drops everything
(Linux): nobody enters any more; a client that knocks over TCP tries again and finds the port closed. Then the queue is
emptied, and only then the socket is closed. On a listening socket the filter takes a privilege (CAP_NET_ADMIN); without
it the queue is shortened to one, which may lose a few of a storm of connects.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from servers.config import ServerConfig, UsageError

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_BPF_RETURN_CONSTANT = 0x06

Address = tuple[object, ...]


def listen(config: ServerConfig, count: int) -> list[socket.socket]:
    """Return `count` listening sockets on one address, non-blocking, with the options of the config.

    Raises UsageError where the address can't be had.
    """
    return _on_one_address(config, count, socket.SOCK_STREAM, lambda listener: listener.listen(config.backlog))


def receive_at(config: ServerConfig, count: int, *, for_peers: bool) -> list[socket.socket]:
    """Return `count` datagram sockets on one address, non-blocking, with the receive buffer of the config.

    `for_peers` lets the sockets of peers join the address. Raises UsageError where the address can't be had.
    """

    def open_up(bound: socket.socket) -> None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, config.recv_buffer)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, for_peers)

    return _on_one_address(config, count, socket.SOCK_DGRAM, open_up)


def peer_socket(mailbox: socket.socket, peer: Address, config: ServerConfig) -> socket.socket:
    """Return a blocking datagram socket at a mailbox's address that is connected to one peer.

    Between its `bind` and its `connect` it may receive what others sent. Raises OSError when the system has no room.
    """
    own = socket.socket(mailbox.family, socket.SOCK_DGRAM)
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, config.recv_buffer)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(mailbox.getsockname())
        own.connect(peer)
    except OSError:
        own.close()
        raise
    return own


def part_from_peer(own: socket.socket) -> None:
    """Let a peer's socket receive nothing more from its peer; what it has received can still be read.

    From now on the peer's datagrams reach the mailbox, so none falls between two sockets. A filter, or closing the
    socket, would lose what comes in the meantime. Nobody sends from where the socket is connected to instead: itself.
    """
    own.connect(own.getsockname())


def _on_one_address(
    config: ServerConfig, count: int, kind: socket.SocketKind, open_up: Callable[[socket.socket], None]
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        family, address = _resolve(config, kind)
        for _ in range(count):
            sockets.append(_bound(family, kind, address, share=count > 1, joins=bool(sockets)))
            address = sockets[0].getsockname()
        for each in sockets:
            open_up(each)
    except (OSError, UnicodeError) as error:  # a host name of too many letters is a UnicodeError
        for each in sockets:
            each.close()
        place = f"{config.host} port {config.port}"
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"can't listen on {place}: {reason}; {_advice(error)}") from error
    return sockets


def _resolve(config: ServerConfig, kind: socket.SocketKind) -> tuple[socket.AddressFamily, Address]:
    family, _, _, _, address = socket.getaddrinfo(config.host, config.port, type=kind, flags=socket.AI_PASSIVE)[0]
    return family, address


def _bound(
    family: socket.AddressFamily, kind: socket.SocketKind, address: Address, *, share: bool, joins: bool
) -> socket.socket:
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if joins:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        if share:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        bound.close()
        raise
    return bound


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


def effective_recv_buffer(mailbox: socket.socket) -> int:
    """Return the receive buffer that a datagram socket really has, in bytes as `--recv-buffer` counts them."""
    size = mailbox.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return size // 2 if sys.platform == "linux" else size  # Linux doubles it, for what it keeps beside the data


def stop_admitting(listener: socket.socket) -> None:
    """Drop every packet that arrives from now on for this very socket; established connections are not touched.

    Raises PermissionError for a listening socket without the privilege.
    """
    if sys.platform == "linux":
        instruction = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN_CONSTANT, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(instruction))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def admit_again(listener: socket.socket) -> None:
    """Undo `stop_admitting`, which works on the socket and so for every process that shares it."""
    if sys.platform == "linux":
        with suppress(OSError):  # there is no filter, or no privilege to have attached one
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
