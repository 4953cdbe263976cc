"""The wire protocol over WebSocket (RFC 6455) as the client sees it: one message is one binary message.

What is sent. A request is one masked frame. The key is random and fresh for every connection, not for every frame: the
rule protects proxies from bytes that a page chose and a client sent as they are, and what goes out here was chosen by
this program. So what a request of a connection begins with is always the same (frame header, key, the masked beginning
of the message) and made once. Its tail, the counter and the payload, begins at byte 11 of the message: there the key
has come to its fourth byte, and so the key for a tail is the key turned by three.

What comes back is taken apart as the rules say, however it is split and glued: lengths of 7, 16 and 64 bits, messages
in fragments with control frames between them. Pings are answered (of many that come at once the last ones, which the
RFC allows: a server that pings and does not read must not fill the memory), pongs are ignored. A close frame that says
1000, 1001 or nothing ends the connection as an end of file does; any other names a mistake, and the wire is broken. So
it is after text, masked frames, reserved bits, unknown opcodes and everything else that is no WebSocket. Whatever a
frame's header already gives away is judged before its payload arrives. Messages are judged as over TCP (`_echo`).

Leave is taken with a close frame: the server's own code is given back, 1002 is said to one that broke the rules, and
1000 otherwise.
"""

from __future__ import annotations

import os
import socket
import struct
from functools import cached_property

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Opcode

from loadgen.payload import Payloads
from loadgen.wire import COUNTER_BYTES, Reply
from loadgen.wire._echo import MAX_FOREIGN_PAYLOAD_BYTES, EchoCodec, EchoWire, quoted
from loadgen.wire._handshake import Opening, OpeningHandshake
from servers.wire._message import HEADER_BYTES

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without a compiler
    from websockets.utils import apply_mask

KEY_BYTES = 4
MOST_OWED_BYTES = 4096
_FINAL, _MASKED = 0x80, 0x80
_WHOLE_MESSAGE = _FINAL | Opcode.BINARY
_TURN = (HEADER_BYTES - COUNTER_BYTES) % KEY_BYTES
_LENGTH_16, _LENGTH_64 = struct.Struct("!H"), struct.Struct("!Q")
_MOST_CONTROL_BYTES = 125
_KNOWN = frozenset(Opcode)
_AS_AN_END_OF_FILE = frozenset({CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD})


def frame_head(first: int, length: int, masked: int = 0) -> bytes:
    """Return a frame's header but for the key, with the shortest form of the length as the RFC wants it."""
    if length < 126:
        return bytes([first, masked | length])
    if length < 1 << 16:
        return bytes([first, masked | 126]) + _LENGTH_16.pack(length)
    return bytes([first, masked | 127]) + _LENGTH_64.pack(length)


class Codec(EchoCodec):
    """The codec of a run."""

    transport = "ws"
    socket_type = socket.SOCK_STREAM
    ordered = True
    has_path = True
    most_payload_bytes = MAX_FOREIGN_PAYLOAD_BYTES

    def __init__(self, payloads: Payloads | bytes, url: str = "") -> None:
        super().__init__(payloads, url)
        self.mask = apply_mask
        longest_bytes = self.reply_bytes
        self.reply_bytes = self.read_bytes = longest_bytes + len(frame_head(_WHOLE_MESSAGE, longest_bytes))
        self.request_bytes = self.reply_bytes + KEY_BYTES

    def reply_bytes_of(self, sequence: int) -> int:
        """Return the length of the reply with this sequence, with its frame."""
        message_bytes = super().reply_bytes_of(sequence)
        return len(frame_head(_WHOLE_MESSAGE, message_bytes)) + message_bytes

    def handshake(self) -> OpeningHandshake:
        """Return the opening handshake of a new connection."""
        return self._opening.begin()

    @cached_property
    def _opening(self) -> Opening:
        return Opening(self.url)

    def connection(self, number: int) -> Wire:
        """Return the codec of the connection with this number."""
        return Wire(self, number)


