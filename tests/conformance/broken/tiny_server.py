"""A tiny correct server of streams: a thread a connection, standard library only, nothing of the servers under test.

It is what broken servers are made of. It passes all checks, and each fault overrides one small method of it, so a check
that a fault fails is failed by that fault and by nothing else. The methods are cut where the faults are.

The drain: the listen queue is accepted to its end, the receiving side of every connection is shut down, so that its
thread reads what is queued and then an end of file; whoever has not ended at the deadline is counted as aborted and
ends with the process.

A spare descriptor is kept for the moment when there is no other: it is given up to accept a connection and close it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import termios
import threading
import time
from typing import ClassVar

from tiny_life import TinyLife
from tiny_wire import Echo

LINGER_S = 1.0
UNSENT_POLL_S = 0.001
JOIN_S = 0.1


class TinyServer(TinyLife):
    """A server of streams."""

    transport = "tcp"
    socket_type = socket.SOCK_STREAM
    echo_class: ClassVar[type[Echo]] = Echo

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.aborted = 0
        self.refused = 0
        self.timed_out = 0
        self.lock = threading.Lock()
        self.echoes: list[Echo] = []
        self.live: dict[socket.socket, tuple[threading.Thread, Echo]] = {}
        self.spare = os.open(os.devnull, os.O_RDONLY)

    def listen(self) -> socket.socket:
        """Return the listening socket; raises OSError when the address can't be had."""
        listener = super().listen()
        listener.listen(self.options.backlog)
        return listener

    def configure_listener(self, listener: socket.socket) -> None:
        """Let a port be used again whose old connections the kernel still remembers."""
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    # Serving

    def serve_until_stopped(self) -> None:
        """Accept until a signal came."""
        waits_for = select.poll()
        for descriptor in (self.listener.fileno(), self.wake_up[0]):
            waits_for.register(descriptor, select.POLLIN)
        while not self.stopping:
            if self.listener.fileno() in dict(waits_for.poll()):
                self.accept()

    def accept(self) -> None:
        """Take a connection out of the listen queue and serve it, or refuse it where there is no room."""
        try:
            connection = self.listener.accept()[0]
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            self.accept_without_descriptors()
            return
        if self.is_full():
            self.refuse(connection)
        else:
            self.start(connection)

    def is_full(self) -> bool:
        """Tell whether there are as many connections as there may be."""
        return bool(0 < self.options.max_connections <= len(self.live))

    def refuse(self, connection: socket.socket) -> None:
        """Close a connection at once."""
        self.refused += 1
        connection.close()

    def accept_without_descriptors(self) -> None:
        """Give up the spare descriptor for a connection, to refuse it."""
        os.close(self.spare)
        self.refuse(self.listener.accept()[0])
        self.spare = os.open(os.devnull, os.O_RDONLY)

    def start(self, connection: socket.socket) -> None:
        """Give a connection a thread."""
        connection.setblocking(True)
        echo = self.echo_class(self.options.max_payload)
        thread = threading.Thread(target=self.serve, args=(connection, echo), daemon=True)
        self.echoes.append(echo)
        with self.lock:
            self.live[connection] = (thread, echo)
        thread.start()

    def serve(self, connection: socket.socket, echo: Echo) -> None:
        """Serve a connection to its end."""
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.converse(connection, echo)
            self.finish(connection)
        except OSError:
            pass  # the peer has gone
        finally:
            echo.forget()
            self.forget(connection)

    def converse(self, connection: socket.socket, echo: Echo) -> None:
        """Answer until either side wants to end."""
        deadline_s, left_bytes = 0.0, None
        while not echo.closing:
            if self.stopping and left_bytes is None:
                left_bytes = self.left_bytes(connection)
            if echo.is_partial() and self.options.message_timeout_s:
                connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            else:
                connection.settimeout(None)
            data = self.read(connection, echo) if left_bytes is None or left_bytes > 0 else b""
            if not data:
                self.write(connection, echo.drain() if self.stopping else echo.receive_eof())
                return
            was_whole, answered = not echo.is_partial(), echo.messages
            self.write(connection, echo.receive(data))
            left_bytes = None if left_bytes is None else left_bytes - len(data)
            if self.begins_another(was_whole, echo.messages - answered):
                deadline_s = time.monotonic() + self.options.message_timeout_s

    def left_bytes(self, connection: socket.socket) -> int:
        """Return how many bytes have been received and not read: a peer may go on sending for ever."""
        return int(struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))[0])

    def begins_another(self, was_whole: bool, answered: int) -> bool:
        """Tell whether what is now held began with the last bytes, for the message time-out."""
        return was_whole or answered > 0

    def read(self, connection: socket.socket, _echo: Echo) -> bytes:
        """Return the next bytes, none at the end or when a message takes too long."""
        try:
            return connection.recv(self.options.recv_bytes)
        except TimeoutError:
            self.timed_out += 1
            return b""

    def write(self, connection: socket.socket, data: bytes) -> None:
        """Send all."""
        connection.settimeout(None)
        connection.sendall(data)

    def finish(self, connection: socket.socket) -> None:
        """End the sending side, then read and discard for a while, so that nothing unread makes the close a reset."""
        if self.stopping:
            self.wait_until_sent(connection)
        connection.shutdown(socket.SHUT_WR)
        deadline_s = time.monotonic() + LINGER_S
        with contextlib.suppress(TimeoutError):
            while (left_s := deadline_s - time.monotonic()) > 0:
                connection.settimeout(left_s)
                if not connection.recv(self.options.recv_bytes):
                    return

    def wait_until_sent(self, connection: socket.socket) -> None:
        """Wait until the peer has everything: its next byte turns a connection that is closed on both sides over."""
        has_failed = select.poll()
        has_failed.register(connection, 0)
        while struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]:
            if has_failed.poll(UNSENT_POLL_S * 1_000):
                return  # the peer has gone

    def forget(self, connection: socket.socket) -> None:
        """Close a connection."""
        with self.lock:
            del self.live[connection]
            connection.close()

    # Ending

    def drain(self) -> None:
        """Answer what was received, at the latest until the deadline."""
        deadline_s = time.monotonic() + self.drain_timeout_s()
        self.accept_queued()
        self.close_listener()
        self.end_connections()
        for thread in self.threads():
            # In turns: a signal that comes just before a wait does not end it.
            while thread.is_alive() and (left_s := deadline_s - time.monotonic()) > 0:
                thread.join(min(left_s, JOIN_S))
        self.aborted = len(self.threads())

    def close_listener(self) -> None:
        """Let nobody in any more."""
        self.listener.close()

    def threads(self) -> list[threading.Thread]:
        """Return the threads of the live connections."""
        with self.lock:
            return [thread for thread, _ in self.live.values()]

    def accept_queued(self) -> None:
        """Take over what waits in the listen queue."""
        self.listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.accept()

    def end_connections(self) -> None:
        """Let every connection end."""
        with self.lock:
            for connection, (_, echo) in self.live.items():
                with contextlib.suppress(OSError):
                    self.end_connection(connection, echo)

    def end_connection(self, connection: socket.socket, _echo: Echo) -> None:
        """Let a connection find an end of file behind what it has received."""
        connection.shutdown(socket.SHUT_RD)

    def counts(self) -> dict[str, int]:
        """Return what was counted."""
        return {
            "connections": len(self.echoes),
            "messages": sum(echo.messages for echo in self.echoes),
            "protocol_errors": sum(echo.protocol_errors for echo in self.echoes),
            "truncated": sum(echo.truncated for echo in self.echoes),
            "timed_out": self.timed_out,
            "aborted": self.aborted,
            "refused": self.refused,
            "served_by_listener": 0,
        }
