"""Servers that do one thing wrong, once in a thousand replies, and count what they did.

The counts of a window can only be compared exactly where it is certain that a request belongs to it. A request that is
received before the window closes was due before. That it was due after the window opened is certain

* under closed load, once so many requests were received on its connection since the opening as the connection keeps
  outstanding: the others were sent in reply to what was sent after the opening;
* under open load with constant arrivals, once the load has gone on for so many requests as fit between the moment in
  which the connections stood (before the schedule began) and the opening.

Only such requests are counted here, and only they are treated badly.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.loadgen.peers import response
from tests.loadgen.runs import Bulletin

ONCE_IN = 1000
FIRST_AT = 100

Wrong = Callable[[int, bytes, bytes], list[bytes]]


@dataclass(frozen=True)
class LoadShape:
    """What the server knows of the load that it is under."""

    rate_per_s: float = 0.0  # of an open one with constant arrivals
    pipeline: int = 1


class Inside:
    """Tells which requests certainly belong to the window."""

    def __init__(self, bulletin: Bulletin, shape: LoadShape) -> None:
        self._bulletin = bulletin
        self._shape = shape
        self._received = 0
        self._received_inside: Counter[int] = Counter()

    def holds(self, number: int) -> bool:
        """Tell it of a request just received on a connection."""
        bulletin, shape = self._bulletin, self._shape
        self._received += 1
        if not bulletin.is_open():
            return False
        if shape.rate_per_s:
            before_s = (bulletin.opens_ns - bulletin.connected_ns) / 1e9
            return self._received > before_s * shape.rate_per_s + 1
        self._received_inside[number] += 1
        return self._received_inside[number] > shape.pipeline


class Mischief:
    """Answers rightly, but for one in a thousand of the window's requests."""

    def __init__(self, inside: Inside, wrong: Wrong) -> None:
        self.counted = self.done = 0
        self._inside = inside
        self._wrong = wrong
        self._lock = threading.Lock()

    def __call__(self, number: int, header: bytes, payload: bytes) -> list[bytes]:
        """Return what is sent for a request."""
        with self._lock:
            if self._inside.holds(number):
                self.counted += 1
                if self.counted % ONCE_IN == FIRST_AT:
                    self.done += 1
                    return self._wrong(number, header, payload)
        return [response(header, payload)]


class Swapper:
    """Holds back one in a thousand replies until the next one of its connection has been sent."""

    def __init__(self, inside: Inside) -> None:
        self.counted = self.done = 0
        self._inside = inside
        self._held: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def __call__(self, number: int, header: bytes, payload: bytes) -> list[bytes]:
        """Return what is sent for a request."""
        reply = response(header, payload)
        with self._lock:
            is_inside = self._inside.holds(number)
            self.counted += is_inside
            if number in self._held:
                self.done += 1
                return [reply, self._held.pop(number)]
            if is_inside and self.counted % ONCE_IN == FIRST_AT:
                self._held[number] = reply
                return []
        return [reply]


class Silencer:
    """Falls silent on one connection, in the middle of the window and for good."""

    SILENT = 1

    def __init__(self, inside: Inside, bulletin: Bulletin) -> None:
        self.done = self.done_while_open = self.counted = 0
        self._inside = inside
        self._bulletin = bulletin
        self._lock = threading.Lock()

    def __call__(self, number: int, header: bytes, payload: bytes) -> list[bytes]:
        """Return what is sent for a request."""
        with self._lock:
            self.counted += self._inside.holds(number)
            if number == self.SILENT and self.counted >= FIRST_AT:
                self.done += 1
                self.done_while_open += self._bulletin.is_open()
                return []
        return [response(header, payload)]


def corrupt(number: int, header: bytes, payload: bytes) -> list[bytes]:
    """Answer with one bit turned over."""
    return [response(header, payload[:-1] + bytes([payload[-1] ^ 1]))]


def drop(number: int, header: bytes, payload: bytes) -> list[bytes]:
    """Answer nothing."""
    return []


def twice(number: int, header: bytes, payload: bytes) -> list[bytes]:
    """Answer twice."""
    return [response(header, payload)] * 2
