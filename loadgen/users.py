"""Users for scenarios written by hand: `TcpUser`, `WebSocketUser` and `UdpUser`, in the way of Locust's custom clients.

`self.client.echo(payload)` sends one request, waits for its reply, checks it and fires Locust's request event, as
Locust's own clients do. That makes it easy to combine with tasks, wait times and other users, and costs a multiple of
what the engine of the Locust file next to this one costs: use it for scenarios, not for finding a server's limits.

Over TCP and WebSocket a failure ends the connection, because nobody knows where in the stream the next reply would
begin; the next request makes a new one. A connection is made within the first request on it, so that request's time
holds the connect and the handshake. Over UDP the socket stays, the server sees the same peer, and so the reply to a
request that was given up may still come, while the next one waits: what belongs to an earlier request is discarded,
never taken for the answer. A request whose reply is lost fails with a time-out; nothing is sent again.

The classes are abstract: Locust spawns what a Locust file derives from them (`loadgen/examples/`).
"""

from __future__ import annotations

import itertools
import socket
import time
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from typing import Any, ClassVar

from locust import User
from locust.exception import LocustError

from loadgen.dial import resolve
from loadgen.options import Target, UsageError
from loadgen.wire import COUNTER_BITS, MAX_CONNECTION_NUMBER, ClientWire, Reply, has_path, make_codec

CLOSED = "the server closed the connection before it answered"
GOODBYE_S = 0.1
_client_numbers = itertools.count()


class WrongEchoError(LocustError):  # type: ignore[misc]  # locust is typed in part only
    """The reply is not the echo of the request."""


class EchoClient(ABC):
    """One socket to the server, made at the first request. Blocks its own greenlet only.

    Raises UsageError when `host` is no URL of the client's transport.
    """

    transport: ClassVar[str]

    def __init__(self, host: str, request_event: Any, timeout_s: float) -> None:
        self._target = Target.parse(host)
        if self._target.transport != self.transport:
            raise UsageError(f"URL {host!r} is not {self.transport}://HOST:PORT{'/PATH' * has_path(self.transport)}")
        self._request_event = request_event
        self._timeout_s = timeout_s
        self._number = next(_client_numbers) % (MAX_CONNECTION_NUMBER + 1)
        self._socket: socket.socket | None = None
        self._wire: ClientWire | None = None  # of the newest request
        self._counter = 0

    def echo(self, payload: bytes = b"", name: str = "echo") -> bytes | None:
        """Send a payload and return it as it came back; None when that failed (the event carries the exception)."""
        echoed: bytes | None = None
        meta: dict[str, Any] = {
            "request_type": self.transport.upper(),
            "name": name,
            "start_time": time.time(),
            "response_length": 0,
            "response": None,
            "context": {},
            "exception": None,
        }
        began_s = time.perf_counter()
        try:
            self._exchange(payload)
            echoed = meta["response"] = payload
            meta["response_length"] = len(payload)
        except (OSError, WrongEchoError) as error:
            meta["exception"] = error
            self._failed()
        meta["response_time"] = (time.perf_counter() - began_s) * 1000
        self._request_event.fire(**meta)
        return echoed

    def close(self) -> None:
        """Close the socket, after the words that the transport has for it."""
        if self._socket is not None:
            with closing(self._socket), suppress(OSError):
                self._socket.settimeout(GOODBYE_S)
                self._socket.sendall(self._wire.farewell() if self._wire is not None else b"")
            self._socket = None

    def _exchange(self, payload: bytes) -> None:
        if self._socket is None:
            self._socket = self._connect()
        self._wire = wire = make_codec(self.transport, payload, self._target.url).connection(self._number)
        self._counter += 1
        sequence, request = wire.request(self._counter)
        self._socket.settimeout(self._timeout_s)
        self._socket.sendall(request)
        if self._replies(self._socket, wire, sequence) != [Reply(sequence, intact=True)]:
            raise WrongEchoError(wire.broken or "the reply is not the echo of the request")

    @abstractmethod
    def _connect(self) -> socket.socket:
        """Return a socket that is connected to the server."""

    @abstractmethod
    def _replies(self, connected: socket.socket, wire: ClientWire, sequence: int) -> list[Reply]:
        """Return what came for the request with this sequence; raises OSError when nothing did."""

    @abstractmethod
    def _failed(self) -> None:
        """Make the client ready for the next request after one that failed."""


