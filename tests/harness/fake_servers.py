"""A stand-in for `python -m servers`: speaks its contract, echoes, and misbehaves as its "model" says.

Run as a script. A message of this fake is eight bytes. Its models:

good        does everything right            workers     has a child that does the work, and outlives it if it can
silent      never says ready                 stubborn    ignores SIGTERM
garbage     says something else than ready   refuses     ends with exit code 2 and a sentence
fragile     dies at the first connection     careless    ends after SIGTERM without its stopped line
failing     ends with exit code 5 on SIGTERM miscounts   counts one message too many
noisy       fills its stderr before ready    absent      is listed as unavailable
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any

MESSAGE_BYTES = 8
MODELS = {
    "good": "does everything right",
    "workers": "has a child of its own",
    "silent": "never says ready",
    "garbage": "says something else",
    "fragile": "dies at the first connection",
    "failing": "ends with an exit code",
    "stubborn": "ignores SIGTERM",
    "refuses": "ends at once",
    "careless": "ends without a stopped line",
    "miscounts": "counts one too many",
    "noisy": "writes a lot to stderr",
}
VARIANTS = {
    "good": [
        {"options": ["--pace", "fast"], "transports": ["tcp"], "available": True, "reason": None},
        {"options": ["--pace", "faster"], "transports": ["tcp"], "available": False, "reason": "it needs a tail wind"},
    ]
}


def say(event: str, **fields: Any) -> None:
    """Print a line of the contract."""
    print(json.dumps({"event": event, "schema": "echobench.server/1", **fields}), flush=True)


def print_list() -> None:
    """Print the catalogue."""
    models = [
        {"name": name, "summary": summary, "available": True, "reason": None, "variants": VARIANTS.get(name, [])}
        for name, summary in MODELS.items()
    ]
    models.append({"name": "absent", "summary": "is not there", "available": False, "reason": "it needs a moon"})
    transports = [{"name": "tcp", "summary": "a stream", "available": True, "reason": None}]
    transports.append({"name": "udp", "summary": "datagrams", "available": True, "reason": None})
    print(json.dumps({"schema": "echobench.list/1", "models": models, "transports": transports}))


def spin(cpu_s: float) -> None:
    """Use CPU time, so that there is something to account."""
    end = time.process_time() + cpu_s
    while time.process_time() < end:
        pass


class Echo:
    """Echoes on every connection until SIGTERM, in one thread."""

    def __init__(self, model: str, host: str, port: int) -> None:
        self.model = model
        self.listener = socket.create_server((host, port))
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.stop_receiver, self.stop_sender = socket.socketpair()
        self.selector.register(self.stop_receiver, selectors.EVENT_READ)
        self.connections = self.received_bytes = 0

    def serve(self) -> None:
        """Serve until a signal asks to stop."""
        stopping = False
        while not stopping:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj is self.stop_receiver:
                    stopping = True
                else:
                    self._echo(key.fileobj)  # type: ignore[arg-type]  # what is registered are sockets

    def _accept(self) -> None:
        if self.model == "fragile":
            sys.exit("fragile: a connection was too much")
        connection, _ = self.listener.accept()
        self.selector.register(connection, selectors.EVENT_READ)
        self.connections += 1

    def _echo(self, connection: socket.socket) -> None:
        data = connection.recv(65_536)
        if data:
            self.received_bytes += len(data)
            connection.sendall(data)
        else:
            self.selector.unregister(connection)
            connection.close()

    def stop(self, number: int, frame: object) -> None:
        """Take a signal."""
        self.stop_sender.send(b"x")


def serve(model: str, transport: str, host: str, port: int) -> int:
    """Be the server of a model and return its exit code."""
    echo = Echo(model, host, port)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if model == "stubborn" else echo.stop)
    if model == "workers" and os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        spin(0.05)
        time.sleep(600)
    if model == "noisy":
        print("x" * 1_000_000, file=sys.stderr)
    address, port = echo.listener.getsockname()
    say("ready", model=model, transport=transport, host=address, port=port, pid=os.getpid(), config={"port": port})
    echo.serve()
    if model == "failing":
        return 5
    if model != "careless":
        messages = echo.received_bytes // MESSAGE_BYTES + (model == "miscounts")
        say("stopped", connections=echo.connections, messages=messages, protocol_errors=0, aborted=0)
    return 0


def main() -> int:
    """Understand as much of the command line as the tests use."""
    parser = argparse.ArgumentParser()
    for flag in ("--list", "--json"):
        parser.add_argument(flag, action="store_true")
    for flag in ("--model", "--transport", "--workers", "--backlog", "--work", "--pace"):
        parser.add_argument(flag)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if options.list:
        print_list()
        return 0
    if options.model == "silent":
        time.sleep(600)
    if options.model == "garbage":
        print("Segmentation fault? Not quite.", flush=True)
        time.sleep(600)
    if options.model == "refuses":
        print("servers: 127.0.0.1:9000 is in use; choose another --port", file=sys.stderr)
        return 2
    return serve(options.model, options.transport, options.host, options.port)


if __name__ == "__main__":
    sys.exit(main())
