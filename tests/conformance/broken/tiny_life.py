"""The life of a tiny correct server without its traffic: command line, signals, ready line, stopped line.

The two tiny servers, of streams and of datagrams, are subclasses. The main thread waits on its sockets and on a pipe
into which the interpreter writes each signal (a signal alone does not end a wait). The first stop signal begins the
drain, the second ends the process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import sys
from typing import Any, ClassVar

from tiny_options import contradiction, option_parser


class TinyLife:
    """A server from its command line to its stopped line; `listener` is the socket whose address it has."""

    transport: ClassVar[str]
    socket_type: ClassVar[socket.SocketKind]
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
        parser = cls.parser()
        options = parser.parse_args(arguments)
        if (sentence := cls.contradiction(options)) is not None:
            parser.error(sentence)
        return options

    @classmethod
    def contradiction(cls, options: argparse.Namespace) -> str | None:
        """Return why the options can't be had together."""
        return contradiction(options)

    @classmethod
    def parser(cls) -> argparse.ArgumentParser:
        """Return a parser of the options that the checks use."""
        return option_parser(cls.transport)

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.stopping = False
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

    def raise_descriptor_limit(self) -> None:
        """Allow as many descriptors as the system does."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def listen(self) -> socket.socket:
        """Return the bound socket; raises OSError when the address can't be had."""
        family = socket.AF_INET6 if ":" in self.options.host else socket.AF_INET
        listener = socket.socket(family, self.socket_type)
        self.configure_listener(listener)
        listener.bind((self.options.host, self.options.port))
        return listener

    def configure_listener(self, listener: socket.socket) -> None:
        """Set options of the socket before it is bound."""

    def warn(self) -> None:
        """Warn of a host that is not this machine alone."""
        if not self.options.host.startswith("127.") and self.options.host != "::1":
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
        said: dict[str, Any] = {"event": "ready", "schema": "echobench.server/1", "transport": self.transport}
        said |= {"host": host, "port": port, "pid": os.getpid(), "python": sys.version, "gil": True, "code": "x"}
        return said | {"model": "tiny", "parallelism": None, "config": self.config()}

    def config(self) -> dict[str, Any]:
        """Return the effective settings."""
        return vars(self.options) | {"descriptor_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}

    def serve_until_stopped(self) -> None:
        """Serve until a signal came."""
        raise NotImplementedError

    def drain(self) -> None:
        """Answer what was received, at the latest until the deadline."""
        raise NotImplementedError

    def drain_timeout_s(self) -> float:
        """Return how long a drain may take."""
        return float(self.options.drain_timeout_s)

    def counts(self) -> dict[str, int]:
        """Return what was counted."""
        raise NotImplementedError

    def stopped(self) -> dict[str, Any]:
        """Return the stopped line."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "event": "stopped",
            **self.counts(),
            "cpu_user_s": sum(usage.ru_utime for usage in used),
            "cpu_system_s": sum(usage.ru_stime for usage in used),
            "voluntary_switches": sum(usage.ru_nvcsw for usage in used),
            "involuntary_switches": sum(usage.ru_nivcsw for usage in used),
        }
