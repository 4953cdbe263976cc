"""The course of a run: connect, then for each load warm up, measure, let the last request settle, fall silent.

One function after the other in one greenlet, the one that drives the engine; nothing here is called for a request.

The window is announced before its warm-up (at the latest `AHEAD_NS` before it opens), so that who reads counters at
its two ends can be there in time. After it closes the load goes on unchanged until the last request of the window is
answered or timed out: a server must not get relief while slow requests of the window are still being waited for. Then
the load stops, what it still had outstanding settles, and the next window begins on quiet connections.

The garbage collector rests while a load runs (everything older is frozen, so that nothing is looked through), and runs
between windows; a window that lasts for minutes is interrupted for it once a minute, which takes about a millisecond.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic_ns as clock
from typing import Protocol

import numpy as np

from harness.schema import ErrorKind, Fairness, Load, Pauses, Second
from loadgen.announce import Announcer, say_second, say_window
from loadgen.engine import Engine, Meter
from loadgen.histogram import Distribution
from loadgen.options import Options
from loadgen.schedule import Schedule
from loadgen.sweep import expand
from loadgen.tally import FOREVER_NS, NS_PER_S, ConnectTimes, WindowTally
from loadgen.traffic import Took

AHEAD_NS = 60_000_000
STEP_NS = 5_000_000
COLLECT_EVERY_NS = 60 * NS_PER_S
logger = logging.getLogger(__name__)


class NoResultError(Exception):
    """The run has no result; the text is a sentence for the user."""


class StoppedError(Exception):
    """The run was stopped from outside before it was done."""


class Windowed(Protocol):
    """A window that is over, of one process or of several."""

    @property
    def tally(self) -> WindowTally:
        """Its counts."""
        ...


@dataclass(frozen=True)
class Measured:
    """A window that is over: its counts, what the generator spent in it, and the connections that took part."""

    tally: WindowTally
    opened: Meter
    closed: Meter
    longest_pause_ns: int
    connections: frozenset[int]

    @property
    def busy_fraction(self) -> float:
        """The part of the time in which the generator did not wait."""
        waited = (self.closed.idle_ns - self.opened.idle_ns) / (self.closed.at_ns - self.opened.at_ns)
        return min(1.0, max(0.0, 1 - waited))

    @property
    def cpu_ns(self) -> int:
        """The CPU time that the generator used."""
        return self.closed.cpu_ns - self.opened.cpu_ns

    @property
    def pauses(self) -> Pauses:
        """When the machine did not run the generator."""
        return {
            "count": self.closed.pauses - self.opened.pauses,
            "total_ns": self.closed.paused_ns - self.opened.paused_ns,
            "max_ns": self.longest_pause_ns,
        }

    @property
    def fairness(self) -> Fairness:
        """How evenly the connections were served."""
        return self.tally.fairness(self.connections)


class Conductor:
    """Takes a run through its windows."""

    def __init__(self, engine: Engine, options: Options, announcer: Announcer) -> None:
        self._engine = engine
        self._recorder = engine.exchange.recorder
        self._options = options
        self._announcer = announcer
        self.users_expected: int | None = None  # known when Locust has spawned them all
        self.users_seen = 0
        self.users_connected = 0
        self.connect_times = ConnectTimes()
        self.connect_errors: Counter[ErrorKind] = Counter()
        self.on_second: Callable[[Second, Distribution], None] | None = None

    def all_connect_times(self) -> ConnectTimes:
        """Return how long all connections took: those of users, and under churn those of requests."""
        times = ConnectTimes()
        times.merge(self.connect_times)
        times.merge(self._recorder.life.connect_times)
        return times

    def connected(self, took: Took | None) -> None:
        """Count a user's connection, or a user that connects as the load wants it."""
        self.users_seen += 1
        self.users_connected += 1
        if took is not None and self._engine.exchange.codec.ordered:  # else nobody was asked
            self.connect_times.connect.add(np.array([took.connect_ns]))
        if took is not None and took.handshake_ns is not None:
            self.connect_times.handshake.add(np.array([took.handshake_ns]))

    def connect_failed(self, kind: ErrorKind, because: str | None = None) -> None:
        """Count a user that could not connect."""
        self.users_seen += 1
        self.connect_errors[kind] += 1
        self._recorder.stray(kind, clock())
        if because is not None:
            logger.info("a user can not connect: %s", because)
            self._recorder.explain(because)

    def run(self) -> list[Measured]:
        """Carry out the run; raises NoResultError with a sentence, StoppedError, or UnheardError."""
        if self._options.window_s is None:
            return [self._run_until_stopped(self._options.loads[0])]
        self._gather()
        measured: list[Measured] = []
        for asked in self._options.loads:
            for load in expand(asked, capacity_per_s(measured)):
                index = len(measured)
                with collector_resting():
                    self._start(load, index)
                    measured.append(self._measure(index, load))
        return measured

    def _run_until_stopped(self, load: Load) -> Measured:
        """Begin the load with the first user and not with the last, as users of Locust expect."""
        self._wait_until(lambda: self._all_users_seen() or bool(self._engine.exchange.live))
        with collector_resting():
            self._start(load, 0)
            self._gather()
            return self._measure(0, load)

    def _gather(self) -> None:
        """Wait for all users, and tell how many connected."""
        self._wait_until(self._all_users_seen)
        url, said = self._options.target.url, self._recorder.why_ended
        say_connected(self._announcer, url, self.users_connected, self.connect_errors, said)

    def _all_users_seen(self) -> bool:
        return self.users_expected is not None and self.users_seen >= self.users_expected

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._drive(clock() + STEP_NS)

    def _start(self, load: Load, index: int) -> None:
        if load.kind == "closed":
            self._engine.start_closed(self._options.pipeline)
        else:
            self._engine.start_open(Schedule(load, self._options.seed, index, clock()))

    def _drive(self, until_ns: int) -> None:
        self._engine.drive(until_ns)
        if self._engine.halted:
            raise StoppedError

    def _measure(self, index: int, load: Load) -> Measured:
        opens_ns, closes_ns = when(self._options, clock())
        say_window(self._announcer, index, load, opens_ns, closes_ns)
        measured = self.measure(index, load, opens_ns, closes_ns)
        require_answers(index, measured.tally, bool(self._engine.exchange.live), self._recorder.why_ended)
        return measured

    def measure(self, index: int, load: Load, opens_ns: int, closes_ns: int) -> Measured:
        """Measure a window of a load that is going on, then let it fall silent."""
        tally = WindowTally(load, opens_ns, closes_ns, lossy=not self._engine.exchange.codec.ordered)
        tally.on_second = self.on_second
        tally.errors.update(self.connect_errors)  # these connections are missing in every window
        self._recorder.fold(clock())
        self._recorder.window = tally
        self._drive(opens_ns)
        tally.errors.update(self._recorder.ended)  # and those that ended before it opened are, too
        opened, self._engine.longest_pause_ns = self._engine.read_meter(), 0
        self._carry(index, tally)
        closed, longest_pause_ns = self._engine.read_meter(), self._engine.longest_pause_ns
        self._settle(index, tally)
        return Measured(tally, opened, closed, longest_pause_ns, frozenset(self._engine.exchange.numbers))

    def _carry(self, index: int, tally: WindowTally) -> None:
        """Drive until the window closes, telling of its seconds as they end."""
        collect_at_ns = clock() + COLLECT_EVERY_NS
        while (now := clock()) < tally.closes_ns:
            # A window without an end may be given one, in which case it must be seen in time.
            ends_ns = tally.second_ends_ns()
            self._engine.drive(ends_ns if tally.closes_ns < FOREVER_NS else min(ends_ns, now + STEP_NS))
            if self._engine.halted:
                if self._options.window_s is not None:
                    raise StoppedError
                self._engine.halted = False
                tally.closes_ns = clock()
            if clock() >= tally.second_ends_ns():
                self._tell_seconds(index, tally)
            if now >= collect_at_ns:
                gc.collect()
                collect_at_ns = now + COLLECT_EVERY_NS

    def _settle(self, index: int, tally: WindowTally) -> None:
        """Go on until the window's last request is answered or has failed, then let everything fall silent."""
        while not self._engine.settled(tally.closes_ns):
            self._drive(clock() + STEP_NS)
        self.fall_silent()
        self._tell_seconds(index, tally)
        self._recorder.window = None

    def fall_silent(self) -> None:
        """Send nothing more, and wait until nothing is outstanding: a time-out at most."""
        self._engine.stop_load()
        while not self._engine.settled(FOREVER_NS):
            self._drive(clock() + STEP_NS)
        self._recorder.fold(clock())

    def _tell_seconds(self, index: int, tally: WindowTally) -> None:
        now = clock()
        self._recorder.fold(now)
        for second in tally.advance(now):
            say_second(self._announcer, index, second)


