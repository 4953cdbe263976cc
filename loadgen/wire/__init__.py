"""What the engine asks of a transport, and where transports are found.

A transport's client side is one file of this folder, named as in the URL (`tcp.py` for `tcp://`), with a class `Codec`.
A codec knows bytes and nothing else: no sockets, no clock, no statistics. It makes one `ClientWire` a connection,
which builds requests and checks what comes back; which request a reply belongs to, whether it is late, a duplicate or
out of order is decided once for all transports (`loadgen.connection`).

A request's sequence number is the connection's number in the upper 24 bits and a counter in the lower 40, so that no
two connections of a process ever send the same one: a server that hands one connection's bytes to another is seen.
A request is `request_head + tail(counter)` and its intact reply `reply_head + tail(counter)`. The heads belong to the
connection, the tail to the counter alone: the engine's fast path makes one tail for a whole batch of connections. (So
it is where all payloads are equal. In a mix of sizes the header differs too, and requests are made one at a time.)
Where a protocol wants what a client sends masked, the tail goes through the codec's `mask` with the connection's key
before it is sent, `request_head + mask(tail(counter), mask_key)`; the head is made masked, once.

Some protocols say more than messages. A connection may begin with a `Handshake`, owe an answer that is no reply
(`owed`), be told that the other side closes it (`closed`), and take its leave in words (`farewell`). A codec only says
what is to be sent; who sends it, and when, is again decided once for all.
"""

from __future__ import annotations

import importlib
import pkgutil
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, cast

from loadgen.payload import Payloads

COUNTER_BYTES = 5
COUNTER_BITS = 8 * COUNTER_BYTES
COUNTER_MASK = (1 << COUNTER_BITS) - 1
# Counters advance by a large odd step. So all 2**40 values come before one comes again, and those that were issued lie
# scattered among those that were not: a garbled sequence is hardly ever one that was sent.
COUNTER_STEP = 0x61C8864687
_STEP_INVERSE = pow(COUNTER_STEP, -1, 1 << COUNTER_BITS)
MAX_CONNECTION_NUMBER = (1 << 24) - 1


def next_counter(counter: int) -> int:
    """Return the counter after this one; the first is that after 0."""
    return (counter + COUNTER_STEP) & COUNTER_MASK


def was_issued(counter: int, newest: int) -> bool:
    """Tell whether a counter was issued when `newest` was the last one that was."""
    place, last = ((value * _STEP_INVERSE) & COUNTER_MASK for value in (counter, newest))
    return 0 < place <= last


class UnavailableError(ValueError):
    """A transport can't be had here; the text is a sentence for the user."""


class HandshakeError(ConnectionError):
    """The other side does not agree to a connection; the text is a sentence for the user."""


class Reply(NamedTuple):
    """A whole message received: its sequence, and whether kind, length and payload are those of an echo."""

    sequence: int
    intact: bool


class Handshake(Protocol):
    """What one connection says and hears before it carries messages."""

    request: bytes
    rest: bytes  # what was received behind the end of the answer

    def take(self, data: bytes) -> bool:
        """Take bytes received, and return whether the answer is complete; raises HandshakeError when it is a no."""
        ...


class ClientWire(Protocol):
    """One connection's codec."""

    request_head: bytes
    reply_head: bytes
    mask_key: bytes  # of the codec's mask, for a tail
    broken: str | None  # why the bytes received are no messages any more; None while they are
    closed: bool  # the other side said that nothing more will come, as an end of file does
    owed: bytes  # what is to be sent besides requests, between two of them; who sends it clears it

    def farewell(self) -> bytes:
        """What is said before a connection is closed, empty where nothing is."""
        ...

    @property
    def partial(self) -> bool:
        """Whether the beginning of a message was received and its end was not."""
        ...

    def request(self, counter: int) -> tuple[int, bytes]:
        """Return the sequence of the request with this counter, and the request as bytes."""
        ...

    def replies(self, data: bytes) -> list[Reply]:
        """Take bytes received and return the messages that they complete; sets `broken` when the bytes are none."""
        ...

    def sequence_of(self, reply: bytes) -> int:
        """Return the sequence of a whole intact reply."""
        ...


class ClientCodec(Protocol):
    """One run's codec: it holds the payloads.

    Where all payloads are equal (`uniform`), a request is a connection's head and a tail, which the fast path makes.
    """

    transport: str
    socket_type: socket.SocketKind
    ordered: bool  # a byte stream: nothing is lost, and replies in another order than their requests are wrong
    uniform: bool
    most_payload_bytes: int
    has_path: bool  # URLs of this transport may name a path
    mask: Callable[[bytes, bytes], bytes] | None  # of what is sent, with a key; None where it is sent as it is
    request_bytes: int  # of the longest, where they differ
    reply_bytes: int
    read_bytes: int  # how much to read for a reply that comes alone

    def tail(self, counter: int) -> bytes:
        """Return the end that the request with this counter and its reply have in common on every connection."""
        ...

    def reply_bytes_of(self, sequence: int) -> int:
        """Return the length of the reply with this sequence."""
        ...

    def handshake(self) -> Handshake | None:
        """Return what a new connection to the codec's URL begins with; None where it carries messages at once."""
        ...

    def connection(self, number: int) -> ClientWire:
        """Return the codec of the connection with this number, 0 to `MAX_CONNECTION_NUMBER`."""
        ...


def transports() -> list[str]:
    """Return the names of the transports there are: the modules of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def make_codec(transport: str, payloads: Payloads | bytes, url: str = "") -> ClientCodec:
    """Return the codec of a transport for some payloads, or for one; the name must be one of `transports()`.

    The URL is needed where connections begin with a handshake. Raises UnavailableError.
    """
    return cast(ClientCodec, _codec_class(transport)(payloads, url))


def socket_type_of(transport: str) -> socket.SocketKind:
    """Return the kind of socket that a transport uses; raises UnavailableError."""
    kind: socket.SocketKind = _codec_class(transport).socket_type
    return kind


def most_payload_bytes(transport: str) -> int:
    """Return the longest payload that a transport carries; raises UnavailableError."""
    return int(_codec_class(transport).most_payload_bytes)


def has_path(transport: str) -> bool:
    """Tell whether URLs of a transport may name a path; raises UnavailableError."""
    return bool(_codec_class(transport).has_path)


def url_forms() -> list[str]:
    """Return what URLs look like, of each transport that can be had here."""
    forms = []
    for name in transports():
        with suppress(UnavailableError):
            forms.append(f"{name}://HOST:PORT{'/PATH' if has_path(name) else ''}")
    return forms


def _codec_class(transport: str) -> Any:
    try:
        return importlib.import_module(f"{__name__}.{transport}").Codec
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise UnavailableError(f"transport {transport} needs the package {package}: install it") from error
