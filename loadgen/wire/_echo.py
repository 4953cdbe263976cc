"""What requests and replies are on every transport that carries bare messages: heads, tails, and what is intact."""

from __future__ import annotations

from loadgen.wire import COUNTER_BITS, COUNTER_BYTES, Reply
from servers.wire._message import HEADER, HEADER_BYTES, MAGIC, REQUEST, RESPONSE, VERSION


class EchoCodec:
    """The codec of a run: requests with one payload."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.request_bytes = self.reply_bytes = HEADER_BYTES + len(payload)

    def tail(self, counter: int) -> bytes:
        """Return the end of the request with this counter: the counter and the payload."""
        return counter.to_bytes(COUNTER_BYTES, "big") + self.payload


class EchoWire:
    """The codec of one connection, but for what is received."""

    def __init__(self, codec: EchoCodec, number: int) -> None:
        self._codec = codec
        self._sequence_base = number << COUNTER_BITS
        counter_at = HEADER_BYTES - COUNTER_BYTES
        length = len(codec.payload)
        self.request_head = HEADER.pack(MAGIC, VERSION, REQUEST, length, self._sequence_base)[:counter_at]
        self.reply_head = HEADER.pack(MAGIC, VERSION, RESPONSE, length, self._sequence_base)[:counter_at]
        self.broken: str | None = None

    def request(self, counter: int) -> tuple[int, bytes]:
        """Return a request's sequence and its bytes."""
        return self._sequence_base | counter, self.request_head + self._codec.tail(counter)

    def sequence_of(self, reply: bytes) -> int:
        """Return the sequence in a message's header."""
        return int(HEADER.unpack_from(reply)[4])

    def _reply(self, data: bytes | bytearray, at: int, end: int) -> Reply:
        """Return what the message from `at` to `end` is."""
        magic, version, kind, length, sequence = HEADER.unpack_from(data, at)
        payload = self._codec.payload
        right = (magic, version, kind, length) == (MAGIC, VERSION, RESPONSE, len(payload))
        whole = end - at == HEADER_BYTES + length
        return Reply(sequence, right and whole and data.startswith(payload, at + HEADER_BYTES))
