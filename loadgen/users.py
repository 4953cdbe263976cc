"""A user for scenarios written by hand: `TcpUser`, in the convention of Locust's custom clients.

`self.client.echo(payload)` sends one request, waits for its reply, checks it and fires Locust's request event, as
Locust's own clients do. That makes it easy to combine with tasks, wait times and other users, and costs a multiple of
what the engine of the Locust file next to this one costs: use it for scenarios, not for finding a server's limits.

The classes are abstract: Locust spawns what a Locust file derives from them (`loadgen/examples/`).
"""

from __future__ import annotations

import socket
import time
from typing import Any

from locust import User
from locust.exception import LocustError

from loadgen.options import Target, UsageError
from loadgen.wire import Reply, make_codec


class WrongEchoError(LocustError):  # type: ignore[misc]  # locust is typed in part only
    """The reply is not the echo of the request."""


class TcpClient:
    """One connection, made at the first request and made again after a failure. Blocks its own greenlet only."""

    def __init__(self, host: str, request_event: Any, timeout_s: float = 5.0) -> None:
        self._target = Target.parse(host)
        self._request_event = request_event
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._counter = 0

    def echo(self, payload: bytes = b"", name: str = "echo") -> bytes | None:
        """Send a payload and return it as it came back; None when that failed (the event carries the exception)."""
        echoed: bytes | None = None
        meta: dict[str, Any] = {
            "request_type": self._target.transport.upper(),
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
            self.close()
        meta["response_time"] = (time.perf_counter() - began_s) * 1000
        self._request_event.fire(**meta)
        return echoed

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, payload: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection((self._target.host, self._target.port), self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = make_codec(self._target.transport, payload).connection(0)
        self._counter += 1
        sequence, request = wire.request(self._counter)
        self._socket.sendall(request)
        replies: list[Reply] = []
        while not replies and wire.broken is None:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection before it answered")
            replies = wire.replies(data)
        if wire.broken is not None or wire.partial or replies != [Reply(sequence, intact=True)]:
            raise WrongEchoError(wire.broken or "the reply is not the echo of the request")


class TcpUser(User):  # type: ignore[misc]  # locust is typed in part only
    """A user with a `client` that echoes over TCP; `host` is `tcp://HOST:PORT`."""

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        try:
            self.client = TcpClient(self.host or "", environment.events.request)
        except UsageError as error:
            raise LocustError(f"{type(self).__name__}.host: {error}") from error

    def on_stop(self) -> None:
        """Close the connection with the user."""
        self.client.close()
