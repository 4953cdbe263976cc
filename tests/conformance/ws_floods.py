"""Floods of frames from several connections at a time, all of them driven by one loop that never blocks."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass

from .peer import Peer

TURN_MS = 10


@dataclass
class Flooder:
    """A connection on which the same frames are sent again and again; `reads` says whether it takes the replies."""

    peer: Peer
    frames: bytes
    reads: bool = True
    rest: memoryview | None = None  # what is left to send of them
    is_over: bool = False

    def go_on(self) -> bool:
        """Send and read what goes at once; tell whether anything was sent."""
        if self.is_over:
            return False
        rest = self.rest or memoryview(self.frames)
        self.rest = self.peer.trade(rest, reads=self.reads)
        self.is_over = self.rest is None
        return self.rest is not None and len(self.rest) < len(rest)


def fill(flooders: list[Flooder]) -> None:
    """Send until none of the connections takes any more; the server stands still."""
    while sum(flooder.go_on() for flooder in flooders):  # all of them, each time
        pass


def flood_while(flooders: list[Flooder], goes_on: Callable[[], bool]) -> None:
    """Keep sending while a condition holds."""
    while goes_on():
        room = select.poll()
        for flooder in flooders:
            if not flooder.is_over:
                room.register(flooder.peer, select.POLLOUT | (select.POLLIN if flooder.reads else 0))
        room.poll(TURN_MS)
        for flooder in flooders:
            flooder.go_on()
