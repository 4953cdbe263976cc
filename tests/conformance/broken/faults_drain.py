"""Faults of the drain."""

from __future__ import annotations

import os
import socket
import struct
import time

from tiny_server import TinyServer
from tiny_wire import Echo


class ResetsIdleConnections(TinyServer):
    def end_connection(self, connection: socket.socket, echo: Echo) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)

    def finish(self, connection: socket.socket) -> None:
        if not self.stopping:
            super().finish(connection)


class LeavesIdleConnectionsOpen(TinyServer):
    def end_connection(self, connection: socket.socket, echo: Echo) -> None:
        pass


class DropsWhatWasReceived(TinyServer):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        data = super().read(connection, echo)
        time.sleep(0.02)  # long enough for a signal that came with the data to be seen
        return b"" if self.stopping else data


class ForgetsTheListenQueue(TinyServer):
    def accept_queued(self) -> None:
        pass


class LetsPeersInWhileItDrains(TinyServer):
    def close_listener(self) -> None:
        pass


class WaitsForHalfSentMessages(TinyServer):
    def drain_timeout_s(self) -> float:
        return 3_600

    def end_connection(self, connection: socket.socket, echo: Echo) -> None:
        if not echo.held:
            super().end_connection(connection, echo)


class HasNoDeadline(TinyServer):
    def drain_timeout_s(self) -> float:
        return 3_600


class WaitsUntilThePeersEnd(TinyServer):
    def drain_timeout_s(self) -> float:
        return 3_600

    def left_bytes(self, connection: socket.socket) -> int:
        return 1 << 62

    def end_connection(self, connection: socket.socket, echo: Echo) -> None:
        pass


class CutsOffAtOnce(TinyServer):
    def drain_timeout_s(self) -> float:
        return 0


class CountsNothingAsAborted(TinyServer):
    def drain(self) -> None:
        super().drain()
        self.aborted = 0


class FailsWhenItCutsOff(TinyServer):
    def drain(self) -> None:
        super().drain()
        self.exit_code = int(self.aborted > 0)


class IgnoresASecondSignal(TinyServer):
    def on_signal(self) -> None:
        self.stopping = True


class ExitsWithZeroAtASecondSignal(TinyServer):
    def on_signal(self) -> None:
        if self.stopping:
            os._exit(0)
        super().on_signal()


class LeavesAChildAtASecondSignal(TinyServer):
    def on_signal(self) -> None:
        if self.stopping and os.fork() == 0:
            time.sleep(60)
        super().on_signal()
