"""Faults in how connections are served beside each other and how they end."""

from __future__ import annotations

import argparse
import os
import queue
import socket
import struct
import threading
from collections import defaultdict

from tiny_server import TinyServer
from tiny_wire import Echo


class ServesOneAtATime(TinyServer):
    def start(self, connection: socket.socket) -> None:
        super().start(connection)
        for thread in self.threads():
            thread.join()


class ServesFiftyAtMost(TinyServer):
    def start(self, connection: socket.socket) -> None:
        if len(self.live) < 50:
            super().start(connection)
        else:
            connection.close()


class _HasOneLock(TinyServer):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.turn = threading.Lock()


class HoldsTheLockInsideAMessage(_HasOneLock):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        if not echo.held:
            return super().read(connection, echo)
        with self.turn:
            return super().read(connection, echo)

    def write(self, connection: socket.socket, data: bytes) -> None:
        with self.turn:
            super().write(connection, data)


class HoldsTheLockWhileItWrites(_HasOneLock):
    def write(self, connection: socket.socket, data: bytes) -> None:
        with self.turn:
            super().write(connection, data)


class DropsWhatTheSocketDoesNotTake(TinyServer):
    def write(self, connection: socket.socket, data: bytes) -> None:
        connection.setblocking(False)
        try:
            connection.send(data)
        except BlockingIOError:
            return


class ForgetsTheRestOfAShortWrite(TinyServer):
    def write(self, connection: socket.socket, data: bytes) -> None:
        super().write(connection, data[:65_536])


class ReadsWithoutBound(TinyServer):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.queues: defaultdict[socket.socket, queue.SimpleQueue[bytes]] = defaultdict(queue.SimpleQueue)

    def write(self, connection: socket.socket, data: bytes) -> None:
        if connection not in self.queues:
            threading.Thread(target=self.write_queued, args=(connection,), daemon=True).start()
        self.queues[connection].put(data)

    def write_queued(self, connection: socket.socket) -> None:
        while data := self.queues[connection].get():
            connection.sendall(data)


class AssumesALargeReceiveSize(TinyServer):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        data = super().read(connection, echo)
        if echo.held and self.options.recv_bytes < 64:
            echo.held.clear()
        return data


class DiesOfAReset(TinyServer):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        try:
            return super().read(connection, echo)
        except ConnectionResetError:
            os._exit(1)


class DiesOfAResetInTheListenQueue(TinyServer):
    def start(self, connection: socket.socket) -> None:
        connection.getpeername()
        super().start(connection)


class DiesOfGarbage(TinyServer):
    def finish(self, connection: socket.socket) -> None:
        if self.live[connection][1].closing:
            os._exit(1)
        super().finish(connection)


class IgnoresAHalfClose(TinyServer):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        data = super().read(connection, echo)
        if not data and not self.stopping:
            threading.Event().wait()
        return data


class EndsWithAReset(TinyServer):
    def finish(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class ClosesWithBytesUnread(TinyServer):
    def finish(self, connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)


class DiscardsForEver(TinyServer):
    def finish(self, connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(None)
        while connection.recv(self.options.recv_bytes):
            pass


class TimesOutFromTheLastByte(TinyServer):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        connection.settimeout(self.options.message_timeout_s if echo.held else None)
        return super().read(connection, echo)


class TimesOutIdleConnections(TinyServer):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        connection.settimeout(connection.gettimeout() or self.options.message_timeout_s)
        return super().read(connection, echo)


class TimesOutFromTheFirstPart(TinyServer):
    def begins_another(self, was_whole: bool, answered: int) -> bool:
        return was_whole


class TimesOutWhatItHoldsUpItself(TinyServer):
    def write(self, connection: socket.socket, data: bytes) -> None:
        connection.settimeout(self.options.message_timeout_s)
        connection.sendall(data)
