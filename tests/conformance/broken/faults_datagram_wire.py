"""Faults of the wire over UDP: each class is a `DatagramEcho` that differs from the correct one by its name."""

from __future__ import annotations

from tiny_wire import ERROR, HEADER, MAGIC, REQUEST, RESPONSE, VERSION, DatagramEcho


class LeavesTheKindOfDatagramsUnchanged(DatagramEcho):
    def reply(self, sequence: int, payload: bytes) -> bytes:
        return HEADER.pack(MAGIC, VERSION, REQUEST, len(payload), sequence) + payload


class Keeps32BitsOfADatagramsSequence(DatagramEcho):
    def reply(self, sequence: int, payload: bytes) -> bytes:
        return super().reply(sequence & 0xFFFF_FFFF, payload)


class HasRoomForAnEthernetFrame(DatagramEcho):
    def is_request(self, datagram: bytes) -> bool:
        return super().is_request(datagram) and len(datagram) <= 1_472


class RefusesTheLongestDatagram(DatagramEcho):
    def is_request(self, datagram: bytes) -> bool:
        return super().is_request(datagram) and len(datagram) < 65_507


class AnswersGarbageWithAnError(DatagramEcho):
    def drop(self, datagram: bytes) -> bytes | None:
        super().drop(datagram)
        return HEADER.pack(MAGIC, VERSION, ERROR, 3, 0) + b"bad"


class AnswersAShortDatagram(DatagramEcho):
    def receive(self, datagram: bytes) -> bytes | None:
        return super().receive(datagram) or (b"?" if len(datagram) < HEADER.size else None)


class AnswersResponsesInDatagrams(DatagramEcho):
    def is_good(self, magic: int, version: int, kind: int) -> bool:
        return super().is_good(magic, version, REQUEST if kind == RESPONSE else kind)


class AnswersErrorsInDatagrams(DatagramEcho):
    def is_good(self, magic: int, version: int, kind: int) -> bool:
        return super().is_good(magic, version, REQUEST if kind == ERROR else kind)


class AnswersAnyMagicInDatagrams(DatagramEcho):
    def is_good(self, _magic: int, version: int, kind: int) -> bool:
        return super().is_good(MAGIC, version, kind)


class AnswersAnyVersionInDatagrams(DatagramEcho):
    def is_good(self, magic: int, _version: int, kind: int) -> bool:
        return super().is_good(magic, VERSION, kind)


class AnswersAnyKindInDatagrams(DatagramEcho):
    def is_good(self, magic: int, version: int, kind: int) -> bool:
        return super().is_good(magic, version, kind if kind in {RESPONSE, ERROR} else REQUEST)


class AnswersWhatIsTooShort(DatagramEcho):
    def fits(self, length: int, found: int) -> bool:
        return super().fits(max(length, found), max(length, found))


class AnswersTheFirstOfSeveral(DatagramEcho):
    def fits(self, length: int, found: int) -> bool:
        return super().fits(length, min(length, found))


class IgnoresTheLongestPayloadOfDatagrams(DatagramEcho):
    def __init__(self, _max_payload: int) -> None:
        super().__init__(1 << 20)


class CountsNoDrops(DatagramEcho):
    def drop(self, _datagram: bytes) -> bytes | None:
        return None


class CountsDropsAsMessages(DatagramEcho):
    def drop(self, datagram: bytes) -> bytes | None:
        self.messages += 1
        return super().drop(datagram)


class CountsDatagramsTwice(DatagramEcho):
    def reply(self, sequence: int, payload: bytes) -> bytes:
        self.messages += 1
        return super().reply(sequence, payload)


class DiesOfNoise(DatagramEcho):
    def is_request(self, datagram: bytes) -> bool:
        HEADER.unpack_from(datagram)
        return super().is_request(datagram)