def when(options: Options, now_ns: int) -> tuple[int, int]:
    """Return when a window opens whose load begins now, and when it closes (ns)."""
    opens_ns = now_ns + max(int(options.warmup_s * NS_PER_S), AHEAD_NS)
    return opens_ns, FOREVER_NS if options.window_s is None else opens_ns + int(options.window_s * NS_PER_S)


def say_connected(
    announcer: Announcer, url: str, connected: int, errors: Mapping[ErrorKind, int], said: str | None
) -> None:
    """Tell how many users connected; raises NoResultError when none did, with what was said about the first."""
    failed = {kind.value: count for kind, count in errors.items()}
    if not connected:
        how = ", ".join(f"{kind} {count}" for kind, count in failed.items())
        raise NoResultError(f"nothing connected to {url} ({how or 'no user was spawned'}){f'; {said}' if said else ''}")
    announcer.say("connected", connections=connected, failed=sum(failed.values()), errors=failed)


def require_answers(index: int, tally: WindowTally, any_lives: bool, said: str | None) -> None:
    """Raise NoResultError where no request of a window was answered: what was due, how that failed, what was said."""
    if tally.answered:
        return
    if tally.due:
        why = f"of {tally.due} that were due"
    elif any_lives:
        why = "because every connection still waited for the answer to an earlier one"
    else:
        why = "because no connection was left"
    counts = {kind.value: count for kind, count in sorted(tally.errors.items())}
    if tally.lost:
        counts["lost"] = tally.lost
    figures = "".join(f", {kind} {count}" for kind, count in counts.items())
    raise NoResultError(
        f"no request of window {index} ({tally.load}) was answered, {why}{figures}{f'; {said}' if said else ''}"
    )


def capacity_per_s(measured: Iterable[Windowed]) -> float:
    """Return the throughput of the closed window measured last, 0 where there was none."""
    closed = [window.tally for window in measured if window.tally.load.kind == "closed"]
    return closed[-1].responses * NS_PER_S / (closed[-1].closes_ns - closed[-1].opens_ns) if closed else 0.0


@contextmanager
def collector_resting() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
