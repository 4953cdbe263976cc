"""The wire over TCP: messages back to back in a stream.

A RESPONSE is its REQUEST with another kind, so the replies to a chunk of whole messages are the chunk itself with one
byte set in each header. The common case, one whole request in one chunk, is one unpack, one copy, one byte.

Everything else goes through `_held`: the bytes that have arrived and are not yet answered. It always starts at a
message's first byte. A header is judged as soon as its 16 bytes are there; from then on `_needed` is the length of the
whole message, so that a message that comes byte by byte costs one comparison a byte. No memory is taken for a length
before its bytes have arrived.

What is no acceptable REQUEST ends the connection: the requests before it are answered, then comes an ERROR (none for a
RESPONSE or an ERROR: those are never answered), then nothing more is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from servers.contract import (
    CLOSING,
    MESSAGES,
    OPEN,
    PARTIAL,
    PROTOCOL_ERRORS,
    TRUNCATED,
    Kind,
    Octets,
    Step,
    StreamFactory,
    Tally,
)
from servers.wire._message import (
    ERROR,
    HEADER,
    HEADER_BYTES,
    KIND_OFFSET,
    MAGIC,
    REQUEST_START,
    RESPONSE,
    RESPONSE_START,
    START,
    encode,
    is_reply,
    judge,
)

if TYPE_CHECKING:
    from servers.config import ServerConfig

SUMMARY = "messages back to back in a byte stream"
KIND = Kind.STREAM


def factory(config: ServerConfig) -> StreamFactory:
    """Return what makes a connection's protocol."""
    max_payload = config.max_payload
    return lambda tally: TcpProtocol(tally, max_payload)


class TcpProtocol:
    """One connection's messages; see `servers.contract.StreamProtocol`."""

    __slots__ = ("_held", "_max_payload", "_needed", "_tally", "begun", "phase")

    def __init__(self, tally: Tally, max_payload: int = 1 << 20) -> None:
        self.phase = OPEN
        self.begun = False
        self._tally = tally
        self._max_payload = max_payload
        self._held = bytearray()
        self._needed = HEADER_BYTES

    def receive(self, data: Octets) -> Octets:
        """Return the replies of all requests that `data` completes."""
        if self.phase is OPEN and len(data) >= HEADER_BYTES:
            start, length = START.unpack_from(data)
            if start == REQUEST_START and length == len(data) - HEADER_BYTES and length <= self._max_payload:
                reply = bytearray(data)
                reply[KIND_OFFSET] = RESPONSE
                self._tally[MESSAGES] += 1
                return reply
        return self._receive_any(data)

    def steps(self, data: Octets) -> Iterator[Step]:
        """Yield the replies of `receive` one message at a time."""
        replies = memoryview(self.receive(data))
        while replies:
            start, length = START.unpack_from(replies)
            size = HEADER_BYTES + length
            yield Step(replies[:size], start == RESPONSE_START)
            replies = replies[size:]

    def receive_eof(self) -> Octets:
        """End the connection; an unfinished message is dropped and counted."""
        if self.phase is PARTIAL:
            self._tally[TRUNCATED] += 1
        self._end()
        return b""

    def drain(self) -> Octets:
        """End the connection because the server stops: TCP has no words for it."""
        return self.receive_eof()

    def _receive_any(self, data: Octets) -> Octets:
        if self.phase is CLOSING or not data:
            return b""
        self._held += data
        self.begun = self.phase is OPEN
        self.phase = PARTIAL
        return self._answer_held() if len(self._held) >= self._needed else b""

    def _answer_held(self) -> Octets:
        """Turn the whole messages in `_held` into replies, keep the rest."""
        held, at, answered = self._held, 0, 0
        self._needed = HEADER_BYTES
        refusal: bytes | None = None
        while len(held) - at >= HEADER_BYTES:
            start, length = START.unpack_from(held, at)
            if start != REQUEST_START or length > self._max_payload:
                refusal = self._refuse(at)
                break
            if len(held) - at < HEADER_BYTES + length:
                self._needed = HEADER_BYTES + length
                break
            held[at + KIND_OFFSET] = RESPONSE
            at += HEADER_BYTES + length
            answered += 1
        self._tally[MESSAGES] += answered
        if refusal is None:
            return self._take(at)
        replies = held[:at] + refusal
        self._end()
        return replies

    def _take(self, size: int) -> bytearray:
        """Cut the first `size` bytes off `_held`; what is copied is the rest, which is seldom more than a chunk."""
        taken, self._held = self._held, self._held[size:]
        self.begun = self.begun or size > 0
        if not self._held:
            self.phase = OPEN
        else:
            del taken[size:]
        return taken

    def _refuse(self, at: int) -> bytes:
        """Return the ERROR about the header at `at`, or nothing where none may be sent."""
        self._tally[PROTOCOL_ERRORS] += 1
        start, length = START.unpack_from(self._held, at)
        if is_reply(start):
            return b""
        magic, _, _, _, sequence = HEADER.unpack_from(self._held, at)
        reason = judge(start, length, self._max_payload) or ""
        return encode(ERROR, sequence if magic == MAGIC else 0, reason.encode("ascii"))

    def _end(self) -> None:
        self.phase = CLOSING
        self._held = bytearray()
