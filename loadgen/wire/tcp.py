"""The wire protocol over TCP as the client sees it: messages back to back, split and glued in every possible way.

What arrives is judged message by message. A RESPONSE of the right length with the payload that was sent is intact.
Another payload, another length, or a REQUEST (a server that echoes the bytes unchanged) is a message, but a wrong one.
A bad magic, version or kind, an ERROR, or a length that no server of this protocol would send is no message that can
be skipped: the bytes after it have no known beginning, so the wire is broken for good.

Only what belongs to an incomplete message is kept. Comparisons run on the buffer in place, without a copy of the
payload. A message that arrives alone and whole (nearly all do) is checked on the bytes as they were received.
"""

from __future__ import annotations

import socket

from loadgen.payload import Payloads
from loadgen.wire import Reply
from loadgen.wire._echo import MAX_FOREIGN_PAYLOAD_BYTES, EchoCodec, EchoWire
from servers.wire._message import HEADER_BYTES, START


class Codec(EchoCodec):
    """The codec of a run."""

    transport = "tcp"
    socket_type = socket.SOCK_STREAM
    ordered = True
    most_payload_bytes = MAX_FOREIGN_PAYLOAD_BYTES

    def __init__(self, payloads: Payloads | bytes, url: str = "") -> None:
        super().__init__(payloads, url)
        self.read_bytes = self.reply_bytes

    def connection(self, number: int) -> Wire:
        """Return the codec of the connection with this number."""
        return Wire(self, number)


class Wire(EchoWire):
    """The codec of one connection."""

    def __init__(self, codec: Codec, number: int) -> None:
        super().__init__(codec, number)
        self._rest = bytearray()  # the beginning of an incomplete message
        self._needed_bytes = HEADER_BYTES

    @property
    def partial(self) -> bool:
        """Whether the beginning of a message was received and its end was not."""
        return bool(self._rest)

    def replies(self, data: bytes) -> list[Reply]:
        """Return the messages completed by `data`, in order; what follows a broken one is dropped."""
        buffer: bytes | bytearray = data
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed_bytes:
                return []
            buffer, self._rest = self._rest, bytearray()
        found: list[Reply] = []
        at, self._needed_bytes = 0, HEADER_BYTES
        while len(buffer) - at >= HEADER_BYTES:
            self.broken = self._judge(buffer, at)
            if self.broken is not None:
                return found
            message_bytes = HEADER_BYTES + START.unpack_from(buffer, at)[1]
            if len(buffer) - at < message_bytes:
                self._needed_bytes = message_bytes
                break
            found.append(self._reply(buffer, at, at + message_bytes))
            at += message_bytes
        self._rest += buffer[at:]
        return found
