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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic_ns as clock

import numpy as np

from harness.schema import ErrorKind, Load
from loadgen.announce import Announcer, say_second
from loadgen.engine import Engine, Meter
from loadgen.histogram import Distribution
from loadgen.options import Options
from loadgen.schedule import Schedule
from loadgen.tally import FOREVER_NS, NS_PER_S, WindowTally

AHEAD_NS = 60_000_000
STEP_NS = 5_000_000
COLLECT_EVERY_NS = 60 * NS_PER_S


class NoResultError(Exception):
    """The run has no result; the text is a sentence for the user."""


class StoppedError(Exception):
    """The run was stopped from outside before it was done."""


@dataclass(frozen=True)
class Measured:
    """A window that is over: its counts, what the generator spent in it, and the connections that took part."""

    tally: WindowTally
    opened: Meter
    closed: Meter
    longest_pause_ns: int
    connections: frozenset[int]


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
        self.connect_time = Distribution()
        self.connect_errors: Counter[ErrorKind] = Counter()

    def connected(self, took_ns: int) -> None:
        """Count a user's connection."""
        self.users_seen += 1
        self.users_connected += 1
        if self._engine.exchange.codec.ordered:  # else nobody was asked
            self.connect_time.add(np.array([took_ns]))

    def connect_failed(self, kind: ErrorKind) -> None:
        """Count a user that could not connect."""
        self.users_seen += 1
        self.connect_errors[kind] += 1
        self._recorder.stray(kind, clock())

    def run(self) -> list[Measured]:
        """Carry out the run; raises NoResultError with a sentence, StoppedError, or UnheardError."""
        if self._options.window_s is None:
            return [self._run_until_stopped(self._options.loads[0])]
        self._gather()
        measured = []
        for index, load in enumerate(self._options.loads):
            with _collector_resting():
                self._start(load, index)
                measured.append(self._measure(index, load))
        return measured

    def _run_until_stopped(self, load: Load) -> Measured:
        """Begin the load with the first user and not with the last, as users of Locust expect."""
        self._wait_until(lambda: self._all_users_seen() or bool(self._engine.exchange.live))
        with _collector_resting():
            self._start(load, 0)
            self._gather()
            return self._measure(0, load)

    def _gather(self) -> None:
        """Wait for all users, and tell how many connected."""
        self._wait_until(self._all_users_seen)
        errors = {kind.value: count for kind, count in self.connect_errors.items()}
        if not self.users_connected:
            how = ", ".join(f"{kind} {count}" for kind, count in errors.items())
            raise NoResultError(f"nothing connected to {self._options.target.url} ({how or 'no user was spawned'})")
        self._announcer.say("connected", connections=self.users_connected, failed=sum(errors.values()), errors=errors)

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
        now = clock()
        opens_ns = now + max(int(self._options.warmup_s * NS_PER_S), AHEAD_NS)
        closes_ns = FOREVER_NS if self._options.window_s is None else opens_ns + int(self._options.window_s * NS_PER_S)
        tally = WindowTally(load, opens_ns, closes_ns, lossy=not self._engine.exchange.codec.ordered)
        tally.errors.update(self.connect_errors)  # these connections are missing in every window
        self._recorder.fold(now)
        self._recorder.window = tally
        self._announcer.say(
            "window",
            index=index,
            load=str(load),
            opens_monotonic_ns=opens_ns,
            closes_monotonic_ns=None if closes_ns == FOREVER_NS else closes_ns,
        )
        self._drive(opens_ns)
        tally.errors.update(self._recorder.ended)  # and those that ended before it opened are, too
        opened, self._engine.longest_pause_ns = self._engine.read_meter(), 0
        self._carry(index, tally)
        closed, longest_pause_ns = self._engine.read_meter(), self._engine.longest_pause_ns
        self._settle(index, tally)
        if not tally.answered:
            why = f"of {tally.due} that were due" if tally.due else "because no connection was left"
            said = f"; {self._recorder.why_ended}" if self._recorder.why_ended else ""
            raise NoResultError(
                f"no request of window {index} ({load}) was answered, {why}{_named(tally.errors)}{said}"
            )
        return Measured(tally, opened, closed, longest_pause_ns, frozenset(self._engine.exchange.numbers))

    def _carry(self, index: int, tally: WindowTally) -> None:
        """Drive until the window closes, telling of its seconds as they end."""
        collect_at_ns = clock() + COLLECT_EVERY_NS
        while (now := clock()) < tally.closes_ns:
            self._engine.drive(tally.second_ends_ns())
            if self._engine.halted:
                if self._options.window_s is not None:
                    raise StoppedError
                self._engine.halted = False
                tally.closes_ns = clock()
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


@contextmanager
def _collector_resting() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _named(errors: Counter[ErrorKind]) -> str:
    return "".join(f", {kind.value} {count}" for kind, count in sorted(errors.items()))
