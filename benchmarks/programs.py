"""The programs that the benchmarks run: built, started pinned, stopped, on every path.

The server runs on the first CPU of this process, the client on the second; on a machine with one CPU both share it, and
the header of every table says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODELS = ("fork", "thread", "selectors", "asyncio", "hybrid")
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]
_READY_S = _STOP_S = 10.0


def build(name: str) -> Path:
    """Compile a reference program and return its path; nothing to do when it is newer than its source."""
    folders = (HERE / "reference", HERE.parent / "harness" / "reference")  # the harness calibrates against its servers
    source = next(path for folder in folders if (path := folder / f"{name}.c").exists())
    target = HERE / "build" / name
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", str(target), str(source)], check=True)
    return target


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A server that runs: its ready line (`port` in it), its last words when it was stopped."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.ready = ready
        self._process = process

    @property
    def pid(self) -> int:
        """Return the root's process id: taskset has become the server."""
        return self._process.pid

    def stop(self) -> dict[str, Any]:
        """Stop the server and return its stopped line."""
        self._process.terminate()
        said = self._process.communicate(timeout=_STOP_S)[0].splitlines()
        if self._process.returncode != 0 or not said:
            raise RuntimeError(f"the server ended with {self._process.returncode} and said {said}")
        stopped: dict[str, Any] = json.loads(said[-1])
        return stopped


@contextlib.contextmanager
def running(command: list[str], cpus: Sequence[int] = (SERVER_CPU,)) -> Iterator[Running]:
    """Run a server on its CPU, or on several; whatever it has forked ends with it, on every path."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cpus)), *command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            cwd=HERE.parent,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline() if select.select([process.stdout], [], [], _READY_S)[0] else ""
            if not line:
                errors.seek(0)
                raise RuntimeError(f"{' '.join(command)} did not start: {errors.read()[-500:]}")
            yield Running(process, json.loads(line))
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()


@contextlib.contextmanager
def server(command: list[str]) -> Iterator[dict[str, Any]]:
    """Run a server on its CPU; yield its ready line; stop it by SIGTERM."""
    with running(command) as started:
        yield started.ready


def our_server(model: str, *options: str, transport: str = "tcp") -> list[str]:
    """Return the command of one of our servers."""
    return [sys.executable, "-m", "servers", "--model", model, "--transport", transport, *options]


def reference_server(transport: str = "tcp") -> list[str]:
    """Return the command of the C server of a stream transport on a free port."""
    return [str(build({"tcp": "echo_server", "ws": "ws_echo_server"}[transport])), str(free_port())]


def peer(module: str, *arguments: str) -> list[str]:
    """Return the command of a program in `benchmarks/peers/`."""
    return [sys.executable, "-m", f"benchmarks.peers.{module}", *arguments]


def on_client_cpu(command: list[str], timeout_s: float = 60.0) -> str:
    """Run a client on its CPU and return what it printed."""
    pinned = ["taskset", "-c", str(CLIENT_CPU), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=timeout_s, cwd=HERE.parent, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return done.stdout


def reference_client(
    port: int, seconds: float, *, connections: int = 64, payload: int = 64, raw: bool = False
) -> float:
    """Return the requests/s of the C client's closed load over TCP."""
    load = reference_load(port, seconds, connections=connections, payload=payload, raw=raw)
    return float(load["throughput_per_s"])


def reference_load(
    port: int,
    seconds: float,
    *,
    transport: str = "tcp",
    connections: int = 64,
    payload: int = 64,
    raw: bool = False,
    spin: bool = False,
) -> dict[str, Any]:
    """Return what the C client of a transport says of its closed load; it sleeps until there is a reply, or spins."""
    program = build({"tcp": "echo_client", "udp": "udp_client", "ws": "ws_client"}[transport])
    options = [str(port), str(connections), str(payload), str(seconds)]
    options += (["raw"] if raw else []) + (["spin"] if spin else [])
    load: dict[str, Any] = json.loads(on_client_cpu([str(program), *options]))
    return load


def load_generator(port: int, seconds: float, *options: str, transport: str = "tcp") -> dict[str, Any]:
    """Return the load record of our load generator."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.json"
        url = f"{transport}://127.0.0.1:{port}"
        on_client_cpu([sys.executable, "-m", "loadgen", url, "--window", str(seconds), "--json", str(file), *options])
        record: dict[str, Any] = json.loads(file.read_text())
        return record


def only_cell(plan: str) -> dict[str, Any]:
    """Run a plan of a single cell, given as TOML, as `echobench run` does, and return the cell."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.toml"
        file.write_text(plan)
        words = [sys.executable, "-m", "harness", "run", str(file), "--results", folder]
        done = subprocess.run(words, cwd=HERE.parent, check=False, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"the cell could not be measured: {(done.stdout + done.stderr)[-1000:]}")
        (path,) = Path(folder).glob("*/cells/*.json")
        cell: dict[str, Any] = json.loads(path.read_text())
        return cell


def header(title: str, pinned: str | None = None) -> str:
    """Return the first lines of a table: what, where, when, and on which CPUs (the usual ones if it doesn't say)."""
    shared = " (the machine has one CPU: both share it)" if SERVER_CPU == CLIENT_CPU else ""
    pinned = pinned or f"server on CPU {SERVER_CPU}, client on CPU {CLIENT_CPU}{shared}"
    return (
        f"### {title}\n\n{_cpu_model()}, {len(CPUS)} CPUs, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}; {pinned}.\n"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
