"""Connecting, timed. One connection at a time, from a greenlet of its own user.

On the loopback and on fast networks a TCP connection stands when `connect` returns, so the socket is asked at once,
without the hub: a greenlet that waited for its turn would measure how many other users connect at the same time.
Only when it is not there yet does the greenlet wait, cooperatively and for a limited time.

A handshake takes the server some work, so its answer is never there at once. For some milliseconds the whole process
waits for it, so that handshakes, too, come one after the other; a slow server must not keep everybody, and then the
others go on. When a greenlet finds its answer after that, it may have lain there for long: the time is taken from the
kernel's note of when it arrived (SO_TIMESTAMPNS).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from dataclasses import dataclass
from time import monotonic_ns as clock
from time import time_ns as wall_clock

import gevent.monkey
import gevent.socket

from harness.schema import ErrorKind
from loadgen.limits import ports_of_an_address
from loadgen.wire import Handshake, HandshakeError

# A full accept queue costs a client 1 s and then 3 s (the kernel's repetitions): more than that is no connection.
CONNECT_TIMEOUT_S = 5.0
HANDSHAKE_TIMEOUT_S = 5.0
HANDSHAKE_ALONE_NS = 5_000_000  # how long nobody else in the process runs while an answer is waited for
# What the servers ask for too, of which the system may allow less: the usual default holds 256 small datagrams, fewer
# than come while the generator is held up for a tenth of a second.
RECV_BUFFER_BYTES = 4 << 20
LOOPBACK_SOURCES = 1000
READ_BYTES = 1 << 16
CLOSED_EARLY = "the server closed the connection before it had answered the handshake"
_IP_BIND_ADDRESS_NO_PORT = 24
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_NOTE_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)

CONNECT_ERRORS = {
    errno.ECONNREFUSED: ErrorKind.REFUSED,
    errno.ECONNRESET: ErrorKind.RESET,
    errno.ETIMEDOUT: ErrorKind.TIMEOUT,
}


class DialError(OSError):
    """A connection could not be made; `kind` says how it failed, `because` more where the kind says too little."""

    def __init__(self, kind: ErrorKind, code: int, because: str | None = None) -> None:
        super().__init__(code, because or os.strerror(code))
        self.kind = kind
        self.because = because


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


def begin_to_connect(address: Address, sources: Sources) -> tuple[int, int]:
    """Return the descriptor of a stream socket that is connecting, and since when (ns); raises OSError."""
    plain_socket = gevent.monkey.get_original("socket", "socket")
    made: socket.socket = plain_socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sources.bind(made)
        began_ns = clock()
        made.connect(address.sockaddr)
    except BlockingIOError:  # it is on its way
        return made.detach(), began_ns
    except OSError:
        made.close()
        raise
    return made.detach(), began_ns


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


def shake_hands(fd: int, handshake: Handshake) -> int:
    """Do the handshake of a connection; returns how long it took until the end of the answer was there (ns).

    Raises DialError; the descriptor is closed then.
    """
    plain_socket = gevent.monkey.get_original("socket", "socket")
    with plain_socket(fileno=fd) as made:
        try:
            made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            took_ns = _answered(made, handshake)
            made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 0)
        except HandshakeError as error:
            raise DialError(ErrorKind.PROTOCOL, errno.EPROTO, str(error)) from error
        except TimeoutError as error:
            because = f"the server did not answer the handshake within {HANDSHAKE_TIMEOUT_S:g} s"
            raise DialError(ErrorKind.TIMEOUT, errno.ETIMEDOUT, because) from error
        except EOFError as error:
            raise DialError(ErrorKind.CLOSED, errno.ECONNRESET, CLOSED_EARLY) from error
        except OSError as error:
            code = error.errno or errno.ECONNRESET
            raise DialError(
                CONNECT_ERRORS.get(code, ErrorKind.RESET), code, f"during the handshake: {error}"
            ) from error
        made.detach()
    return took_ns


def _answered(made: socket.socket, handshake: Handshake) -> int:
    began_ns, began_wall_ns = clock(), wall_clock()
    if made.send(handshake.request) != len(handshake.request):  # a new socket has room for any sensible one
        raise HandshakeError(f"the handshake's request of {len(handshake.request):,} bytes is too long")
    while True:
        _await_readable(made.fileno(), began_ns)
        data, notes, _, _ = made.recvmsg(READ_BYTES, _NOTE_BYTES)
        took_ns = clock() - began_ns
        if not data:
            raise EOFError
        if handshake.take(data):
            noted = [_arrival_wall_ns(note) - began_wall_ns for _, kind, note in notes if kind == _SO_TIMESTAMPNS]
            return min([took_ns, *(noted_ns for noted_ns in noted if noted_ns > 0)])


def _arrival_wall_ns(note: bytes) -> int:
    """Return when bytes arrived, as the kernel has noted it (a struct timespec)."""
    seconds, rest_ns = _TIMESPEC.unpack(note)
    return int(seconds * 1_000_000_000 + rest_ns)


def _await_readable(fd: int, since_ns: int) -> None:
    """Wait for bytes, or the end of a connection; raises TimeoutError."""
    waited_ns = clock() - since_ns
    left_s = HANDSHAKE_TIMEOUT_S - waited_ns / 1e9
    if left_s <= 0:  # also where the answer comes without an end
        raise TimeoutError
    look: select.poll = gevent.monkey.get_original("select", "poll")()
    look.register(fd, select.POLLIN)
    if not look.poll(max(0, HANDSHAKE_ALONE_NS - waited_ns) / 1e6):
        gevent.socket.wait_read(fd, timeout=left_s, timeout_exc=TimeoutError())
