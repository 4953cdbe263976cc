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
from functools import partial
from pathlib import Path
from typing import Any, cast

from servers.acceptor import Acceptor
from servers.config import LINGER_S, WRITE_HIGH_WATER_BYTES, WRITE_LOW_WATER_BYTES, ServerConfig
from servers.contract import COUNTERS, DatagramFactory, Kind, Model, ProtocolFactory, StreamFactory
from servers.datagrams import Mailbox
from servers.listener import effective_backlog, effective_recv_buffer, is_loopback, listen, receive_at
from servers.registry import load_transport
from servers.service import Service
from servers.signals import StopSignal
from servers.tally import Ledger
from servers.work import parse_work

log = logging.getLogger(__name__)

SCHEMA = "echobench.server/1"
_OF_A_WORKER = COUNTERS[:2]  # what the stopped line says of each: connections, messages


def serve(model: Model, protocol_factory: ProtocolFactory, config: ServerConfig) -> int:
    """Serve until a stop signal, print the ready and the stopped line, return the exit code.

    The config's transport says which kind of socket it is and so which kind of protocol `protocol_factory` makes.
    Raises UsageError where the address can't be had.
    """
    limit_descriptors(getattr(model, "most_descriptors", lambda _config: None)(config))
    kind = load_transport(config.transport).KIND
    sockets = open_sockets(model, kind, config)
    if not is_loopback(sockets[0]):
        log.warning("listening on %s: anyone who can reach it can use it, there is no authentication", config.host)
    stop, ledger = StopSignal(config.drain_timeout_s), Ledger()
    stop.install(before_exit=lambda: None)
    ready = ready_line(model, config, sockets[0])
    tally, work = ledger.open(), parse_work(config.work)
    say_ready = partial(_say, ready)
    try:
        if kind is Kind.STREAM:
            streams = cast(StreamFactory, protocol_factory)
            acceptors = [Acceptor(listener, config.max_connections, ledger.live) for listener in sockets]
            model.serve_stream(Service(config, streams, ledger, tally, stop, say_ready, work), acceptors)
        else:
            datagrams = cast(DatagramFactory, protocol_factory)
            mailboxes = [Mailbox(bound) for bound in sockets]
            model.serve_datagrams(Service(config, datagrams, ledger, tally, stop, say_ready, work), mailboxes)
        _say(stopped_line(ledger, counts_connections=kind is Kind.STREAM or model.KEEPS_PEERS))
    finally:
        stop.restore()
    return 0


def open_sockets(model: Model, kind: Kind, config: ServerConfig) -> list[socket.socket]:
    """Return the sockets at which strangers arrive: one, or one for each worker; raises UsageError."""
    count = getattr(model, "entrances", lambda _config: 1)(config)
    return listen(config, count) if kind is Kind.STREAM else receive_at(config, count, for_peers=model.KEEPS_PEERS)


def ready_line(model: Model, config: ServerConfig, bound: socket.socket) -> dict[str, Any]:
    """Return what a server says when it can serve: who and where it is, and its effective settings."""
    host, port = bound.getsockname()[:2]
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
        "parallelism": model.parallelism(config),
        "config": effective_settings(model, config, bound) | {"host": host, "port": port},
    }


def effective_settings(model: Model, config: ServerConfig, bound: socket.socket) -> dict[str, Any]:
    """Return the settings as they work, those that are the same for every server among them."""
    receives = bound.type == socket.SOCK_DGRAM
    return {
        **asdict(config),
        **getattr(model, "effective", lambda _config: {})(config),
        "backlog": effective_backlog(config),
        "recv_buffer": effective_recv_buffer(bound) if receives else config.recv_buffer,
        "descriptor_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "tcp_nodelay": True,
        "write_high_water_bytes": WRITE_HIGH_WATER_BYTES,
        "write_low_water_bytes": WRITE_LOW_WATER_BYTES,
        "linger_s": LINGER_S,
    }


def stopped_line(ledger: Ledger, *, counts_connections: bool) -> dict[str, Any]:
    """Return a server's last words: counts and cost, summed over itself and the children it has reaped."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    totals: dict[str, int | None] = dict(ledger.totals())
    workers: list[dict[str, int | None]]
    workers = [dict(zip(_OF_A_WORKER, branch.sums(), strict=False)) for branch in ledger.branches]
    for counts in (totals, *workers):
        counts["connections"] = counts["connections"] if counts_connections else None
    return {
        "event": "stopped",
        "schema": SCHEMA,
        **totals,
        "workers": workers or None,
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


def limit_descriptors(most: int | None) -> None:
    """Allow this process and its children as many descriptors as the system lets them have, or fewer."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = hard if most is None else most if hard == resource.RLIM_INFINITY else min(hard, most)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (ValueError, OSError) as error:  # macOS has a hard limit that it does not accept
        log.info("can't raise the limit of open files: %s", error)


def _say(line: dict[str, Any]) -> None:
    try:
        print(json.dumps(line), flush=True)
    except BrokenPipeError:  # whoever started the server has gone; that is no reason to end otherwise than it should
        log.warning("nobody reads the %s line: standard output is closed", line["event"])
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
