"""Connecting, timed. One connection at a time, from a greenlet of its own user.

On the loopback and on fast networks a TCP connection stands when `connect` returns, so the socket is asked at once,
without the hub: a greenlet that waited for its turn would measure how many other users connect at the same time.
Only when it is not there yet does the greenlet wait, cooperatively and for a limited time.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from dataclasses import dataclass
from time import monotonic_ns as clock

import gevent.monkey
import gevent.socket

from harness.schema import ErrorKind
from loadgen.limits import ports_of_an_address

# A full accept queue costs a client 1 s and then 3 s (the kernel's repetitions): more than that is no connection.
CONNECT_TIMEOUT_S = 5.0
# What the servers ask for too, of which the system may allow less: the usual default holds 256 small datagrams, fewer
# than come while the generator is held up for a tenth of a second.
RECV_BUFFER_BYTES = 4 << 20
LOOPBACK_SOURCES = 1000
_IP_BIND_ADDRESS_NO_PORT = 24

CONNECT_ERRORS = {
    errno.ECONNREFUSED: ErrorKind.REFUSED,
    errno.ECONNRESET: ErrorKind.RESET,
    errno.ETIMEDOUT: ErrorKind.TIMEOUT,
}


class DialError(OSError):
    """A connection could not be made; `kind` says how it failed."""

    def __init__(self, kind: ErrorKind, code: int) -> None:
        super().__init__(code, os.strerror(code))
        self.kind = kind


@dataclass(frozen=True)
class Address:
    """A resolved address."""

    family: int
    sockaddr: tuple[object, ...]


def resolve(host: str, port: int, socket_type: socket.SocketKind) -> Address:
    """Return the first address of a host; raises OSError with a sentence when it has none."""
    try:
        family, _, _, _, sockaddr = socket.getaddrinfo(host, port, type=socket_type)[0]
    except OSError as error:
        raise OSError(f"no address for {host}: {error.strerror or error}") from error
    return Address(family, tuple(sockaddr))


class Sources:
    """Where connections come from: towards a loopback server many addresses in turn, else the system's choice.

    An address has as many ports as `net.ipv4.ip_local_port_range` says; one that was closed is kept for a minute.
    """

    def __init__(self, address: Address) -> None:
        self._host = str(address.sockaddr[0])
        self.are_many = address.family == socket.AF_INET and self._host.startswith("127.")
        self._turn = 0

    def bind(self, made: socket.socket) -> None:
        """Give a socket its source address, if it is not for the system to choose; the port is, when it connects."""
        if self.are_many:
            self._turn = (self._turn + 1) % LOOPBACK_SOURCES
            made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            made.bind((f"127.0.{self._turn // 250}.{self._turn % 250 + 1}", 0))

    def why_exhausted(self) -> str:
        """Return the sentence for when no port is left."""
        ports = ports_of_an_address()
        place = f"{LOOPBACK_SOURCES} loopback addresses" if self.are_many else "this address"
        return (
            f"no free port is left to connect to {self._host} from: {place} have {ports:,} each, and a closed one is "
            "kept for a minute; widen net.ipv4.ip_local_port_range, or ask for a lower rate"
        )


def dial(address: Address, socket_type: socket.SocketKind, sources: Sources | None = None) -> tuple[int, int]:
    """Connect; returns the descriptor of the non-blocking socket and how long it took (ns). Raises DialError."""
    plain_socket = gevent.monkey.get_original("socket", "socket")
    try:
        made: socket.socket = plain_socket(address.family, socket_type | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise DialError(ErrorKind.CONNECT, error.errno or errno.EINVAL) from error
    try:
        if socket_type == socket.SOCK_STREAM:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECV_BUFFER_BYTES)
        if sources is not None:
            sources.bind(made)
    except OSError as error:
        made.close()
        raise DialError(ErrorKind.CONNECT, error.errno or errno.EINVAL) from error
    began_ns = clock()
    code = made.connect_ex(address.sockaddr)
    if code == errno.EINPROGRESS:
        code = _outcome(made)
    took_ns = clock() - began_ns
    if code:
        made.close()
        raise DialError(CONNECT_ERRORS.get(code, ErrorKind.CONNECT), code)
    return made.detach(), took_ns


def _outcome(made: socket.socket) -> int:
    """Wait for a connection in progress and return its error number, 0 for none."""
    look: select.poll = gevent.monkey.get_original("select", "poll")()
    look.register(made, select.POLLOUT)
    if not look.poll(0):
        try:
            gevent.socket.wait_write(made.fileno(), timeout=CONNECT_TIMEOUT_S, timeout_exc=TimeoutError())
        except TimeoutError:
            return errno.ETIMEDOUT
    return made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
