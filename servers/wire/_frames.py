"""Reading WebSocket frames with the `websockets` package, and checking text before a frame is whole.

`Frame.parse` of the package is a generator that asks for bytes by a function that it is handed. It knows the format,
unmasks, and refuses what is no frame. It hands over whole frames only, but text that is no UTF-8 is to be refused as
soon as that is certain, and a frame may be as long as a message. So what it is handed for connections that carry text
looks at a text frame's payload on its way. It knows where it stands by the order in which a frame is asked for: two
bytes of head, the length's extension if there is one, the mask, the payload.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator

from websockets.exceptions import ProtocolError
from websockets.frames import Opcode, apply_mask  # type: ignore[attr-defined]  # in C where it is built

HEAD_BYTES = 2
MOST_CONTROL_BYTES = 125
CONTROL_BIT = 0x08
_FINAL, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_EXTENDED_FROM = 126  # lengths that the head can't hold: 126 says that two bytes follow, 127 that eight do
_KNOWN = frozenset(Opcode)


Reader = Callable[[int], Generator[None, None, bytearray]]


def reader_of(buffer: bytearray) -> Reader:
    """Return what takes a number of bytes out of the buffer, which grows between two steps."""

    def read_exact(size: int) -> Generator[None, None, bytearray]:
        while len(buffer) < size:
            yield
        taken = buffer[:size]
        del buffer[:size]
        return taken

    return read_exact


def is_masked_and_short(second: int) -> bool:
    """Tell whether the second byte of a frame says that it is masked and has no extended length."""
    return _MASKED <= second < _MASKED + _EXTENDED_FROM


def judge_head(buffer: bytearray, begun: Opcode | None) -> Generator[None, None, None]:
    """Look at the frame that begins in the buffer, of which two bytes are there, and leave it where it is.

    The package finds the same faults when a frame is whole; what can't become right need not be waited for. `begun` is
    what the message is that has begun in frames before. Raises ProtocolError.
    """
    first, second = buffer[:HEAD_BYTES]
    opcode, length = first & 0x0F, second & ~_MASKED
    if first & _RESERVED:
        raise ProtocolError("a reserved bit is set")
    if opcode not in _KNOWN:
        raise ProtocolError(f"opcode {opcode} is reserved")
    if not second & _MASKED:
        raise ProtocolError("a client's frame must be masked")
    if opcode & CONTROL_BIT:
        if length > MOST_CONTROL_BYTES or not first & _FINAL:
            raise ProtocolError("a control frame that is too long or in fragments")
    elif (opcode == Opcode.CONT) is (begun is None):
        raise ProtocolError("a continuation of nothing" if begun is None else "a message inside a message")
    if length >= _EXTENDED_FROM:
        yield from _judge_length(buffer, 2 if length == _EXTENDED_FROM else 8)


def _judge_length(buffer: bytearray, size: int) -> Generator[None, None, None]:
    while len(buffer) < HEAD_BYTES + size:
        yield
    length = int.from_bytes(buffer[HEAD_BYTES : HEAD_BYTES + size], "big")
    if length >> 63 or length < (_EXTENDED_FROM if size == 2 else 1 << 16):
        raise ProtocolError("a length that is written wrongly")


class TextReader:
    """Reads frames out of a buffer and checks the text in them as it arrives.

    `read_exact` raises UnicodeDecodeError as soon as a text message can't become UTF-8 any more, `end_of_text` where
    it has ended inside a character.
    """

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = buffer
        self._read = reader_of(buffer)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._head = bytearray()
        self._mask = b""
        self._extended = False
        self.message: Opcode | None = None  # what the message is that has begun in frames before, None where none has

    def read_exact(self, size: int) -> Generator[None, None, bytearray]:
        """Take `size` bytes out of the buffer: the next part of a frame."""
        if self._mask:
            if self._is_text():
                yield from self._check(size)
            self._head, self._mask = bytearray(), b""
            return (yield from self._read(size))
        part = yield from self._read(size)
        if not self._head:
            self._head, self._extended = part, part[1] & 0x7F >= _EXTENDED_FROM
        elif self._extended:
            self._extended = False
        else:
            self._mask = bytes(part)
        return part

    def _refuse_surrogate(self) -> None:
        """Refuse half a surrogate, of which Python's decoder waits for the other half."""
        begun = self._decoder.getstate()[0]
        if begun[:1] == b"\xed" and begun[1:2] >= b"\xa0":
            raise UnicodeDecodeError("utf-8", begun, 0, len(begun), "a surrogate")

    def end_of_text(self) -> None:
        """Check that the text that has ended did not end inside a character, and forget it."""
        self._decoder.decode(b"", final=True)

    def _is_text(self) -> bool:
        """Tell whether the frame whose head was read carries text."""
        opcode = self._head[0] & 0x0F
        return opcode == Opcode.TEXT or (opcode == Opcode.CONT and self.message is Opcode.TEXT)

    def _check(self, size: int) -> Generator[None, None, None]:
        """Decode a payload of `size` bytes while it arrives, and leave it where it is."""
        checked = 0
        while checked < size:
            arrived = min(len(self._buffer), size)
            turn = checked % len(self._mask)
            mask = self._mask[turn:] + self._mask[:turn]
            self._decoder.decode(apply_mask(self._buffer[checked:arrived], mask))
            self._refuse_surrogate()
            checked = arrived
            if checked < size:
                yield
