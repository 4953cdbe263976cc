"""A server's life: listen, say ready, serve, drain, say stopped.

`serve` is the whole of it, and an API: a benchmark calls it with a protocol of its own, for instance one that echoes
without parsing. What is said on stdout are two lines of JSON (`echobench.server/1`): *ready* when connections are
served, *stopped* with the counts and the cost of the whole process tree, when every child has been reaped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import resource
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from servers.config import LINGER_S, WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES, ServerConfig
from servers.contract import Model, ProtocolFactory
from servers.listener import Acceptor, effective_backlog, is_loopback, listen
from servers.service import Service
from servers.signals import StopSignal
from servers.tally import Ledger

log = logging.getLogger(__name__)

SCHEMA = "echobench.server/1"


def serve(model: Model, protocol_factory: ProtocolFactory, config: ServerConfig) -> int:
    """Serve until a stop signal, print the ready and the stopped line, return the exit code.

    Raises UsageError where the address can't be had.
    """
    raise_descriptor_limit()
    parallelism = model.parallelism(config)
    listeners = listen(config, parallelism or 1)
    if not is_loopback(listeners[0]):
        log.warning("listening on %s: anyone who can reach it can use it, there is no authentication", config.host)
    stop, ledger = StopSignal(config.drain_timeout_s), Ledger()
    stop.install(before_exit=lambda: None)
    ready = ready_line(config, listeners[0], parallelism)
    service = Service(config, protocol_factory, ledger, ledger.open(), stop, ready=lambda: _say(ready))
    try:
        model.serve_stream(service, [Acceptor(listener) for listener in listeners])
        _say(stopped_line(ledger))
    finally:
        stop.restore()
    return 0


def ready_line(config: ServerConfig, listener: socket.socket, parallelism: int | None) -> dict[str, Any]:
    """Return what a server says when it can serve: who and where it is, and its effective settings."""
    host, port = listener.getsockname()[:2]
    workers = parallelism if (parallelism or 1) > 1 else config.workers
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "event": "ready",
        "schema": SCHEMA,
        "model": config.model,
        "transport": config.transport,
        "host": host,
        "port": port,
        "pid": os.getpid(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "gil": gil,
        "code": code_hash(),
        "parallelism": parallelism,
        "config": effective_settings(config) | {"host": host, "port": port, "workers": workers},
    }


def effective_settings(config: ServerConfig) -> dict[str, Any]:
    """Return the settings as they work, those that are the same for every server among them."""
    return asdict(config) | {
        "backlog": effective_backlog(config),
        "tcp_nodelay": True,
        "write_high_water_bytes": WRITE_HIGH_WATER_BYTES,
        "write_low_water_bytes": WRITE_LOW_WATER_BYTES,
        "linger_s": LINGER_S,
    }


def stopped_line(ledger: Ledger) -> dict[str, Any]:
    """Return a server's last words: counts and cost, summed over itself and the children it has reaped."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "event": "stopped",
        "schema": SCHEMA,
        **ledger.totals(),
        "cpu_user_s": sum(usage.ru_utime for usage in usages),
        "cpu_system_s": sum(usage.ru_stime for usage in usages),
        "voluntary_switches": sum(usage.ru_nvcsw for usage in usages),
        "involuntary_switches": sum(usage.ru_nivcsw for usage in usages),
    }


def code_hash() -> str:
    """Return a hash of the server code that runs: a comparison of two versions must not compare one with itself."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def raise_descriptor_limit() -> None:
    """Allow this process and its children as many descriptors as the system lets them have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:  # macOS has a hard limit that it does not accept
        log.info("can't raise the limit of open files: %s", error)


def _say(line: dict[str, Any]) -> None:
    try:
        print(json.dumps(line), flush=True)
    except BrokenPipeError:  # whoever started the server has gone; that is no reason to end otherwise than it should
        log.warning("nobody reads the %s line: standard output is closed", line["event"])
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
