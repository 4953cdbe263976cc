"""Faults in how WebSocket connections are closed, in the wire's messages over them, in their life and their drain."""

from __future__ import annotations

import argparse
import socket

from tiny_server import TinyServer
from tiny_wire import Echo
from tiny_ws_server import TinyWsServer
from tiny_ws_wire import (
    BINARY,
    CLOSE,
    HEADER_BYTES,
    PROTOCOL_ERROR,
    Closed,
    Frame,
    WsEcho,
)

# Closing


class ForgetsTheReplyToAClose(WsEcho):
    def answer_close(self, payload: bytes) -> bytes:
        super().answer_close(payload)
        return b""


class AnswersEveryCloseWith1000(WsEcho):
    def answer_close(self, payload: bytes) -> bytes:
        super().answer_close(payload)
        return self.close((1000).to_bytes(2, "big"))


class RefusesCodesOfPrograms(WsEcho):
    def is_code(self, code: int) -> bool:
        return super().is_code(code) and code < 4000


class StaysOpenAfterAClose(WsEcho):
    def answer_close(self, payload: bytes) -> bytes:
        said = super().answer_close(payload)
        self.closing = False
        return said


class TakesReasonsUpTo122Bytes(WsEcho):
    def judge_close(self, payload: bytes) -> None:
        super().judge_close(payload[:124])
        if len(payload) == 125:
            raise Closed(PROTOCOL_ERROR)


class TakesAnyCloseCode(WsEcho):
    def is_code(self, code: int) -> bool:
        return True


class TakesCloseCodesAbove4999(WsEcho):
    def is_code(self, code: int) -> bool:
        return super().is_code(code) or code > 4999


class TakesHalfACloseCode(WsEcho):
    def judge_close(self, payload: bytes) -> None:
        if len(payload) != 1:
            super().judge_close(payload)


class ReadsNoReason(WsEcho):
    def judge_close(self, payload: bytes) -> None:
        super().judge_close(payload[:2])


class ForgetsRepliesAtAClose(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        return said[said.rfind(bytes([0x80 | CLOSE])) :] if self.closing and self.is_open else said


class AnswersPingsBehindAClose(WsEcho):
    def receive(self, data: bytes) -> bytes:
        said = super().receive(data)
        if self.closing and self.is_open and self.held[:1] == b"\x89":
            self.closing = False
            said += super().receive(b"")
            self.closing = True
        return said


class RefusesACloseInsideAMessage(WsEcho):
    def answer_close(self, payload: bytes) -> bytes:
        if self.message is not None:
            raise Closed(PROTOCOL_ERROR)
        return super().answer_close(payload)


# The wire's messages, and limits


class EchoesTextOverTheSubprotocol(WsEcho):
    def judge_order(self, frame: Frame) -> None:
        wire, self.wire = self.wire, None
        try:
            super().judge_order(frame)
        finally:
            self.wire = wire

    def answer_request(self, message: bytes) -> bytes:
        return super().answer_request(message) if self.opcode == BINARY else message


class AnswersTheFirstRequestOfAMessage(WsEcho):
    def answer_request(self, message: bytes) -> bytes:
        end = HEADER_BYTES + int.from_bytes(message[4:8], "big")
        return super().answer_request(message[:end])


class SendsAnErrorMessage(WsEcho):
    def answer_request(self, message: bytes) -> bytes:
        try:
            return super().answer_request(message)
        except Closed:
            return bytes.fromhex("eb010103 00000000 0000000000000000")


class LimitsFramesAndNotMessages(WsEcho):
    def judge_length(self, opcode: int, length: int) -> None:
        message, self.message = self.message, None
        try:
            super().judge_length(opcode, length)
        finally:
            self.message = message


class WaitsForAllOfALongMessage(WsEcho):
    def judge_length(self, opcode: int, length: int) -> None:
        pass

    def answer_message(self, opcode: int, message: bytes) -> bytes:
        super().judge_length(opcode, len(message))
        return super().answer_message(opcode, message)


class LimitsRequestsWithTheirHeader(WsEcho):
    def most_bytes(self) -> int:
        return self.max_payload


class HasRoomFor8MiB(WsEcho):
    def most_bytes(self) -> int:
        return min(super().most_bytes(), 8 << 20)


# Life


class CountsPingsAsMessages(WsEcho):
    def pong(self, payload: bytes) -> bytes:
        self.messages += 1
        return super().pong(payload)


class CountsNoTruncatedMessages(WsEcho):
    def receive_eof(self) -> bytes:
        return b""


class CountsAnEndWithoutACloseFrame(WsEcho):
    def receive_eof(self) -> bytes:
        self.protocol_errors += not self.closing
        return super().receive_eof()


class ProlongsMessagesByPings(TinyWsServer):
    def begins_another(self, was_whole: bool, answered: int) -> bool:
        return True


class SaysNothingAtTheDrain(WsEcho):
    def drain(self) -> bytes:
        return b""


class Says1000AtTheDrain(WsEcho):
    def drain(self) -> bytes:
        return super().drain().replace((1001).to_bytes(2, "big"), (1000).to_bytes(2, "big"))


class SaysGoodbyeToStrangers(WsEcho):
    def drain(self) -> bytes:
        self.is_open = True
        return super().drain()


class SaysGoodbyeBehindAClose(WsEcho):
    def answer_close(self, payload: bytes) -> bytes:
        return super().answer_close(payload) + self.close((1001).to_bytes(2, "big"))


class KeepsItsLastMessage(WsEcho):
    def answer_message(self, opcode: int, message: bytes) -> bytes:
        self.last = super().answer_message(opcode, message)
        return self.last


class KeepsHalfOfAMessage(WsEcho):
    def forget(self) -> None:
        pass


class WaitsUntilFloodsEnd(TinyWsServer):
    def drain_timeout_s(self) -> float:
        return 3_600

    def left_bytes(self, connection: socket.socket) -> int:
        return 1 << 62

    def end_connection(self, connection: socket.socket, echo: Echo) -> None:
        pass


class KeepsRefusedClients(TinyWsServer):
    def finish(self, connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(None)
        while connection.recv(self.options.recv_bytes):
            pass


class LeaksAClientThatItRefuses(TinyWsServer):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.leaked: list[socket.socket] = []

    def converse(self, connection: socket.socket, echo: Echo) -> None:
        super().converse(connection, echo)
        if echo.protocol_errors:
            self.leaked.append(connection.dup())

    def finish(self, connection: socket.socket) -> None:
        TinyServer.finish(self, connection)
