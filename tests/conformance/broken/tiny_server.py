"""A tiny correct server: a thread a connection, standard library only, nothing of the servers under test.

It is what every broken server is made of. It passes all checks, and each fault overrides one small method of it, so a
check that a fault fails is failed by that fault and by nothing else. The methods are cut where the faults are.

Life: the main thread waits on the listener and on a pipe into which the interpreter writes each signal (a signal alone
does not end a wait). The first stop signal begins the drain: the listen queue is accepted to its end, the receiving
side of every connection is shut down, so that its thread reads what is queued and then an end of file; whoever has not
ended at the deadline is counted as aborted and ends with the process. The second signal ends the process.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time
from typing import Any, ClassVar

from tiny_options import option_parser
from tiny_wire import Echo

LINGER_S = 1.0
UNSENT_POLL_S = 0.001


class TinyServer:
    """A server from its command line to its stopped line."""

    echo_class: ClassVar[type[Echo]] = Echo
    exit_code = 0

    @classmethod
    def main(cls, arguments: list[str]) -> int:
        """Run a server, or say in one sentence why not; return the exit code."""
        options = cls.parse(arguments)
        try:
            return cls(options).run()
        except OSError as error:
            print(f"tiny: {options.host} port {options.port}: {error.strerror}", file=sys.stderr)
            return 2

    @classmethod
    def parse(cls, arguments: list[str]) -> argparse.Namespace:
        """Read the command line; a usage error ends the process."""
        return cls.parser().parse_args(arguments)

    @staticmethod
    def parser() -> argparse.ArgumentParser:
        """Return a parser of the options that the checks use."""
        return option_parser()

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.stopping = False
        self.aborted = 0
        self.lock = threading.Lock()
        self.echoes: list[Echo] = []
        self.live: dict[socket.socket, tuple[threading.Thread, Echo]] = {}
        self.wake_up = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Serve until a signal, drain, return the exit code."""
        self.raise_descriptor_limit()
        self.listener = self.listen()
        self.warn()
        self.watch_signals()
        self.say(self.ready())
        self.serve_until_stopped()
        self.drain()
        self.say(self.stopped())
        return self.exit_code

    # Beginning

    def raise_descriptor_limit(self) -> None:
        """Allow as many descriptors as the system does."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def listen(self) -> socket.socket:
        """Return the listening socket; raises OSError when the address can't be had."""
        family = socket.AF_INET6 if ":" in self.options.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        self.configure_listener(listener)
        listener.bind((self.options.host, self.options.port))
        listener.listen(self.options.backlog)
        return listener

    def configure_listener(self, listener: socket.socket) -> None:
        """Let a port be used again whose old connections the kernel still remembers."""
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def warn(self) -> None:
        """Warn of a host that is not this machine alone."""
        if self.options.host not in {"127.0.0.1", "::1"}:
            print("warning: anyone who can reach this address can use it", file=sys.stderr)

    def watch_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the server."""
        signal.set_wakeup_fd(self.wake_up[1])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.on_signal())

    def on_signal(self) -> None:
        """Stop at the first signal, end at the second."""
        if self.stopping:
            os._exit(130)
        self.stopping = True

    def say(self, line: dict[str, Any]) -> None:
        """Print a line of JSON."""
        print(json.dumps(line), flush=True)

    def ready(self) -> dict[str, Any]:
        """Return the ready line."""
        host, port = self.listener.getsockname()[:2]
        said = {"event": "ready", "schema": "echobench.server/1", "model": "tiny", "transport": "tcp", "gil": True}
        said |= {"host": host, "port": port, "pid": os.getpid(), "python": sys.version, "code": "tiny"}
        return said | {"parallelism": None, "config": self.config()}

    def config(self) -> dict[str, Any]:
        """Return the effective settings."""
        return vars(self.options)

    # Serving

    def serve_until_stopped(self) -> None:
        """Accept until a signal came."""
        while not self.stopping:
            readable, _, _ = select.select([self.listener.fileno(), self.wake_up[0]], [], [])
            if self.listener.fileno() in readable:
                self.start(self.listener.accept()[0])

    def start(self, connection: socket.socket) -> None:
        """Give a connection a thread."""
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
            self.forget(connection)

    def converse(self, connection: socket.socket, echo: Echo) -> None:
        """Answer until either side wants to end."""
        deadline_s = 0.0
        while not echo.closing:
            if echo.held and self.options.message_timeout_s:
                connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            else:
                connection.settimeout(None)
            data = self.read(connection, echo)
            if not data:
                self.write(connection, echo.receive_eof())
                return
            was_whole, answered = not echo.held, echo.messages
            self.write(connection, echo.receive(data))
            if self.begins_another(was_whole, echo.messages - answered):
                deadline_s = time.monotonic() + self.options.message_timeout_s

    def begins_another(self, was_whole: bool, answered: int) -> bool:
        """Tell whether what is now held began with the last bytes, for the message time-out."""
        return was_whole or answered > 0

    def read(self, connection: socket.socket, _echo: Echo) -> bytes:
        """Return the next bytes, none at the end or when a message takes too long."""
        try:
            return connection.recv(self.options.recv_bytes)
        except TimeoutError:
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
        while struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]:
            time.sleep(UNSENT_POLL_S)

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
            thread.join(max(0.0, deadline_s - time.monotonic()))
        self.aborted = len(self.threads())

    def drain_timeout_s(self) -> float:
        """Return how long a drain may take."""
        return float(self.options.drain_timeout_s)

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
                connection = self.listener.accept()[0]
                connection.setblocking(True)
                self.start(connection)

    def end_connections(self) -> None:
        """Let every connection end."""
        with self.lock:
            for connection, (_, echo) in self.live.items():
                with contextlib.suppress(OSError):
                    self.end_connection(connection, echo)

    def end_connection(self, connection: socket.socket, _echo: Echo) -> None:
        """Let a connection find an end of file behind what it has received."""
        connection.shutdown(socket.SHUT_RD)

    def stopped(self) -> dict[str, Any]:
        """Return the stopped line."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "event": "stopped",
            "connections": len(self.echoes),
            "messages": sum(echo.messages for echo in self.echoes),
            "protocol_errors": sum(echo.protocol_errors for echo in self.echoes),
            "aborted": self.aborted,
            "served_by_listener": 0,
            "cpu_user_s": sum(usage.ru_utime for usage in used),
            "cpu_system_s": sum(usage.ru_stime for usage in used),
            "voluntary_switches": sum(usage.ru_nvcsw for usage in used),
            "involuntary_switches": sum(usage.ru_nivcsw for usage in used),
        }
