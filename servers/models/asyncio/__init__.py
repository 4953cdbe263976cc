"""One thread, an asyncio event loop, a buffered protocol per connection.

**Accepts** when the listener is readable; the loop makes a transport of each connection (server.py). **A connection
lives** as a transport and an object of callbacks (callbacks.py); datagrams have one endpoint for all (datagrams.py).
**Blocks:** nothing but the work of a request.

Why `BufferedProtocol` and not `Protocol`: the transport of a `Protocol` reads with `recv(256 KiB)`. The C library maps
memory of that size at every call and unmaps it again, until something frees so large a piece whole and raises its
threshold: the empty read at a disconnect does. Whether a process starts out in the slow state depends on what it
allocated before, which is luck, and it measures the C library, not asyncio (docs/models.md has figures). A
`BufferedProtocol` receives into memory that is there already, and since a chunk is answered before the next is read,
one buffer serves all connections.

What can be compared: `--api protocol` shows that effect, `--api streams` is a coroutine a connection (coroutines.py),
`--loop uvloop` runs the same on another loop, if the package is installed.

**Stops** by reading each connection itself until it would block (everything that had arrived is answered), then ending
it: flush, shut down the sending side, discard what comes until the peer has closed or the linger is over. What is left
at the drain deadline is aborted and counted.

**Breaks first:** one CPU. `hybrid` runs this model in several processes.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Coroutine

from servers.acceptor import Acceptor
from servers.config import ServerConfig
from servers.contract import DatagramProtocol, Kind, StreamProtocol, Variant
from servers.datagrams import Mailbox
from servers.models.asyncio.datagrams import DatagramServer
from servers.models.asyncio.server import Server
from servers.service import Service

SUMMARY = "one thread, an asyncio event loop"
KEEPS_PEERS = False


def _uvloop_unavailable() -> str | None:
    found = importlib.util.find_spec("uvloop")
    return None if found else "the package uvloop is not installed; pip install uvloop"


OPTIONS = {
    "loop": (Variant("uvloop", "the event loop of the uvloop package", _uvloop_unavailable),),
    "api": (
        Variant("protocol", "receives into memory that is allocated for every read", kinds=(Kind.STREAM,)),
        Variant("streams", "a coroutine a connection", kinds=(Kind.STREAM,)),
    ),
}


def parallelism(_config: ServerConfig) -> int | None:
    """Return 1: one thread serves all."""
    return 1


def effective(config: ServerConfig) -> dict[str, str]:
    """Return whose loop and which interface it is (the datagram endpoint's is always the same)."""
    return {"loop": config.loop or "asyncio", "api": config.api or "buffered"}


def serve_stream(service: Service[StreamProtocol], acceptors: list[Acceptor]) -> None:
    """Serve connections until the service is stopped and drained."""
    _run(Server(service, acceptors[0]).serve(), service.config)


def serve_datagrams(service: Service[DatagramProtocol], mailboxes: list[Mailbox]) -> None:
    """Serve datagrams until the service is stopped and drained."""
    _run(DatagramServer(service, mailboxes[0]).serve(), service.config)


def _run(main: Coroutine[None, None, None], config: ServerConfig) -> None:
    # The package is imported when it is chosen, and only then: the servers need nothing but the standard library.
    new_loop = importlib.import_module("uvloop").new_event_loop if config.loop == "uvloop" else None
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main)