class Wire(EchoWire):
    """The codec of one connection."""

    def __init__(self, codec: Codec, number: int) -> None:
        super().__init__(codec, number)
        self._key = os.urandom(KEY_BYTES)
        self.mask_key = self._key[_TURN:] + self._key[:_TURN]
        length = HEADER_BYTES + codec.payloads.longest_bytes
        self._reply_frame = frame_head(_WHOLE_MESSAGE, length)
        self.request_head = frame_head(_WHOLE_MESSAGE, length, _MASKED) + self._key + self._masked(self.request_head)
        self.reply_head = self._reply_frame + self.reply_head
        self.closed = False
        self._said: bytes | None = None  # the payload of the server's close frame
        self._rest = bytearray()  # the beginning of an incomplete frame
        self._needed_bytes = 2
        self._fragments: bytearray | None = None  # of an incomplete message

    # What is sent.

    def request(self, counter: int) -> tuple[int, bytes]:
        """Return a request's sequence and its frame."""
        if self._codec.uniform:
            tail = apply_mask(self._codec.tail(counter), self.mask_key)
            return self._sequence_base | counter, self.request_head + tail
        sequence, message = super().request(counter)
        return sequence, self._frame(Opcode.BINARY, message)

    def farewell(self) -> bytes:
        """Return the close frame: the server's own code, or what there is to say."""
        if self._said is not None:
            return self._frame(Opcode.CLOSE, self._said[:2])
        code = CloseCode.NORMAL_CLOSURE if self.broken is None else CloseCode.PROTOCOL_ERROR
        return self._frame(Opcode.CLOSE, _LENGTH_16.pack(code))

    def _frame(self, opcode: int, data: bytes) -> bytes:
        return frame_head(_FINAL | opcode, len(data), _MASKED) + self._key + self._masked(data)

    def _masked(self, data: bytes) -> bytes:
        return apply_mask(data, self._key)

    def sequence_of(self, reply: bytes) -> int:
        """Return the sequence in a reply's message."""
        return super().sequence_of(reply[len(self._reply_frame) :])

    # What is received.

    @property
    def partial(self) -> bool:
        """Whether the beginning of a frame or of a message was received and its end was not."""
        return bool(self._rest) or self._fragments is not None

    def replies(self, data: bytes) -> list[Reply]:
        """Return the messages completed by `data`, in order; what follows a mistake or a close frame is dropped."""
        buffer: bytes | bytearray = data
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed_bytes:
                return []
            buffer, self._rest = self._rest, bytearray()
        found: list[Reply] = []
        at, end = 0, len(buffer)
        while at < end and not self.closed and self.broken is None:
            begins, frame_ends = self._span(buffer, at, end)
            if frame_ends > end:
                self._needed_bytes = frame_ends - at
                self._rest += buffer[at:]
                break
            if begins:
                self._take(buffer, at, begins, frame_ends, found)
            at = frame_ends
        return found

    def _span(self, data: bytes | bytearray, at: int, end: int) -> tuple[int, int]:
        """Return where a frame's payload begins and ends; of an incomplete header, where that ends at least.

        The header is judged. Where it is wrong, `broken` is set and there is no payload: 0 and 0.
        """
        begins = at + 2
        if end < begins:
            return begins, begins
        size = data[at + 1]
        if size >= 126:
            if size >= _MASKED:
                self.broken = "the server sent a masked frame"
                return 0, 0
            length = _LENGTH_16 if size == 126 else _LENGTH_64
            begins += length.size
            if end < begins:
                return begins, begins
            (size,) = length.unpack_from(data, at + 2)
        if data[at] != _WHOLE_MESSAGE or self._fragments is not None or size > self._most_bytes:
            self.broken = self._mistake(data[at], size)
        return (begins, begins + size) if self.broken is None else (0, 0)

    def _mistake(self, first: int, size: int) -> str | None:
        """Return what is wrong with a frame that begins with this byte and has this length, None if nothing is."""
        final, opcode = first & _FINAL, first & 0x0F
        mistake = None
        if first & 0x70:
            mistake = "a frame with reserved bits"
        elif opcode not in _KNOWN:
            mistake = f"a frame of the unknown kind {opcode}"
        elif opcode >= Opcode.CLOSE:
            if not final or size > _MOST_CONTROL_BYTES:
                mistake = "a control frame that is too long or in fragments"
        elif opcode == Opcode.TEXT:
            mistake = "text where there are binary messages only"
        elif (opcode == Opcode.CONT) != (self._fragments is not None):
            mistake = "the fragments of two messages at once" if opcode else "the continuation of no message"
        elif (message_bytes := size + len(self._fragments or b"")) > HEADER_BYTES + self._most_bytes:
            mistake = f"a message of {message_bytes} bytes"
        return mistake and f"the server sent {mistake}"

    def _take(self, data: bytes | bytearray, at: int, begins: int, ends: int, found: list[Reply]) -> None:
        """Take a whole frame that was judged."""
        first = data[at]
        if first & 0x08:
            self._take_control(first & 0x0F, bytes(data[begins:ends]))
        elif first & _FINAL and self._fragments is None:
            self._take_message(data, begins, ends, found)
        else:
            self._fragments = self._fragments or bytearray()
            self._fragments += data[begins:ends]
            if first & _FINAL:
                message, self._fragments = self._fragments, None
                self._take_message(message, 0, len(message), found)

    def _take_message(self, data: bytes | bytearray, at: int, ends: int, found: list[Reply]) -> None:
        if ends - at < HEADER_BYTES:
            self.broken = f"the server sent bytes that are no message: {data[at:ends].hex()}"
        else:
            self.broken = self._judge(data, at)
        if self.broken is None:
            found.append(self._reply(data, at, ends))

    def _take_control(self, opcode: int, data: bytes) -> None:
        if opcode == Opcode.PING:
            pong = self._frame(Opcode.PONG, data)
            self.owed = self.owed + pong if len(self.owed) + len(pong) <= MOST_OWED_BYTES else pong
        elif opcode == Opcode.CLOSE:
            self._take_close(data)

    def _take_close(self, data: bytes) -> None:
        try:
            close = Close.parse(data)
        except (ProtocolError, UnicodeDecodeError):
            self.broken = f"the server sent a close frame that makes no sense: {data.hex()}"
            return
        self._said = data
        if close.code in _AS_AN_END_OF_FILE:
            self.closed = True
        else:
            self.broken = f"the server closed the connection: {quoted(str(close))}"
