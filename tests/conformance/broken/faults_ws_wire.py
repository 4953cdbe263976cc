"""Faults in the frames of WebSocket: each class is a `WsEcho` that does other than it should what its name says."""

from __future__ import annotations

from tiny_ws_wire import (
    BAD_DATA,
    BINARY,
    CLOSE,
    CONTINUATION,
    PONG,
    TEXT,
    TOO_BIG,
    UNSUPPORTED,
    Closed,
    Frame,
    WsEcho,
)

# Frames


class WritesLengthsUpTo127InOneByte(WsEcho):
    def framed(self, opcode: int, payload: bytes) -> bytes:
        if 126 <= len(payload) <= 127:
            return bytes([0x80 | opcode, len(payload)]) + payload
        return super().framed(opcode, payload)


class EchoesTextAsBinary(WsEcho):
    def answer_message(self, opcode: int, message: bytes) -> bytes:
        return super().answer_message(BINARY, message)


class NeedsAWholeFrameAtOnce(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        if self.is_open:
            self.held.clear()
        return said


class UnmasksEachPieceFromTheStart(WsEcho):
    def unmasked(self, piece: bytes, mask: bytes, offset: int) -> bytes:
        return super().unmasked(piece, mask, 0)


class AnswersNoPings(WsEcho):
    def pong(self, payload: bytes) -> bytes:
        return b""


class AnswersPingsWithoutTheirBytes(WsEcho):
    def pong(self, payload: bytes) -> bytes:
        return super().pong(b"")


class AnswersPingsLast(WsEcho):
    def receive(self, data: bytes) -> bytes:
        self.pongs: list[bytes] = []
        return super().receive(data) + b"".join(self.pongs)

    def pong(self, payload: bytes) -> bytes:
        self.pongs.append(super().pong(payload))
        return b""


class AnswersPongs(WsEcho):
    def ignore_pong(self, payload: bytes) -> bytes:
        return self.framed(PONG, payload)


class IgnoresReservedBits(WsEcho):
    def judge_reserved(self, frame: Frame) -> None:
        pass


class TakesTheBitOfCompression(WsEcho):
    def judge_reserved(self, frame: Frame) -> None:
        if frame.reserved != 4:
            super().judge_reserved(frame)


class AnswersReservedOpcodes(WsEcho):
    def judge_opcode(self, frame: Frame) -> None:
        pass

    def next_frame(self) -> Frame | None:
        found = super().next_frame()
        if found is not None and 3 <= found.opcode < CLOSE:
            return found._replace(opcode=BINARY)
        return found


class IgnoresReservedControlFrames(WsEcho):
    def judge_opcode(self, frame: Frame) -> None:
        if frame.opcode < CLOSE:
            super().judge_opcode(frame)


class TakesLongControlFrames(WsEcho):
    def judge_control(self, frame: Frame) -> None:
        super().judge_control(frame._replace(length=0))


class TakesFragmentsOfControlFrames(WsEcho):
    def judge_control(self, frame: Frame) -> None:
        super().judge_control(frame._replace(is_last=True))


class TakesFramesWithoutAMask(WsEcho):
    def judge_mask(self, frame: Frame) -> None:
        pass

    def unmasked(self, piece: bytes, mask: bytes, offset: int) -> bytes:
        return super().unmasked(piece, mask or bytes(4), offset)


# Heads


class JudgesFramesWhenTheyAreWhole(WsEcho):
    def judge_frame(self, frame: Frame) -> None:
        if self.frame is not None:
            super().judge_frame(frame)

    def take_payload(self) -> bytes | None:
        if self.frame is not None and len(self.arrived) + len(self.held) >= self.frame.length:
            self.judge_frame(self.frame)
        return super().take_payload()


class JudgesFramesBehindTheirMask(WsEcho):
    def judge_frame(self, frame: Frame) -> None:
        if frame.mask or not frame.is_masked:
            super().judge_frame(frame)


class JudgesLengthsFirst(WsEcho):
    def judge_frame(self, frame: Frame) -> None:
        if frame.length < 126 or frame.mask:
            super().judge_frame(frame)


class RefusesTextAtItsEnd(WsEcho):
    def judge_order(self, frame: Frame) -> None:
        wire, self.wire = self.wire, None
        try:
            super().judge_order(frame)
        finally:
            self.wire = wire

    def answer_request(self, message: bytes) -> bytes:
        if self.opcode == TEXT:
            raise Closed(UNSUPPORTED)
        return super().answer_request(message)


class TakesLengthsInAnyForm(WsEcho):
    def judge_form(self, size: int, length: int) -> None:
        super().judge_form(size, max(length, 65_536))


class TakesLengthsWithTheirTopBit(WsEcho):
    def judge_form(self, size: int, length: int) -> None:
        super().judge_form(size, min(length, 1 << 62))


class LimitsPingsToTheRoomOfAMessage(WsEcho):
    def judge_length(self, opcode: int, length: int) -> None:
        super().judge_length(CONTINUATION, length)


# Fragments


class AnswersEachFragment(WsEcho):
    def data(self, frame: Frame, payload: bytes) -> bytes:
        if frame.is_last:
            return super().data(frame, payload)
        return self.answer_message(self.opcode, payload)


class ForgetsFragmentsBetweenReads(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        if self.message is not None:
            self.message.clear()
        return said


class TakesAHundredFragments(WsEcho):
    count = 0

    def data(self, frame: Frame, payload: bytes) -> bytes:
        self.count = 0 if frame.is_last else self.count + 1
        if self.count > 100:
            raise Closed(TOO_BIG)
        return super().data(frame, payload)


class AnswersPingsAfterTheMessage(WsEcho):
    pongs = b""

    def pong(self, payload: bytes) -> bytes:
        pong = super().pong(payload)
        if self.message is None:
            return pong
        self.pongs += pong
        return b""

    def data(self, frame: Frame, payload: bytes) -> bytes:
        said = super().data(frame, payload)
        if frame.is_last:
            said, self.pongs = self.pongs + said, b""
        return said


class TakesAContinuationOfNothing(WsEcho):
    def judge_order(self, frame: Frame) -> None:
        if frame.opcode == CONTINUATION and self.message is None:
            self.message, self.opcode = bytearray(), TEXT
        super().judge_order(frame)


class TakesAMessageInsideAnother(WsEcho):
    def judge_order(self, frame: Frame) -> None:
        if frame.opcode == CONTINUATION:
            super().judge_order(frame)


# Text


class RefusesNoncharacters(WsEcho):
    def judge_text(self, piece: bytes, is_end: bool) -> None:
        super().judge_text(piece, is_end)
        if b"\xef\xbf\xbf" in piece:
            raise Closed(BAD_DATA)


class ChecksNoText(WsEcho):
    def judge_text(self, piece: bytes, is_end: bool) -> None:
        pass


class TakesSurrogates(WsEcho):
    def judge_text(self, piece: bytes, is_end: bool) -> None:
        super().judge_text(piece.replace(b"\xed\xa0\x80", b"\xee\x80\x80"), is_end)


class ChecksEachFragmentAlone(WsEcho):
    def begin(self, frame: Frame) -> None:
        super().begin(frame)
        self.decoder.reset()


class TakesTextThatEndsInsideACharacter(WsEcho):
    def judge_text(self, piece: bytes, is_end: bool) -> None:
        super().judge_text(piece, False)


class ChecksTextAtTheEndOfItsMessage(WsEcho):
    def judge_text(self, piece: bytes, is_end: bool) -> None:
        if is_end:
            whole = bytes(self.message or b"") + bytes(self.arrived)
            super().judge_text(whole, is_end)


class ChecksTextFrameByFrame(WsEcho):
    def judge_text(self, piece: bytes, is_end: bool) -> None:
        if self.frame is not None and len(self.arrived) == self.frame.length:
            super().judge_text(bytes(self.arrived), is_end)


class ChecksBinaryLikeText(WsEcho):
    def answer_message(self, opcode: int, message: bytes) -> bytes:
        self.decoder.reset()
        self.judge_text(message, is_end=True)
        return super().answer_message(opcode, message)
