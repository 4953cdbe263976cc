"""The connections of a process, and how users get theirs.

There are two kinds of traffic, by `--mode`: lasting connections (`loadgen.exchange`), or one a request
(`loadgen.churn`). The engine drives either; a user enters through the *door* and holds its connection, or its slot.
"""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import Any, Protocol

from loadgen.churn import Churn, Slot
from loadgen.connection import Connection, Lanes
from loadgen.dial import Address, Sources, dial, shake_hands
from loadgen.exchange import Exchange
from loadgen.options import Options
from loadgen.payload import Payloads
from loadgen.recorder import Recorder
from loadgen.tally import NS_PER_S
from loadgen.wire import ClientCodec, make_codec


class Traffic(Protocol):
    """All connections of a process as the engine drives them."""

    codec: ClientCodec
    recorder: Recorder
    timeout_ns: int
    epoll: select.epoll
    lanes: Lanes
    live: list[Any]  # what requests are dealt to
    numbers: set[int]
    is_open: bool

    @property
    def fast(self) -> bool:
        """Whether the fast path may carry the load."""
        ...

    def adopt(self, member: Any) -> None: ...
    def retire(self, member: Any) -> None: ...
    def close(self) -> None: ...
    def start_closed(self, pipeline: int) -> None: ...
    def stop_sending(self) -> None: ...
    def send(self, member: Any, due_ns: int | None = None) -> None: ...
    def receive(self, fd: int) -> None: ...
    def sweep(self, now: int) -> None: ...
    def settled(self, before_ns: int) -> bool: ...


def make_traffic(options: Options, address: Address, epoll: select.epoll) -> Exchange | Churn:
    """Return the traffic that a run's options ask for, without a connection."""
    codec = make_codec(options.target.transport, Payloads.random(options.shares, options.seed), options.target.url)
    timeout_ns = int(options.timeout_s * NS_PER_S)
    recorder = Recorder(timeout_ns, codec)
    if options.mode == "churn":
        return Churn(codec, recorder, timeout_ns, epoll, address)
    return Exchange(codec, recorder, timeout_ns, epoll)


@dataclass(frozen=True)
class Took:
    """How long a connection took to stand, and the handshake over it, where the transport has one (ns)."""

    connect_ns: int
    handshake_ns: int | None


class Door:
    """Where users enter: the first `idle` of them get a connection that only is held."""

    def __init__(self, traffic: Exchange | Churn, address: Address, idle: int) -> None:
        self._traffic = traffic
        self._address = address
        self._sources = Sources(address)
        self._idle_left = idle

    def enter(self) -> tuple[Connection | Slot, Took | None]:
        """Connect a user; return what it holds and how long that took, None where it connects later.

        Raises DialError.
        """
        traffic = self._traffic
        if isinstance(traffic, Churn):
            return traffic.new_slot(), None
        handshake, handshake_ns, early = traffic.codec.handshake(), None, b""
        fd, connect_ns = dial(self._address, traffic.codec.socket_type, self._sources)
        if handshake is not None:
            handshake_ns = shake_hands(fd, handshake)
            early = handshake.rest
        connection = traffic.introduce(fd, early=early, is_idle=self._idle_left > 0)
        self._idle_left -= connection.is_idle
        return connection, Took(connect_ns, handshake_ns)

    def leave(self, member: Connection | Slot) -> None:
        """Give the place of an idle connection to the next who enters."""
        self._idle_left += isinstance(member, Connection) and member.is_idle
