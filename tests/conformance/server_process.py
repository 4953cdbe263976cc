"""A server as a real process, started by its command line and stopped on every path.

A `Server` is one process of a `Target` (targets.py), with the
address that its ready line tells. Checks get a running `Server`; those that need a life of their own start another one
with `server.another(*options)`.

Nothing may be left behind, whatever the server did: each server gets a mark in its environment, which every process of
its tree inherits, also one that left the process group or was adopted by init. `marked` finds them all.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from .client import Client
from .datagram_peer import DatagramPeer, port_is_free
from .peer import Peer
from .process_tree import sleeps, stands_still
from .targets import DATAGRAM, ROOT, Target
from .waiting import Deadline, eventually
from .wire import PLAIN, Greeting, Wire
from .ws_bytes import FRAMES

MARK = "ECHOBENCH_CONFORMANCE"
# A process that is slow to start is no finding, so this does not depend on the patience of a check.
START_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Ended:
    """How a process ended and all that it said; `left` are the processes of its tree that live on."""

    exit_code: int
    stdout: str
    stderr: str
    left: tuple[int, ...]

    def stopped(self) -> dict[str, Any]:
        """Return the stopped line, which is the last on stdout."""
        lines = self.stdout.splitlines()
        assert lines, f"a stopped line follows the ready line; exit code {self.exit_code}, stderr {self.stderr!r}"
        line = decoded(lines[-1])
        assert line.get("event") == "stopped", f"the last line on stdout is the stopped line, not {lines[-1]!r}"
        return line


class Server:
    """A process of a target; as a context manager it is ready inside and gone afterwards."""

    ready: dict[str, Any]

    def __init__(self, target: Target, options: tuple[str, ...] = ()) -> None:
        self.target = target
        self.patience_s = target.patience_s
        self._mark = secrets.token_hex(8)
        self._stdout = bytearray()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process, in `kill`
        self.process = subprocess.Popen(
            [*target.command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            env={**os.environ, MARK: self._mark},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        try:
            self.ready = self._read_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Return the root's process id, which is also its process group."""
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Return where to connect to."""
        host = str(self.ready["host"])
        return ("127.0.0.1" if host == "0.0.0.0" else host, int(self.ready["port"]))

    @property
    def port(self) -> int:
        """Return the port of the ready line."""
        return self.address[1]

    def setting(self, name: str) -> int:
        """Return a number of the effective config."""
        config = self.ready["config"]
        assert name in config, f"the ready line's config has {name}: {config}"
        return int(config[name])

    def another(self, *options: str) -> Server:
        """Return a further server of the same target, to be entered as a context manager."""
        return Server(self.target, options)

    def refused(self, *options: str) -> Ended:
        """Start one that is expected to refuse to serve, and return how it ended."""
        other = self.another(*options)
        try:
            other._await_exit(self.patience_s, f"a server that is started with {' '.join(options)} ends by itself")
            return other._ended()
        finally:
            other.kill()

    @property
    def keeps_peers(self) -> bool:
        """Tell whether every peer has a process or thread of its own, as the ready line says."""
        return self.ready["parallelism"] is None

    @property
    def wire(self) -> Wire:
        """Return the words of the transport."""
        return FRAMES if self.target.transport == "ws" else PLAIN

    def knock(self) -> Peer:
        """Return a new connection on which nothing was said yet, to be entered as a context manager."""
        return Peer(self.address, self.patience_s, lambda: sleeps(self.pid), self.wire)

    def connect(self, greeting: Greeting | None = None) -> Peer:
        """Return a new connection on which messages can be sent, to be entered as a context manager."""
        peer = self.knock()
        try:
            peer.greet(greeting or self.wire.greeting)
        except BaseException:
            peer.close()
            raise
        return peer

    def datagram_peer(self, source: str | None = None, *, port: int = 0, buffer_bytes: int = 0) -> DatagramPeer:
        """Return a new source address of datagrams, to be entered as a context manager."""
        return DatagramPeer(self.address, self.patience_s, (source, port) if source else None, buffer_bytes)

    def client(self) -> Client:
        """Return a new peer of the kind that the transport needs, to be entered as a context manager."""
        return self.datagram_peer() if self.target.kind == DATAGRAM else self.connect()

    @contextlib.contextmanager
    def knocking(self, count: int) -> Iterator[list[Peer]]:
        """Hold `count` connections on which nothing was said yet."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.knock()) for _ in range(count)]

    @contextlib.contextmanager
    def connected(self, count: int) -> Iterator[list[Peer]]:
        """Hold `count` connections."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.connect()) for _ in range(count)]

    @contextlib.contextmanager
    def clients(self, count: int) -> Iterator[list[Client]]:
        """Hold `count` peers of the kind that the transport needs."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.client()) for _ in range(count)]

    @contextlib.contextmanager
    def datagram_peers(self, count: int, sources: Sequence[str] = ("127.0.0.1",)) -> Iterator[list[DatagramPeer]]:
        """Hold `count` source addresses of datagrams, taking turns among some hosts."""
        with contextlib.ExitStack() as stack:
            peers = (self.datagram_peer(sources[number % len(sources)]) for number in range(count))
            yield [stack.enter_context(peer) for peer in peers]

    def send_signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the root, or to the whole process group as a terminal does."""
        if group:
            os.killpg(self.pid, number)
        else:
            self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, group: bool = False) -> Ended:
        """Send a signal and return how the server ended."""
        self.send_signal(number, group=group)
        return self.ended(number.name)

    def ended(self, cause: str = "SIGTERM") -> Ended:
        """Wait for the end and return how it was."""
        self._await_exit(self.patience_s, f"the server ends after {cause}")
        return self._ended()

    def freeze(self) -> None:
        """Stop the whole process group in its tracks; the kernel goes on accepting and queueing for it."""
        os.killpg(self.pid, signal.SIGSTOP)
        rule = "every process of the server stands still after SIGSTOP to its process group"
        eventually(lambda: stands_still(self.pid), self.patience_s, rule)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def marked(self) -> tuple[int, ...]:
        """Return the processes that carry this server's mark, wherever they are in the process tree."""
        return tuple(pid for pid in psutil.pids() if self._carries_mark(pid))

    def refuses_connections(self) -> bool:
        """Tell whether the port is closed; a connection that is accepted is closed at once."""
        if self.target.kind == DATAGRAM:
            return port_is_free(self.address)
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as knock:
            knock.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                return knock.connect_ex(self.address) not in {0, errno.EAGAIN}
        return False

    def kill(self) -> None:
        """End every process of the tree at once and give the pipes back; may be called again."""
        deadline = Deadline(START_PATIENCE_S)
        while (left := self.marked()) and deadline.remaining_s() > 0:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.poll()
            time.sleep(0.001)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._stderr.close()

    def _carries_mark(self, pid: int) -> bool:
        try:
            return f"{MARK}={self._mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False  # gone meanwhile, or not ours to look at

    def _await_exit(self, patience_s: float, rule: str) -> None:
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{rule}, but it still runs after {patience_s:g} s") from error

    def _ended(self) -> Ended:
        left = self.marked()
        if not left:
            self._read_stdout(Deadline(self.patience_s), to_line_end=False)
        return Ended(self.process.returncode, self._stdout.decode(), self._said_on_stderr(), left)

    def _read_ready(self) -> dict[str, Any]:
        self._read_stdout(Deadline(START_PATIENCE_S), to_line_end=True)
        line, newline, _ = self._stdout.partition(b"\n")
        assert newline, f"a server prints a ready line; found {bytes(line)!r}, stderr {self._said_on_stderr()!r}"
        ready = decoded(line.decode())
        for key in ("host", "port"):
            assert key in ready, f"the ready line has {key}: {line.decode()}"
        return ready

    def _read_stdout(self, deadline: Deadline, *, to_line_end: bool) -> None:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not (to_line_end and b"\n" in self._stdout) and poll.poll(deadline.remaining_s() * 1_000):
            chunk = os.read(descriptor, 65_536)
            if not chunk:
                return
            self._stdout += chunk

    def _said_on_stderr(self) -> str:
        # pread: the server writes through the same file description, whose position must not move.
        return os.pread(self._stderr.fileno(), 65_536, 0).decode(errors="replace")


def decoded(line: str) -> dict[str, Any]:
    """Return a line of JSON, which has to be an object."""
    try:
        found = json.loads(line)
    except ValueError as error:
        raise AssertionError(f"a line on stdout is JSON, not {line!r}") from error
    assert isinstance(found, dict), f"a line on stdout is a JSON object, not {line!r}"
    return found
