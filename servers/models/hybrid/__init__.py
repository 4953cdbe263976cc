"""Prefork and asyncio: an arbiter forks N workers, each an asyncio server with a socket of its own.

**Accepts** in the workers: the arbiter makes N listening sockets on one port (`SO_REUSEPORT`) before the first fork,
one for each worker, and the kernel deals new connections to them by a hash of their addresses. So no lock and no herd
of woken workers; but a connection belongs to its worker even if that one is busy and another is not. **A connection
lives** in one worker, as in `asyncio`; so do all datagrams of one source address. **Blocks:** work in one worker stops
that worker's connections only.

What can be compared: `--inner` is the model that each worker runs. `--accept shared` is the older way to prefork: one
socket for all. Whoever is free takes what comes, but every worker that sleeps is woken for each connection, and who
wakes first takes all there is. (Python's selectors can't ask for `EPOLLEXCLUSIVE`, which wakes one.)

**The arbiter** serves nobody; it replaces workers that die, and ends them so that nothing is lost (arbiter.py).

**Breaks first:** the luck of the hash, with few connections; a worker that dies takes all its connections along.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, cast

from servers.acceptor import Acceptor
from servers.children import fork_unavailable
from servers.config import ServerConfig
from servers.contract import ABORTED, DatagramProtocol, Kind, Model, StreamProtocol, Variant
from servers.datagrams import Mailbox, Responder
from servers.models import asyncio as asyncio_model
from servers.models import selectors as selectors_model
from servers.models.hybrid.arbiter import Arbiter
from servers.service import Service, datagram_buffer

SUMMARY = "prefork and asyncio: worker processes, each with an event loop and a socket"
OPTIONS: dict[str, tuple[Variant, ...]] = {
    "workers": (),
    "inner": (
        Variant("selectors", "each worker runs the model selectors"),
        # Over UDP each worker would have a table of peers, and none of them the whole that --max-peers bounds.
        Variant("thread", "each worker runs the model thread", kinds=(Kind.STREAM,)),
    ),
    "accept": (Variant("shared", "all workers accept from one socket"),),
    **asyncio_model.OPTIONS,
    "selector": (),  # those of the model selectors, where that is inside
}
KEEPS_PEERS = False
LEAST_WORKERS = 2
_INNER = "asyncio"
_HOME = {"loop": "asyncio", "api": "asyncio", "selector": "selectors"}  # inside which model a setting has a meaning

unavailable = fork_unavailable


def contradiction(config: ServerConfig) -> str | None:
    """Return which setting has no meaning with the model inside, None where all have."""
    inner = config.inner or _INNER
    for name, home in _HOME.items():
        if getattr(config, name) is not None and home != inner:
            return f"--{name} has no meaning with --inner {inner}; it goes with --inner {home}"
    for variant in selectors_model.OPTIONS["selector"]:
        if variant.value == config.selector and (reason := variant.unavailable()) is not None:
            return f"--selector {config.selector} is not available here: {reason}"
    return None


def workers(config: ServerConfig) -> int:
    """Return the number of workers: as asked, or the CPUs that this process may run on, at least 2."""
    if config.workers is not None:
        return config.workers
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(LEAST_WORKERS, cpus)


def entrances(config: ServerConfig) -> int:
    """Return the number of sockets: one for each worker, or one."""
    return 1 if config.accept == "shared" else workers(config)


def parallelism(config: ServerConfig) -> int | None:
    """Return the number of workers, None where each connection has a thread of its own."""
    return None if _inner(config).parallelism(config) is None else workers(config)


def effective(config: ServerConfig) -> dict[str, Any]:
    """Return what is inside, how many times, and its own settings."""
    inner: dict[str, str] = getattr(_inner(config), "effective", lambda _config: {})(config)
    return {
        "workers": workers(config), "inner": config.inner or _INNER, "accept": config.accept or "own", **inner
    }  # fmt: skip


def most_descriptors(config: ServerConfig) -> int | None:
    """Return how many descriptors the model inside can tell apart, None where there is no limit."""
    most: int | None = getattr(_inner(config), "most_descriptors", lambda _config: None)(config)
    return most


def serve_stream(service: Service[StreamProtocol], acceptors: list[Acceptor]) -> None:
    """Serve connections until the service is stopped and drained; one worker for each acceptor, or all for one."""

    def abort_waiting(acceptor: Acceptor) -> None:
        service.tally[ABORTED] += sum(1 for connection in acceptor.drain(service.tally))

    Arbiter(service, acceptors, workers(service.config), _inner(service.config).serve_stream, abort_waiting).run()


def serve_datagrams(service: Service[DatagramProtocol], mailboxes: list[Mailbox]) -> None:
    """Serve datagrams until the service is stopped and drained; one worker for each mailbox, or all for one."""

    def answer_waiting(mailbox: Mailbox) -> None:
        protocol = service.new_protocol(service.tally)
        responder = Responder(mailbox.socket, protocol, datagram_buffer(service.config), service.tally, service.work)
        responder.respond_to_rest(service.stop.remaining_s)

    Arbiter(service, mailboxes, workers(service.config), _inner(service.config).serve_datagrams, answer_waiting).run()


def _inner(config: ServerConfig) -> Model:
    return cast(Model, importlib.import_module(f"servers.models.{config.inner or _INNER}"))
