"""Faults of the wire protocol: each class is an `Echo` that differs from the correct one by what its name says."""

from __future__ import annotations

import mmap

from tiny_wire import ERROR, HEADER, MAGIC, REQUEST, RESPONSE, VERSION, Echo


class LeavesTheKindUnchanged(Echo):
    def reply(self, sequence: int, payload: bytes) -> bytes:
        return HEADER.pack(MAGIC, VERSION, REQUEST, len(payload), sequence) + payload


class EndsPayloadsAtANull(Echo):
    def reply(self, sequence: int, payload: bytes) -> bytes:
        return super().reply(sequence, payload.split(b"\0")[0].ljust(len(payload), b" "))


class Keeps32BitsOfTheSequence(Echo):
    def reply(self, sequence: int, payload: bytes) -> bytes:
        return super().reply(sequence & 0xFFFF_FFFF, payload)


class NeedsAWholeHeaderAtOnce(Echo):
    def receive(self, data: bytes) -> bytes:
        return super().receive(data if self.held or len(data) >= HEADER.size else b"")


class NeedsAWholePayloadAtOnce(Echo):
    def receive(self, data: bytes) -> bytes:
        replies = super().receive(data)
        if len(self.held) > HEADER.size:
            self.held.clear()
        return replies


class AnswersOneMessageAChunk(Echo):
    def next_message(self) -> tuple[int, bytes] | None:
        message = super().next_message()
        if message is not None:
            self.held.clear()
        return message


class HasABufferOf64KiB(Echo):
    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        return super().judge(magic, version, kind, length) or ("too long" if length + HEADER.size > 65_536 else None)


class RefusesTheLongestPayload(Echo):
    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        return super().judge(magic, version, kind, length + 1)


class AcceptsOneByteTooMany(Echo):
    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        return super().judge(magic, version, kind, length - 1)


class AnswersTheNewestFirst(Echo):
    def receive(self, data: bytes) -> bytes:
        self.replies: list[bytes] = []
        super().receive(data)
        return b"".join(reversed(self.replies)) + self.farewell()

    def reply(self, sequence: int, payload: bytes) -> bytes:
        self.replies.append(super().reply(sequence, payload))
        return b""


class IgnoresTheLongestPayloadOption(Echo):
    def __init__(self, _max_payload: int) -> None:
        super().__init__(1 << 20)


class AnswersAPartAtTheEnd(Echo):
    def receive_eof(self) -> bytes:
        if len(self.held) < HEADER.size:
            return b""
        return self.reply(HEADER.unpack_from(self.held)[4], bytes(self.held[HEADER.size :]))


class JudgesHalfAHeader(Echo):
    def next_message(self) -> tuple[int, bytes] | None:
        if 8 <= len(self.held) < HEADER.size:
            whole = bytes(self.held).ljust(HEADER.size, b"\0")
            self.closing = self.judge(*HEADER.unpack(whole)[:4]) is not None
            if self.closing:
                self.held[:] = whole
                return None
        return super().next_message()


class AcceptsAnyMagic(Echo):
    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        return super().judge(MAGIC, version, kind, length)


class AcceptsAnyVersion(Echo):
    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        return super().judge(magic, VERSION, kind, length)


class AcceptsAnyOtherKind(Echo):
    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        return super().judge(magic, version, kind if kind in {RESPONSE, ERROR} else REQUEST, length)


class EndsWithoutAnError(Echo):
    def error(self, sequence: int, reason: str) -> bytes:
        return b""


class SendsTwoErrors(Echo):
    def error(self, sequence: int, reason: str) -> bytes:
        return 2 * super().error(sequence, reason)


class NamesAnotherSequenceInTheError(Echo):
    def error(self, sequence: int, reason: str) -> bytes:
        return super().error(sequence + 1, reason)


class NamesNoSequenceInTheError(Echo):
    def error(self, sequence: int, reason: str) -> bytes:
        return super().error(0, reason)


class GivesNoReason(Echo):
    def error(self, sequence: int, reason: str) -> bytes:
        return super().error(sequence, "")


class GivesALongReason(Echo):
    def error(self, sequence: int, reason: str) -> bytes:
        return super().error(sequence, 50 * reason)


class GivesAReasonWithALineEnd(Echo):
    def error(self, sequence: int, reason: str) -> bytes:
        return super().error(sequence, f"{reason}\n")


class GoesOnAfterAnError(Echo):
    def farewell(self) -> bytes:
        error = super().farewell()
        if self.closing:
            self.closing = False
            self.held.clear()
        return error


class ForgetsRepliesAtABadHeader(Echo):
    def receive(self, data: bytes) -> bytes:
        replies = super().receive(data)
        return replies[replies.rfind(HEADER.pack(MAGIC, VERSION, ERROR, 0, 0)[:4]) :] if self.closing else replies


class AnswersWhatIsBehindABadHeader(Echo):
    def receive(self, data: bytes) -> bytes:
        replies = super().receive(data)
        if not self.closing:
            return replies
        del self.held[: HEADER.size]
        self.closing = False
        replies += super().receive(b"")
        self.closing = True
        return replies


class AnswersResponses(Echo):
    def judge(self, magic: int, version: int, kind: int, length: int) -> str | None:
        return super().judge(magic, version, REQUEST if kind == RESPONSE else kind, length)


class SendsAnErrorToResponses(Echo):
    def farewell(self) -> bytes:
        return super().farewell() or (self.error(0, "no request") if self.closing else b"")


class _TakesRoom(Echo):
    def next_message(self) -> tuple[int, bytes] | None:
        message = super().next_message()
        if message is None and not self.closing and len(self.held) >= HEADER.size:
            self.room = self.room_of(HEADER.unpack_from(self.held)[3])
        return message

    def room_of(self, length: int) -> object:
        return b"x" * min(length, 1 << 26)  # written to, unlike zeros; enough to be found, no danger to the machine


class TakesMemoryForAnAnnouncedLength(_TakesRoom):
    pass


class MapsMemoryForAnAnnouncedLength(_TakesRoom):
    def room_of(self, length: int) -> object:
        return mmap.mmap(-1, length)


class CountsMessagesTwice(Echo):
    def reply(self, sequence: int, payload: bytes) -> bytes:
        self.messages += 1
        return super().reply(sequence, payload)


class CountsNoProtocolErrors(Echo):
    def farewell(self) -> bytes:
        error = super().farewell()
        self.protocol_errors = 0
        return error


class CountsNoForeignReplies(Echo):
    def farewell(self) -> bytes:
        error = super().farewell()
        self.protocol_errors = int(bool(error))
        return error
