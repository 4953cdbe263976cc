"""What a model is handed to serve with: the config, the protocol's maker, the counts, the stop signal.

A forked worker gets a `Service` of its own (`in_worker`): another tally row, another stop signal, the same rest.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from servers.config import ServerConfig
from servers.contract import DatagramProtocol, StreamProtocol, Tally
from servers.signals import StopSignal
from servers.tally import Rows
from servers.work import Work

AnyProtocol = TypeVar("AnyProtocol", bound=StreamProtocol | DatagramProtocol)


@dataclass(frozen=True)
class Service(Generic[AnyProtocol]):
    """One service in one process, of streams or of datagrams."""

    config: ServerConfig
    new_protocol: Callable[[Tally], AnyProtocol]
    ledger: Rows
    tally: memoryview
    stop: StopSignal
    ready: Callable[[], object]  # to be called once, when connections are served
    work: Work | None = None  # what each request costs; None where it is only echoed

    def in_worker(
        self, tally: memoryview, stop: StopSignal, ready: Callable[[], object], ledger: Rows | None = None
    ) -> Service[AnyProtocol]:
        """Return the service as a forked worker serves it; `ledger` is where it gives out rows, if not to nobody."""
        return replace(self, tally=tally, stop=stop, ready=ready, ledger=ledger or self.ledger)


def datagram_buffer(config: ServerConfig) -> memoryview:
    """Return a buffer to receive datagrams into: with one byte more, so that a longer one is not taken for whole."""
    return receive_buffer(replace(config, recv_bytes=config.recv_bytes + 1))


def receive_buffer(config: ServerConfig) -> memoryview:
    """Return a buffer of `recv_bytes` to receive into.

    An anonymous mapping: only the pages that a message touched take memory, and no read allocates. Private: a forked
    child must not receive into the memory of another.
    """
    return memoryview(mmap.mmap(-1, config.recv_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
