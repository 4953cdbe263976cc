"""What requests and replies are on every transport that carries bare messages: heads, tails, and what is intact."""

from __future__ import annotations

from collections.abc import Callable

from loadgen.payload import Payloads
from loadgen.wire import COUNTER_BITS, COUNTER_BYTES, COUNTER_MASK, Handshake, Reply
from servers.wire._message import ERROR, HEADER, HEADER_BYTES, MAGIC, REQUEST, RESPONSE, START, VERSION

# A length beyond this is taken for garbage, not for a message to wait for.
MAX_FOREIGN_PAYLOAD_BYTES = 1 << 24
_COUNTER_AT = HEADER_BYTES - COUNTER_BYTES
_START = (MAGIC << 16) | (VERSION << 8)


MOST_QUOTED = 80


def quoted(text: str) -> str:
    """Return a server's words as a sentence may quote them: not too long, and with nothing in them but letters."""
    cut = text if len(text) <= MOST_QUOTED else text[:MOST_QUOTED] + "..."
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)


class EchoCodec:
    """The codec of a run. Where all payloads are equal, `tail` and the heads of a connection make a request."""

    has_path = False
    mask: Callable[[bytes, bytes], bytes] | None = None

    def __init__(self, payloads: Payloads | bytes, url: str = "") -> None:
        self.url = url
        self.payloads = payloads = Payloads((payloads,)) if isinstance(payloads, bytes) else payloads
        self.uniform = len(payloads.all) == 1
        self.request_bytes = self.reply_bytes = HEADER_BYTES + payloads.longest_bytes
        self._only_payload = payloads.all[0]

    def tail(self, counter: int) -> bytes:
        """Return the end of the request with this counter, of a uniform codec: the counter and the payload."""
        return counter.to_bytes(COUNTER_BYTES, "big") + self._only_payload

    def payload_of(self, counter: int) -> bytes:
        """Return the payload of the request with this counter."""
        return self._only_payload if self.uniform else self.payloads.of(counter.to_bytes(COUNTER_BYTES, "big"))

    def handshake(self) -> Handshake | None:
        """Return None: messages begin at once."""
        return None

    def reply_bytes_of(self, sequence: int) -> int:
        """Return the length of the reply with this sequence."""
        return HEADER_BYTES + len(self.payload_of(sequence & COUNTER_MASK))


class EchoWire:
    """The codec of one connection, but for what is received."""

    mask_key = b""
    closed = False

    def __init__(self, codec: EchoCodec, number: int) -> None:
        self._codec = codec
        self._sequence_base = number << COUNTER_BITS
        length = codec.payloads.longest_bytes
        self._most_bytes = max(MAX_FOREIGN_PAYLOAD_BYTES, length)
        self.request_head = HEADER.pack(MAGIC, VERSION, REQUEST, length, self._sequence_base)[:_COUNTER_AT]
        self.reply_head = HEADER.pack(MAGIC, VERSION, RESPONSE, length, self._sequence_base)[:_COUNTER_AT]
        self.broken: str | None = None
        self.owed = b""

    def request(self, counter: int) -> tuple[int, bytes]:
        """Return a request's sequence and its bytes."""
        sequence = self._sequence_base | counter
        if self._codec.uniform:
            return sequence, self.request_head + self._codec.tail(counter)
        payload = self._codec.payload_of(counter)
        return sequence, HEADER.pack(MAGIC, VERSION, REQUEST, len(payload), sequence) + payload

    def farewell(self) -> bytes:
        """Return nothing: connections are closed without a word."""
        return b""

    def sequence_of(self, reply: bytes) -> int:
        """Return the sequence in a message's header."""
        return int(HEADER.unpack_from(reply)[4])

    def _reply(self, data: bytes | bytearray, at: int, end: int) -> Reply:
        """Return what the message from `at` to `end` is."""
        magic, version, kind, length, sequence = HEADER.unpack_from(data, at)
        payload = self._codec.payload_of(sequence & COUNTER_MASK)
        right = (magic, version, kind, length) == (MAGIC, VERSION, RESPONSE, len(payload))
        whole = end - at == HEADER_BYTES + length
        return Reply(sequence, right and whole and data.startswith(payload, at + HEADER_BYTES))

    def _judge(self, data: bytes | bytearray, at: int) -> str | None:
        """Return why the bytes there are the beginning of no message, None where they are."""
        start, length = START.unpack_from(data, at)
        if start == _START | ERROR:
            reason = data[at + HEADER_BYTES : at + HEADER_BYTES + min(length, 80)]
            return f"the server sent ERROR: {quoted(reason.decode('ascii', 'replace'))}"
        if start not in (_START | REQUEST, _START | RESPONSE):
            return f"the server sent bytes that are no message: {data[at : at + HEADER_BYTES].hex()}"
        if length > self._most_bytes:
            return f"the server sent a message of {length} bytes"
        return None
