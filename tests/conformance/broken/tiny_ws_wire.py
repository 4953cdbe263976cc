"""The WebSocket protocol of a tiny correct server, bytes in, bytes out, written from RFC 6455 for itself.

A payload is unmasked as it arrives, so that text is judged before its frame is whole. A fault overrides one method.
"""

from __future__ import annotations

import codecs
from typing import ClassVar, NamedTuple

from tiny_wire import DatagramEcho, Echo
from tiny_ws_opening import Opening, Refused

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
PROTOCOL_ERROR, UNSUPPORTED, BAD_DATA, TOO_BIG, GOING_AWAY = 1002, 1003, 1007, 1009, 1001
HEADER_BYTES = 16


class Frame(NamedTuple):
    """The head of a frame."""

    is_last: bool
    reserved: int
    opcode: int
    is_masked: bool
    length: int
    mask: bytes


class Closed(Exception):  # noqa: N818 - what happened, and no error of the server's
    """The connection is closed with a code, for what the peer sent."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WsEcho(Echo):
    """One connection; `held` are bytes that have not been understood yet."""

    opening_class: ClassVar[type[Opening]] = Opening

    def __init__(self, max_payload: int) -> None:
        super().__init__(max_payload)
        self.opening = self.opening_class()
        self.is_open = False
        self.wire: DatagramEcho | None = None
        self.frame: Frame | None = None  # whose payload arrives
        self.arrived = bytearray()  # of that payload, without its mask
        self.message: bytearray | None = None  # of the fragments so far
        self.opcode = 0  # of the message
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def is_partial(self) -> bool:
        """Tell whether something has begun that has not ended."""
        return bool(self.held) or self.frame is not None or self.message is not None

    def receive(self, data: bytes) -> bytes:
        """Return what is said to some bytes."""
        self.held += data
        said = bytearray()
        try:
            while not self.closing and (step := self.step()) is not None:
                said += step
        except Refused as refused:
            self.protocol_errors += refused.status != 200
            self.closing = True
            said += self.opening.refusal(refused).encode()
        except Closed as closed:
            self.protocol_errors += 1
            self.closing = True
            said += self.close(closed.code.to_bytes(2, "big"))
        return bytes(said)

    def step(self) -> bytes | None:
        """Understand a little more of what is held and return what is said to it, None where bytes are missing."""
        if not self.is_open:
            return self.open()
        if self.frame is None:
            found = self.next_frame()
            if found is None:
                return None
            self.judge_frame(found)
            self.begin(found)
        return self.take_payload()

    def open(self) -> bytes | None:
        """Answer the opening handshake when it is whole."""
        self.opening.judge_size(bytes(self.held))
        head, end, rest = bytes(self.held).partition(b"\r\n\r\n")
        if not end:
            return None
        answer, selected = self.opening.answer(head.decode("latin-1"))
        self.held[:] = rest
        self.is_open = True
        self.wire = DatagramEcho(self.max_payload) if selected else None
        return answer.encode("latin-1")

    # Frames

    def next_frame(self) -> Frame | None:
        """Take the next head of a frame out of what is held."""
        held = self.held
        if len(held) < 2:
            return None
        is_masked, length, at = held[1] >= 0x80, held[1] & 0x7F, 2
        self.judge_frame(Frame(held[0] >= 0x80, held[0] >> 4 & 7, held[0] & 0xF, is_masked, min(length, 126), b""))
        if length > 125:
            at = 4 if length == 126 else 10
            length = int.from_bytes(held[2:at], "big") if len(held) >= at else 0
            if len(held) >= at:
                self.judge_form(at - 2, length)
                self.judge_length(held[0] & 0xF, length)
        end = at + (4 if is_masked else 0)
        if len(held) < end:
            return None
        found = Frame(held[0] >= 0x80, held[0] >> 4 & 7, held[0] & 0xF, is_masked, length, bytes(held[at:end]))
        del held[:end]
        return found

    def judge_frame(self, frame: Frame) -> None:
        """Raise Closed for a frame that may not be, as far as its first two bytes tell."""
        self.judge_reserved(frame)
        self.judge_opcode(frame)
        self.judge_mask(frame)
        if frame.opcode >= CLOSE:
            self.judge_control(frame)
        else:
            self.judge_order(frame)

    def judge_reserved(self, frame: Frame) -> None:
        """Raise Closed for reserved bits."""
        if frame.reserved:
            raise Closed(PROTOCOL_ERROR)

    def judge_opcode(self, frame: Frame) -> None:
        """Raise Closed for a reserved opcode."""
        if frame.opcode not in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}:
            raise Closed(PROTOCOL_ERROR)

    def judge_mask(self, frame: Frame) -> None:
        """Raise Closed for a frame without a mask."""
        if not frame.is_masked:
            raise Closed(PROTOCOL_ERROR)

    def judge_control(self, frame: Frame) -> None:
        """Raise Closed for a control frame that is long or a fragment."""
        if frame.length > 125 or not frame.is_last:
            raise Closed(PROTOCOL_ERROR)

    def judge_order(self, frame: Frame) -> None:
        """Raise Closed for a continuation of nothing or a new message inside another."""
        if (frame.opcode == CONTINUATION) != (self.message is not None):
            raise Closed(PROTOCOL_ERROR)
        if self.wire is not None and frame.opcode == TEXT:
            raise Closed(UNSUPPORTED)

    def judge_form(self, size: int, length: int) -> None:
        """Raise Closed for a length that a shorter form has room for, or that no form has."""
        if length >> 63 or length < (126 if size == 2 else 65_536):
            raise Closed(PROTOCOL_ERROR)

    def judge_length(self, opcode: int, length: int) -> None:
        """Raise Closed for a message that becomes too long."""
        if opcode < CLOSE and len(self.message or b"") + length > self.most_bytes():
            raise Closed(TOO_BIG)

    def most_bytes(self) -> int:
        """Return how long a message may be."""
        return self.max_payload + (HEADER_BYTES if self.wire else 0)

    def begin(self, frame: Frame) -> None:
        """Begin to take a frame's payload."""
        self.judge_length(frame.opcode, frame.length)
        self.frame = frame
        self.arrived = bytearray()
        if frame.opcode in {TEXT, BINARY}:
            self.message, self.opcode = bytearray(), frame.opcode
            self.decoder.reset()

    def take_payload(self) -> bytes | None:
        """Take what is there of a frame's payload; return what is said when it is whole."""
        frame = self.frame
        assert frame is not None
        piece = bytes(self.held[: frame.length - len(self.arrived)])
        del self.held[: len(piece)]
        piece = self.unmasked(piece, frame.mask, len(self.arrived))
        self.arrived += piece
        if frame.opcode < CLOSE and self.opcode == TEXT:
            self.judge_text(piece, is_end=frame.is_last and len(self.arrived) == frame.length)
        if len(self.arrived) < frame.length:
            return None
        self.frame = None
        payload, self.arrived = bytes(self.arrived), bytearray()
        return self.control(frame.opcode, payload) if frame.opcode >= CLOSE else self.data(frame, payload)

    def unmasked(self, piece: bytes, mask: bytes, offset: int) -> bytes:
        """Return a piece of a payload without its mask."""
        turned = mask[offset % 4 :] + mask[: offset % 4]
        whole = (turned * (len(piece) // 4 + 1))[: len(piece)]
        return (int.from_bytes(piece, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(piece), "big")

    def judge_text(self, piece: bytes, is_end: bool) -> None:
        """Raise Closed for text that is no UTF-8, as soon as that is certain."""
        try:
            self.decoder.decode(piece, is_end)
        except UnicodeDecodeError:
            raise Closed(BAD_DATA) from None
        # Python's decoder waits for all of a surrogate, as some error handlers let them pass.
        begun = self.decoder.getstate()[0]
        if begun[:1] == b"\xed" and begun[1:2] >= b"\xa0":
            raise Closed(BAD_DATA)

    # Messages

    def data(self, frame: Frame, payload: bytes) -> bytes:
        """Add a frame to its message and answer that when it is whole."""
        assert self.message is not None
        self.message += payload
        if not frame.is_last:
            return b""
        message, self.message = bytes(self.message), None
        return self.answer_message(self.opcode, message)

    def answer_message(self, opcode: int, message: bytes) -> bytes:
        """Return the reply to a message."""
        reply = self.answer_request(message) if self.wire is not None else message
        self.messages += 1
        return self.framed(opcode, reply)

    def answer_request(self, message: bytes) -> bytes:
        """Return the RESPONSE to a message that is a REQUEST; raises Closed."""
        assert self.wire is not None
        reply = self.wire.receive(message)
        if reply is None:
            raise Closed(PROTOCOL_ERROR)
        return reply

    def control(self, opcode: int, payload: bytes) -> bytes:
        """Return the reply to a control frame."""
        if opcode == PING:
            return self.pong(payload)
        return self.answer_close(payload) if opcode == CLOSE else self.ignore_pong(payload)

    def pong(self, payload: bytes) -> bytes:
        """Return the reply to a ping."""
        return self.framed(PONG, payload)

    def ignore_pong(self, _payload: bytes) -> bytes:
        """Return what is said to a pong, which is nothing."""
        return b""

    def answer_close(self, payload: bytes) -> bytes:
        """Return the reply to a close frame; raises Closed for one that may not be."""
        self.judge_close(payload)
        self.closing = True
        return self.close(payload[:2])

    def judge_close(self, payload: bytes) -> None:
        """Raise Closed for a close frame with half a code, a bad one, or a reason that is no text."""
        if len(payload) == 1 or (payload and not self.is_code(int.from_bytes(payload[:2], "big"))):
            raise Closed(PROTOCOL_ERROR)
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            raise Closed(BAD_DATA) from None

    def is_code(self, code: int) -> bool:
        """Tell whether a close frame may have a code."""
        return (1000 <= code <= 1014 and code not in {1004, 1005, 1006}) or 3000 <= code <= 4999

    def close(self, payload: bytes) -> bytes:
        """Return a close frame."""
        return self.framed(CLOSE, payload)

    def framed(self, opcode: int, payload: bytes) -> bytes:
        """Return a frame of a server."""
        length = len(payload)
        size = bytes([min(length, 126)]) if length < 65_536 else b"\x7f"
        more = b"" if length < 126 else length.to_bytes(2 if length < 65_536 else 8, "big")
        return bytes([0x80 | opcode]) + size + more + payload

    # Ends

    def forget(self) -> None:
        """Give back what has come of a message: the connection has ended."""
        self.held, self.arrived, self.message = bytearray(), bytearray(), None

    def receive_eof(self) -> bytes:
        """Return what is said when the peer has shut down its sending side."""
        self.truncated += not self.closing and self.is_partial()
        return b""

    def drain(self) -> bytes:
        """Return what is said when the server stops."""
        return self.close(GOING_AWAY.to_bytes(2, "big")) if self.is_open and not self.closing else b""
