"""The wire protocol of the tiny server: bytes in, bytes out. Written from the wire's description, for itself."""

from __future__ import annotations

from struct import Struct

HEADER = Struct(">HBBIQ")
MAGIC, VERSION = 0xEB01, 1
REQUEST, RESPONSE, ERROR = 1, 2, 3


class DatagramEcho:
    """The messages of a datagram socket. A fault is a subclass that overrides one method."""

    def __init__(self, max_payload: int) -> None:
        self.max_payload = max_payload
        self.messages = 0
        self.protocol_errors = 0

    def receive(self, datagram: bytes) -> bytes | None:
        """Return the reply to a datagram, None when it is dropped."""
        if not self.is_request(datagram):
            return self.drop(datagram)
        self.messages += 1
        return self.reply(HEADER.unpack_from(datagram)[4], datagram[HEADER.size :])

    def is_request(self, datagram: bytes) -> bool:
        """Tell whether a datagram is one whole request."""
        if len(datagram) < HEADER.size:
            return False
        magic, version, kind, length, _ = HEADER.unpack_from(datagram)
        return self.is_good(magic, version, kind) and self.fits(length, len(datagram) - HEADER.size)

    def is_good(self, magic: int, version: int, kind: int) -> bool:
        """Tell whether a header begins as that of a request."""
        return (magic, version, kind) == (MAGIC, VERSION, REQUEST)

    def fits(self, length: int, found: int) -> bool:
        """Tell whether a payload is as long as its header says, and not longer than may be."""
        return length == found <= self.max_payload

    def drop(self, _datagram: bytes) -> bytes | None:
        """Count a datagram that is not answered."""
        self.protocol_errors += 1
        return None

    def reply(self, sequence: int, payload: bytes) -> bytes:
        """Return the RESPONSE."""
        return HEADER.pack(MAGIC, VERSION, RESPONSE, len(payload), sequence) + payload


class Echo:
    """One connection's messages. A fault is a subclass that overrides one method."""

    def __init__(self, max_payload: int) -> None:
        self.max_payload = max_payload
        self.held = bytearray()
        self.closing = False
        self.messages = 0
        self.protocol_errors = 0
        self.truncated = 0

    def is_partial(self) -> bool:
        """Tell whether a message has begun that has not ended."""
        return bool(self.held)

    def receive(self, data: bytes) -> bytes:
        """Return the replies to all requests that the data completes, and the ERROR to what is none."""
        self.held += data
        replies = []
        while not self.closing and (message := self.next_message()) is not None:
            sequence, payload = message
            self.messages += 1
            replies.append(self.reply(sequence, payload))
        return b"".join(replies) + self.farewell()

    def next_message(self) -> tuple[int, bytes] | None:
        """Take the next whole request out of what is held; a bad header sets `closing`."""
        if len(self.held) < HEADER.size:
            return None
        magic, version, kind, length, _ = HEADER.unpack_from(self.held)
        if self.judge(magic, version, kind, length) is not None:
            self.closing = True
            return None
        end = HEADER.size + length
        if len(self.held) < end:
            return None
        sequence, payload = HEADER.unpack_from(self.held)[4], bytes(self.held[HEADER.size : end])
        del self.held[:end]
        return sequence, payload

    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        """Return why a header is refused, None when it is not."""
        if magic != MAGIC:
            return "bad magic"
        if version != VERSION:
            return "bad version"
        if kind != REQUEST:
            return "bad kind"
        return "too long" if length > self.max_payload else None

    def reply(self, sequence: int, payload: bytes) -> bytes:
        """Return the RESPONSE."""
        return HEADER.pack(MAGIC, VERSION, RESPONSE, len(payload), sequence) + payload

    def farewell(self) -> bytes:
        """Return the ERROR about what is held, if there is reason for one."""
        if not self.closing:
            return b""
        magic, version, kind, length, sequence = HEADER.unpack_from(self.held)
        self.protocol_errors += 1
        if magic == MAGIC and version == VERSION and kind in {RESPONSE, ERROR}:
            return b""
        return self.error(sequence, self.judge(magic, version, kind, length) or "")

    def error(self, sequence: int, reason: str) -> bytes:
        """Return an ERROR."""
        return HEADER.pack(MAGIC, VERSION, ERROR, len(reason), sequence) + reason.encode()

    def receive_eof(self) -> bytes:
        """Return what is said when the peer has shut down its sending side."""
        self.truncated += self.is_partial()
        return b""

    def forget(self) -> None:
        """Give back what has come of a message: the connection has ended."""
        self.held = bytearray()

    def drain(self) -> bytes:
        """Return what is said when the server stops."""
        return b""
