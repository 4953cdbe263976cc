"""Faults in the life of a server: what it says, what it leaves behind while it runs and when it ends."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import threading
import time
from typing import Any

from tiny_server import TinyServer
from tiny_wire import Echo

PR_SET_PDEATHSIG = 1


class SaysNoCode(TinyServer):
    def ready(self) -> dict[str, Any]:
        return {key: value for key, value in super().ready().items() if key != "code"}


class SaysItsPortAsText(TinyServer):
    def ready(self) -> dict[str, Any]:
        return super().ready() | {"port": str(self.listener.getsockname()[1])}


class SaysAnotherSchema(TinyServer):
    def ready(self) -> dict[str, Any]:
        return super().ready() | {"schema": "echobench.server/0"}


class SaysAnotherPid(TinyServer):
    def ready(self) -> dict[str, Any]:
        return super().ready() | {"pid": os.getppid()}


class SaysTheDefaultSettings(TinyServer):
    def config(self) -> dict[str, Any]:
        return vars(self.parser().parse_args([]))


class KeepsTheDescriptorLimit(TinyServer):
    def raise_descriptor_limit(self) -> None:
        pass


class TellsNoDescriptorLimit(TinyServer):
    def config(self) -> dict[str, Any]:
        return vars(self.options)


class HasAListenQueueOfItsOwn(TinyServer):
    def listen(self) -> socket.socket:
        listener = super().listen()
        listener.listen(128)
        return listener


class IsReadyTooEarly(TinyServer):
    def listen(self) -> socket.socket:
        listener = socket.socket()
        listener.bind((self.options.host, self.options.port))
        return listener

    def serve_until_stopped(self) -> None:
        time.sleep(0.5)
        self.listener.listen()
        super().serve_until_stopped()


class ChattersOnStdout(TinyServer):
    def start(self, connection: socket.socket) -> None:
        print("hello", flush=True)
        super().start(connection)


class LogsEveryConnection(TinyServer):
    def start(self, connection: socket.socket) -> None:
        print("a connection", file=sys.stderr)
        super().start(connection)


class LogsEveryReset(TinyServer):
    def read(self, connection: socket.socket, echo: Echo) -> bytes:
        try:
            return super().read(connection, echo)
        except ConnectionResetError as error:
            print(error, file=sys.stderr)
            return b""


class ExitsWithOne(TinyServer):
    exit_code = 1


class DiesOfSigterm(TinyServer):
    def watch_signals(self) -> None:
        super().watch_signals()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class IgnoresSigint(TinyServer):
    def watch_signals(self) -> None:
        super().watch_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class SaysNothingAtTheEnd(TinyServer):
    def say(self, line: dict[str, Any]) -> None:
        if line["event"] != "stopped":
            super().say(line)


class TellsNoCpuTime(TinyServer):
    def stopped(self) -> dict[str, Any]:
        return super().stopped() | {"cpu_user_s": 0.0, "cpu_system_s": 0.0}


class TellsNoSwitches(TinyServer):
    def stopped(self) -> dict[str, Any]:
        return super().stopped() | {"voluntary_switches": 0}


class CountsConnectionsThatAreThere(TinyServer):
    def stopped(self) -> dict[str, Any]:
        return super().stopped() | {"connections": len(self.live)}


class CountsEndedConnectionsAsAborted(TinyServer):
    def stopped(self) -> dict[str, Any]:
        return super().stopped() | {"aborted": sum(echo.closing for echo in self.echoes)}


class LeaksADescriptor(TinyServer):
    def forget(self, connection: socket.socket) -> None:
        connection.dup().detach()
        super().forget(connection)


class LeaksAThread(TinyServer):
    def forget(self, connection: socket.socket) -> None:
        super().forget(connection)
        threading.Event().wait()


class LeavesZombies(TinyServer):
    def start(self, connection: socket.socket) -> None:
        super().start(connection)
        if os.fork() == 0:
            os._exit(0)


class ForgetsToReuseTheAddress(TinyServer):
    def configure_listener(self, listener: socket.socket) -> None:
        pass


class _HasAChild(TinyServer):
    """A server with a child that does nothing; correct as it stands."""

    def run(self) -> int:
        self.child = self.fork()
        return super().run()

    def fork(self) -> int:
        is_ready, says_ready = os.pipe()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self.in_child()
            os.write(says_ready, b"!")
            while True:
                signal.pause()
        os.read(is_ready, 1)
        return child

    def in_child(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def stopped(self) -> dict[str, Any]:
        self.end_child()
        return super().stopped()

    def end_child(self) -> int:
        os.kill(self.child, signal.SIGKILL)
        return os.WTERMSIG(os.waitpid(self.child, 0)[1])


class HasAChildInAGroupOfItsOwn(_HasAChild):
    def in_child(self) -> None:
        super().in_child()
        os.setpgid(0, 0)


class HasAChildThatASignalEnds(_HasAChild):
    def in_child(self) -> None:
        super().in_child()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def end_child(self) -> int:
        # A child that is sent two signals ends by the second if it did not run in between.
        select.select([os.pidfd_open(self.child)], [], [], 0.3)
        self.exit_code = int(super().end_child() != signal.SIGKILL)
        return signal.SIGKILL


class LeavesAChild(_HasAChild):
    def in_child(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def end_child(self) -> int:
        return signal.SIGKILL


class LeavesAnOrphanWhenItIsKilled(_HasAChild):
    def in_child(self) -> None:
        pass
