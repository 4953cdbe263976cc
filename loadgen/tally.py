"""The numbers of one window, and those of the whole life of a run. Filled in bulk; both can be added up.

A request belongs to the window in which it was due (closed load: sent), whenever its reply comes; what is *received*
inside the window, whoever it belongs to, is counted apart, because that is what the server worked for in that time.
Every request of the window ends in exactly one way: answered, or failed with a kind. Failed ones (`unanswered` in the
record, the wrong echoes among them) rank as infinite in every percentile.

A failure of a connection counts once for each request that was waiting on it; once when there was none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harness.schema import ErrorKind, Fairness, Load, Second, percentile_state
from loadgen.histogram import Distribution, Ints

NS_PER_S = 1_000_000_000
FOREVER_NS = (1 << 63) - 1


class ByConnection:
    """A count for each connection, by its number."""

    def __init__(self) -> None:
        self._counts: Ints = np.zeros(64, dtype=np.int64)

    def add(self, numbers: Ints) -> None:
        """Count one for every number in the array."""
        counts = np.bincount(numbers, minlength=self._counts.size)
        if counts.size > self._counts.size:
            self._counts = np.pad(self._counts, (0, counts.size - self._counts.size))
        self._counts += counts

    def of(self, numbers: Collection[int]) -> Ints:
        """Return the counts of these connections."""
        asked = np.fromiter(numbers, dtype=np.int64, count=len(numbers))
        found = np.zeros(asked.size, dtype=np.int64)
        known = asked < self._counts.size
        found[known] = self._counts[asked[known]]
        return found


@dataclass(frozen=True)
class ConnectionCounts:
    """An entry a connection: replies inside the window, requests of the window that were answered or failed."""

    replies: Ints
    answered: Ints
    failed: Ints


@dataclass(frozen=True)
class ConnectTimes:
    """How long connections took to stand, and the handshakes over them: none where a transport has none."""

    connect: Distribution = field(default_factory=Distribution)
    handshake: Distribution = field(default_factory=Distribution)

    def merge(self, other: ConnectTimes) -> None:
        """Add those of others."""
        self.connect.merge(other.connect)
        self.handshake.merge(other.handshake)


class Life:
    """All requests of a run, warm-ups included: what Locust's own statistics are fed from."""

    def __init__(self) -> None:
        self.answered = Distribution()
        self.connect_times = ConnectTimes()  # of connections that were made while the load ran
        self.failures: Counter[ErrorKind] = Counter()
        self.failed_requests = 0  # sent and failed
        self.answered_per_s: Counter[int] = Counter()  # by second of the monotonic clock

    @property
    def requests_total(self) -> int:
        """Requests sent and settled; once nothing waits any more, all that were sent."""
        return self.answered.count + self.failed_requests

    def add(self, received: Ints, response: Distribution) -> None:
        """Count answered requests, in the order in which their replies came."""
        self.answered.merge(response)
        while received.size:
            second = int(received[0]) // NS_PER_S
            count = int(np.searchsorted(received, (second + 1) * NS_PER_S))
            self.answered_per_s[second] += count
            received = received[count:]