class TcpClient(EchoClient):
    """One connection, made again after a failure."""

    transport = "tcp"

    def _connect(self) -> socket.socket:
        made = socket.create_connection((self._target.host, self._target.port), self._timeout_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _replies(self, connected: socket.socket, wire: ClientWire, sequence: int) -> list[Reply]:
        replies: list[Reply] = []
        until_s = time.monotonic() + self._timeout_s
        while not replies and wire.broken is None:
            replies = wire.replies(self._received(connected, until_s))
        return [] if wire.partial or wire.broken else replies

    def _received(self, connected: socket.socket, until_s: float) -> bytes:
        """Return what comes next until a time; raises ConnectionError at the end of the connection, TimeoutError."""
        left_s = until_s - time.monotonic()
        if left_s <= 0:  # it is not given anew with every piece of a reply
            raise TimeoutError("timed out")
        connected.settimeout(left_s)
        data = connected.recv(1 << 16)
        if not data:
            raise ConnectionError(CLOSED)
        return data

    def _failed(self) -> None:
        self.close()


class WebSocketClient(TcpClient):
    """One connection with its handshake, made again after a failure. Pings are answered while a reply is waited for."""

    transport = "ws"
    _early = b""  # what came behind the answer to the handshake

    def _connect(self) -> socket.socket:
        made = super()._connect()
        handshake = make_codec(self.transport, b"", self._target.url).handshake()
        assert handshake is not None  # WebSocket has one
        until_s = time.monotonic() + self._timeout_s
        try:
            made.sendall(handshake.request)
            while not handshake.take(self._received(made, until_s)):
                pass
        except OSError:
            made.close()
            raise
        self._early = handshake.rest
        return made

    def _replies(self, connected: socket.socket, wire: ClientWire, sequence: int) -> list[Reply]:
        replies: list[Reply] = []
        until_s = time.monotonic() + self._timeout_s
        while (not replies or wire.partial) and wire.broken is None:
            data, self._early = self._early or self._received(connected, until_s), b""
            replies += wire.replies(data)
            connected.sendall(wire.owed)
            wire.owed = b""
            if wire.closed and not replies:
                raise ConnectionError(CLOSED)
        return [] if wire.broken else replies


class UdpClient(EchoClient):
    """One socket, connected to the server so that datagrams of others do not reach it."""

    transport = "udp"

    def _connect(self) -> socket.socket:
        address = resolve(self._target.host, self._target.port, socket.SOCK_DGRAM)
        made = socket.socket(address.family, socket.SOCK_DGRAM)
        try:
            made.connect(address.sockaddr)
        except OSError:
            made.close()
            raise
        return made

    def _replies(self, connected: socket.socket, wire: ClientWire, sequence: int) -> list[Reply]:
        deadline_s = time.monotonic() + self._timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            connected.settimeout(left_s)
            try:
                replies = wire.replies(connected.recv(1 << 16))
            except TimeoutError:
                break
            if not self._was_sent_before(replies[0].sequence, sequence):
                return replies
        raise TimeoutError(f"no reply within {self._timeout_s:g} s")

    def _was_sent_before(self, sequence: int, newest: int) -> bool:
        """Tell whether a sequence is that of an earlier request of this client: its reply comes late, or again."""
        return self._number << COUNTER_BITS < sequence < newest

    def _failed(self) -> None:
        """Keep the socket: a datagram that is lost or wrong says nothing about the next one."""


class SocketUser(User):  # type: ignore[misc]  # locust is typed in part only
    """A user with a `client` that echoes; a request fails after `timeout_s`."""

    abstract = True
    client_class: ClassVar[type[EchoClient]]
    timeout_s: float

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        try:
            self.client = self.client_class(self.host or "", environment.events.request, self.timeout_s)
        except UsageError as error:
            raise LocustError(f"{type(self).__name__}.host: {error}") from error

    def on_stop(self) -> None:
        """Close the socket with the user."""
        self.client.close()


class TcpUser(SocketUser):
    """A user with a `client` that echoes over TCP; `host` is `tcp://HOST:PORT`."""

    abstract = True
    client_class = TcpClient
    timeout_s = 5.0


class WebSocketUser(SocketUser):
    """A user with a `client` that echoes over WebSocket; `host` is `ws://HOST:PORT/PATH`."""

    abstract = True
    client_class = WebSocketClient
    timeout_s = 5.0


class UdpUser(SocketUser):
    """A user with a `client` that echoes over UDP; `host` is `udp://HOST:PORT`."""

    abstract = True
    client_class = UdpClient
    timeout_s = 1.0  # a lost datagram costs the user all of it
