"""The contract between a protocol and a concurrency model, and nothing else.

A protocol turns received bytes into replies and knows no sockets (sans-I/O). A model moves bytes between sockets and
protocols and knows nothing of the wire. Because the two meet only here, N models and M transports are N + M files.

Life of a `StreamProtocol`, one object a connection:
* `receive(data)` for every chunk that arrives, however it was split or glued: the direct path. It returns the replies
  of all requests that the chunk completed, glued into one piece, so that a model writes once a chunk. `data` may be a
  view into a buffer that is used again: a protocol copies what it keeps.
* `steps(data)` is the same for a service whose requests cost something: one `Step` a reply, so that a model can do the
  work of each request before its reply is sent, and need not read on while it waits.
* `phase` tells the model what it can't know: PARTIAL, a message has begun and not ended (the message time-out runs);
  CLOSING, send what was returned, then close (`receive` then answers nothing any more).
* `receive_eof()` when the peer has shut down its sending side; `drain()` when the server stops and all that was
  received has been answered. Both return the last bytes to send.

A `DatagramProtocol` is one object a socket: `receive(datagram)` returns the reply or None (drop it).

Both count into a `Tally`, a row of counters that one process or thread alone writes; tally.py says how they are
summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from servers.config import ServerConfig
    from servers.listener import Acceptor
    from servers.service import Service

Octets = bytes | bytearray | memoryview
Tally = MutableSequence[int] | memoryview


# The columns of a tally, by the names they have in the stopped line.
COUNTERS = (
    "connections",
    "messages",
    "protocol_errors",
    "aborted",
    "served_by_listener",
    "truncated",
    "timed_out",
    "reset",
    "refused",
)
(
    CONNECTIONS,  # accepted; over UDP: peers
    MESSAGES,  # requests answered
    PROTOCOL_ERRORS,  # connections closed for bytes that are no request
    ABORTED,  # connections cut off at the drain deadline
    SERVED_BY_LISTENER,  # datagrams of a known peer, answered at the listening socket
    TRUNCATED,  # connections that ended inside a message
    TIMED_OUT,  # connections cut off because a message took longer than --message-timeout
    RESET,  # connections that the peer reset
    REFUSED,  # connections accepted and closed at once for want of a descriptor, process or thread
) = range(len(COUNTERS))
LIVE = len(COUNTERS)  # a column of its own, no counter: the connections that a worker holds now


class Phase(Enum):
    """Where a stream protocol stands between two chunks."""

    OPEN = "between messages"
    PARTIAL = "inside a message"
    CLOSING = "done: send, then close"


# Bound once: models and protocols compare with these for every chunk, and an attribute of an enum takes a look-up.
OPEN, PARTIAL, CLOSING = Phase.OPEN, Phase.PARTIAL, Phase.CLOSING


class Step(NamedTuple):
    """One request's share of a chunk: its reply, to be sent when the request's work is done."""

    reply: Octets


class StreamProtocol(Protocol):
    """Turns a stream of bytes into replies; see the module's text for who calls what and when."""

    phase: Phase

    def receive(self, data: Octets) -> Octets: ...
    def steps(self, data: Octets) -> Iterator[Step]: ...
    def receive_eof(self) -> Octets: ...
    def drain(self) -> Octets: ...


class DatagramProtocol(Protocol):
    """Turns a datagram into its reply."""

    def receive(self, datagram: Octets) -> Octets | None: ...


ProtocolFactory = Callable[[Tally], StreamProtocol]


class Transport(Protocol):
    """What a file of `servers/wire/` offers: one wire protocol over one kind of socket."""

    SUMMARY: str

    @staticmethod
    def factory(config: ServerConfig) -> ProtocolFactory: ...


class Model(Protocol):
    """What a file of `servers/models/` offers: one way to serve many connections.

    `parallelism` is how many processes or threads serve at the same time, None where each connection has its own;
    `serve_stream` returns when it has drained; `unavailable` (optional) says why the platform rules the model out.
    """

    SUMMARY: str

    @staticmethod
    def parallelism(config: ServerConfig) -> int | None: ...
    @staticmethod
    def serve_stream(service: Service, acceptors: list[Acceptor]) -> None: ...