class WindowTally:
    """What happened in one window. `closes_ns` is `FOREVER_NS` while it is not known yet."""

    def __init__(self, load: Load, opens_ns: int, closes_ns: int, *, lossy: bool = False) -> None:
        self.load = load
        self._lossy = lossy  # a request that is not answered in time is lost, and no error
        self.opens_ns = opens_ns
        self.closes_ns = closes_ns
        self.response = Distribution()
        self.service = Distribution()
        self.lateness = Distribution()
        self.connect_time = Distribution()  # of connections that were begun inside the window
        self.handshake_time = Distribution()  # of those
        self.unconnected = 0  # connections that were begun inside the window and never stood
        self.unshaken = 0  # of those that stood, the ones whose handshake came to nothing
        self.responses = 0  # received inside the window
        self.received_bytes = 0  # of those
        self.answered_in_time = 0  # due and received inside the window
        self.unanswered = 0
        self.unsent = 0
        self.lost = 0
        self.errors: Counter[ErrorKind] = Counter()
        self.late = 0
        self.duplicates = 0
        self.reordered = 0
        self.seconds: list[Second] = []
        self.on_second: Callable[[Second, Distribution], None] | None = None  # called when one is over
        self._told = 0
        self._second = Distribution()
        self._errors_in_second: Counter[int] = Counter()
        self._replies = ByConnection()
        self._answered = ByConnection()
        self._failed = ByConnection()
        self._failed_numbers: list[int] = []
        self._failed_lateness: list[int] = []

    @property
    def answered(self) -> int:
        """Requests of the window that were answered rightly, whenever."""
        return self.response.count

    @property
    def due(self) -> int:
        """Requests of the window (complete once all are settled)."""
        return self.answered + self.unanswered

    def holds(self, at_ns: int) -> bool:
        """Tell whether a time lies inside the window."""
        return self.opens_ns <= at_ns < self.closes_ns

    def hold(self, at_ns: Ints) -> npt.NDArray[np.bool_]:
        """Tell of each of these times whether it lies inside the window."""
        return (at_ns >= self.opens_ns) & (at_ns < self.closes_ns)

    def add(self, received: Ints, sent: Ints, due: Ints, numbers: Ints, all_response: Distribution) -> None:
        """Count answered requests, in the order in which their replies came.

        `all_response` is the distribution of their response times: nearly always all of them belong here, and it need
        not be made again.
        """
        first, end = np.searchsorted(received, [self.opens_ns, self.closes_ns])
        response = received - due
        if end > first:
            self.responses += int(end - first)
            self._replies.add(numbers[first:end])
            if end - first == received.size and received[-1] < self.second_ends_ns():
                self._second.merge(all_response)
            else:
                self._add_to_seconds(received[first:end], response[first:end])
        inside = self.hold(due)
        self.answered_in_time += int(np.count_nonzero(inside[:end]))
        if inside.all():
            self.response.merge(all_response)
        else:
            received, sent, due, numbers = received[inside], sent[inside], due[inside], numbers[inside]
            self.response.add(received - due)
        self._answered.add(numbers)
        if self.load.kind == "open":
            self.service.add(received - sent)
            self.lateness.add(sent - due)

    def add_bytes(self, received: Ints, sizes: Ints) -> None:
        """Count the bytes of answered requests, in the order in which their replies came."""
        first, end = np.searchsorted(received, [self.opens_ns, self.closes_ns])
        self.received_bytes += int(sizes[first:end].sum())

    def fail(self, kind: ErrorKind, due_ns: int, sent_ns: int | None, number: int | None) -> None:
        """Count a failed request of the window; `sent_ns` and `number` are None for one that never went out."""
        if not self.holds(due_ns):
            return
        self.unanswered += 1
        if self._lossy and kind is ErrorKind.TIMEOUT and sent_ns is not None:
            self.lost += 1
        else:
            self.errors[kind] += 1
        if number is not None:
            self._failed_numbers.append(number)
        if sent_ns is None:
            self.unsent += 1
        elif self.load.kind == "open":
            self._failed_lateness.append(sent_ns - due_ns)

    def fold_failures(self) -> None:
        """Count what the failures since the last call have in common with answers: connections and lateness."""
        self._failed.add(np.array(self._failed_numbers, dtype=np.int64))
        self.lateness.add(np.array(self._failed_lateness, dtype=np.int64))
        self._failed_numbers.clear()
        self._failed_lateness.clear()

    def see_error(self, now_ns: int) -> None:
        """Count an error for the second in which it was seen."""
        if self.holds(now_ns):
            self._errors_in_second[(now_ns - self.opens_ns) // NS_PER_S] += 1

    def second_ends_ns(self) -> int:
        """Return when the second at hand ends, or the window if that is sooner."""
        return min(self.opens_ns + (len(self.seconds) + 1) * NS_PER_S, self.closes_ns)

    def _add_to_seconds(self, received: Ints, response: Ints) -> None:
        while received.size:
            end = int(np.searchsorted(received, self.second_ends_ns()))
            self._second.add(response[:end])
            received, response = received[end:], response[end:]
            if received.size:
                self._close_second()

    def advance(self, now_ns: int) -> list[Second]:
        """Close the seconds that are over by now; call it when all replies until now are counted.

        Returns those that were closed since the last call.
        """
        while self.second_ends_ns() <= now_ns and self.opens_ns + len(self.seconds) * NS_PER_S < self.closes_ns:
            self._close_second()
        done, self._told = self._told, len(self.seconds)
        return self.seconds[done:]

    def _close_second(self) -> None:
        index, second = len(self.seconds), self._second
        self.seconds.append(describe_second(index, second, self._errors_in_second.pop(index, 0)))
        self._second = Distribution()
        if self.on_second is not None:
            self.on_second(self.seconds[-1], second)

    def by_connection(self, numbers: Collection[int]) -> ConnectionCounts:
        """Return what each of these connections got."""
        return ConnectionCounts(self._replies.of(numbers), self._answered.of(numbers), self._failed.of(numbers))

    def fairness(self, numbers: Collection[int]) -> Fairness:
        """Return how evenly these connections were served."""
        return fairness(self.load, self.by_connection(numbers))


def describe_second(index: int, responses: Distribution, errors: int) -> Second:
    """Return what is told of a second of a window."""
    p50, p99 = (
        int(responses.value_at(quantile) or 0) if percentile_state(name, responses.count, 0) == "value" else None
        for name, quantile in (("p50", 0.5), ("p99", 0.99))
    )
    return {"index": index, "responses": responses.count, "p50_ns": p50, "p99_ns": p99, "errors": errors}


def fairness(load: Load, counts: ConnectionCounts) -> Fairness:
    """Return how evenly connections were served.

    Jain's index (R. Jain et al., DEC-TR-301, 1984) is taken over replies a connection under closed load, where
    every connection takes what it gets. Under open load a connection gets what chance deals to it: there it is
    taken over the share of its requests that was answered, and one to which nothing was dealt does not count.
    Stalled is a connection without a reply in the window, or (open load) without an answer to what was dealt to it.
    """
    replies, answered = counts.replies, counts.answered
    shares, stalled = replies.astype(np.float64), replies == 0
    if load.kind == "open":
        dealt = answered + counts.failed
        shares, stalled = answered[dealt > 0] / dealt[dealt > 0], (answered == 0) & (dealt > 0)
    squares = float((shares**2).sum())
    return {
        "jain": float(shares.sum()) ** 2 / (shares.size * squares) if squares else None,
        "min": int(replies.min()) if replies.size else 0,
        "max": int(replies.max()) if replies.size else 0,
        "stalled_connections": int(np.count_nonzero(stalled)),
    }
