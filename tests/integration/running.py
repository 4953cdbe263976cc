"""Servers under the integration tests: started, frozen, stopped, looked at from outside, ended on every path."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import servers.models
from harness.memory import read_memory
from harness.proctree import read_tree
from servers import registry

ROOT = Path(__file__).parents[2]
MODELS = registry.names(servers.models)
KEEP_PEERS = ("fork", "thread")  # over UDP these have a process or thread a peer; the others count none
PATIENCE_S = 20.0
_PAUSE_S = 0.001


@dataclass(frozen=True)
class Running:
    """A server that has said ready."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def port(self) -> int:
        """Return the port of the ready line."""
        return int(self.ready["port"])

    @property
    def pid(self) -> int:
        """Return the root's process id, which is its process group too."""
        return self.process.pid

    def runs(self) -> bool:
        """Tell whether the root has not ended."""
        return self.process.poll() is None

    def freeze(self) -> None:
        """Stop every process of the group in its tracks; the kernel goes on receiving for them."""
        os.killpg(self.pid, signal.SIGSTOP)
        eventually(lambda: all(status == psutil.STATUS_STOPPED for status in _statuses(self.pid)), "it stands still")

    def terminate(self) -> None:
        """Ask the root to drain; a frozen one sees it when it thaws."""
        self.process.send_signal(signal.SIGTERM)

    def thaw(self) -> None:
        """Let the group go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def stopped_line(self) -> dict[str, Any]:
        """Wait for the end of a server that was asked to drain, and return its last line."""
        said = self.process.communicate(timeout=PATIENCE_S)[0].splitlines()
        assert (self.process.returncode, len(said)) == (0, 1), f"exit code {self.process.returncode}, said {said}"
        stopped: dict[str, Any] = json.loads(said[0])
        assert stopped["event"] == "stopped"
        return stopped

    def stop(self) -> dict[str, Any]:
        """Drain the server and return its last line."""
        self.terminate()
        return self.stopped_line()

    def processes(self) -> int:
        """Return how many processes the tree has."""
        return len(read_tree(self.pid))

    def own_bytes(self) -> int:
        """Return the memory of the tree without the pages of files.

        Those are shared with whoever runs the same Python, and a tree's part of them grows with its processes.
        """
        memory = read_memory(self.pid)
        assert memory is not None, "the server has gone"
        return memory.own_pss_bytes


def eventually(condition: Callable[[], bool], sentence: str) -> None:
    """Look until something is so that only shows in /proc; fails after `PATIENCE_S`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{sentence} (waited {PATIENCE_S:g} s)"
        time.sleep(_PAUSE_S)


def command(model: str, transport: str, *options: str) -> list[str]:
    """Return the command of one of our servers."""
    return [sys.executable, "-m", "servers", "--model", model, "--transport", transport, *options]


@contextlib.contextmanager
def started(arguments: list[str]) -> Iterator[Running]:
    """Run a server that prints a ready line."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{' '.join(arguments)} did not start"
        yield Running(process, json.loads(line))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _statuses(pid: int) -> Iterator[str]:
    root = psutil.Process(pid)
    for member in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended before the signal came
            if (status := member.status()) != psutil.STATUS_ZOMBIE:
                yield status
