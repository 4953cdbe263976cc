"""The contract between a protocol and a concurrency model, and nothing else.

A protocol turns received bytes into replies and knows no sockets (sans-I/O). A model moves bytes between sockets and
protocols and knows nothing of the wire. Because the two meet only here, N models and M transports are N + M files.

Life of a `StreamProtocol`, one object a connection:
* `receive(data)` for every chunk that arrives, however it was split or glued: the direct path. It returns the replies
  of all requests that the chunk completed, glued into one piece, so that a model writes once a chunk. `data` may be a
  view into a buffer that is used again: a protocol copies what it keeps.
* `steps(data)` is the same for a service whose requests cost something: one `Step` a reply, so that a model can do the
  work of each request before its reply is sent, and need not read on while it waits. (It counts as `receive` does, when
  the replies are made; stepping.py says what models make of that.)
* `phase` tells the model what it can't know: PARTIAL, a message has begun and not ended (the message time-out runs);
  CLOSING, send what was returned, then close (`receive` then answers nothing any more). While it is PARTIAL, `begun`
  says whether what is unfinished began with the last chunk: then its time-out begins anew.
* `receive_eof()` when the peer has shut down its sending side; `drain()` when the server stops and all that was
  received has been answered. Both return the last bytes to send.

A `DatagramProtocol` is one object a socket: `receive(datagram)` returns the reply or None (drop it). A datagram stands
alone, so there is no phase and no end.

Both kinds count into a `Tally`, a row of counters that one process or thread alone writes; tally.py says how they are
summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from servers.acceptor import Acceptor
    from servers.config import ServerConfig
    from servers.datagrams import Mailbox
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
    "undelivered",
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
    REFUSED,  # connections closed at once, peers turned away: no descriptor, process, thread or --max-connections left
    UNDELIVERED,  # datagrams whose reply the system did not take
) = range(len(COUNTERS))
# Columns of their own that are no counters:
LIVE = len(COUNTERS)  # the connections that are held now, in the row of whoever accepted them
LAST_ACTIVE_NS = LIVE + 1  # when a peer's last datagram came, on the monotonic clock
FINISHED = LAST_ACTIVE_NS + 1  # whether the one connection of a row has all its replies with the system


class Phase(Enum):
    """Where a stream protocol stands between two chunks."""

    OPEN = "between messages"
    PARTIAL = "inside a message"
    CLOSING = "done: send, then close"


# Bound once: models and protocols compare with these for every chunk, and an attribute of an enum takes a look-up.
OPEN, PARTIAL, CLOSING = Phase.OPEN, Phase.PARTIAL, Phase.CLOSING


class Step(NamedTuple):
    """One reply of a chunk: an answer, to be sent when its request's work is done, or what costs nothing."""

    reply: Octets
    is_answer: bool = True


class StreamProtocol(Protocol):
    """Turns a stream of bytes into replies; see the module's text for who calls what and when."""

    phase: Phase
    begun: bool

    def receive(self, data: Octets) -> Octets: ...
    def steps(self, data: Octets) -> Iterator[Step]: ...
    def receive_eof(self) -> Octets: ...
    def drain(self) -> Octets: ...


class DatagramProtocol(Protocol):
    """Turns a datagram into its reply."""

    def receive(self, datagram: Octets) -> Octets | None: ...


class Kind(Enum):
    """What a transport's sockets carry; it decides which half of a model serves."""

    STREAM = "stream"
    DATAGRAM = "datagram"  # handed over with a byte more than `--recv-bytes` where it is longer, for the wire to drop


StreamFactory = Callable[[Tally], StreamProtocol]
DatagramFactory = Callable[[Tally], DatagramProtocol]
ProtocolFactory = StreamFactory | DatagramFactory


class Transport(Protocol):
    """What a file of `servers/wire/` offers: one wire protocol over one kind of socket."""

    SUMMARY: str
    KIND: Kind

    @staticmethod
    def factory(config: ServerConfig) -> ProtocolFactory: ...


@dataclass(frozen=True)
class Variant:
    """A value that an option of a model may have beside its default, such as another selector.

    `unavailable` says why this machine can't have it, None where it can.
    """

    value: str
    summary: str
    unavailable: Callable[[], str | None] = lambda: None
    kinds: tuple[Kind, ...] = (Kind.STREAM, Kind.DATAGRAM)


class Model(Protocol):
    """What a file of `servers/models/` offers: one way to serve many connections.

    `OPTIONS` names the fields of the config that this model alone minds, each with the values to compare (none where
    any number will do); `parallelism` is how many processes or threads serve at the same time, None where each
    connection has its own; `KEEPS_PEERS` says whether each UDP peer has a process or thread of its own; `serve_stream`
    and `serve_datagrams` return when they have drained. Some functions are optional: `unavailable` says why the
    platform rules the model out, `contradiction` why settings of this model don't go together, `effective` returns the
    settings as they work where the config leaves them open, `entrances` at how many sockets strangers arrive (else at
    one), `most_descriptors` how many descriptors it can tell apart.
    """

    SUMMARY: str
    OPTIONS: Mapping[str, tuple[Variant, ...]]
    KEEPS_PEERS: bool

    @staticmethod
    def parallelism(config: ServerConfig) -> int | None: ...
    @staticmethod
    def serve_stream(service: Service[StreamProtocol], acceptors: list[Acceptor]) -> None: ...
    @staticmethod
    def serve_datagrams(service: Service[DatagramProtocol], mailboxes: list[Mailbox]) -> None: ...
