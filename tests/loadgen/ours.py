"""One of our own servers as a process beside the tests, frozen and thawed where a test wants that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class OurServer:
    """A server of one process that has said ready."""

    url: str
    port: int
    pid: int

    def freeze(self) -> None:
        """Stop it in its tracks, and return when it stands still; the kernel goes on receiving for it."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def our_server(transport: str, model: str = "selectors") -> Iterator[OurServer]:
    """Run a server until the block ends."""
    command = [sys.executable, "-m", "servers", "--model", model, "--transport", transport]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the server did not start"
            port = int(json.loads(line)["port"])
            yield OurServer(f"{transport}://127.0.0.1:{port}", port, process.pid)
        finally:
            process.kill()
