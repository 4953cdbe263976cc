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

from websockets.frames import Opcode, apply_mask  # type: ignore[attr-defined]  # in C where it is built

_HEAD_BYTES = 2
_EXTENDED_FROM = 126  # lengths that the head can't hold


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
        """Tell whether the frame whose head was read carries text; what comes out of turn is refused as that."""
        opcode = self._head[0] & 0x0F
        if opcode == Opcode.CONT:
            return self.message is Opcode.TEXT
        return opcode == Opcode.TEXT and self.message is None

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
