"""The engine: one greenlet that drives all connections of the process and keeps the time.

How it waits. All descriptors are in the engine's own epoll, the system's original one. The engine empties it with
`poll(0)`, which never blocks; when nothing is readable it waits in gevent's hub for the epoll's *own* descriptor, which
becomes readable when one inside does. So a switch of greenlets is paid once a batch and not once a message, and the
rest of Locust lives on the same hub. With `spin` it does not wait at all but polls again.

Slices. The engine runs for some milliseconds at a time (`SLICE_NS`), then looks after everything that is not a reply
(folding, overdue requests, connections that come and go) and lets the other greenlets run. Users never touch the
connections themselves: they put them at the door (`arrivals`, `departures`), because they run while a slice waits in
the hub and the fast path has its columns bound.

How it sleeps, and what it learns from it. One alarm (timerfd) in the epoll is set to the next due time, the end of the
slice or the next whole millisecond, whichever is first. An alarm that comes late is a *pause*: a moment in which the
machine did not run the generator. Spinning, a gap between two clock readings with nothing but an empty poll in between
is one; in either way of waiting, a gap between two replies of one batch, while what is due is sent, or between two
slices. The process's own work (Locust's other greenlets) is no pause: what the CPU clock says was worked meanwhile is
taken off.

Idle is the time waiting in the hub and the time in polls that returned nothing; the rest is busy.
"""

from __future__ import annotations

import select
from dataclasses import dataclass
from itertools import pairwise
from time import monotonic_ns as clock
from time import process_time_ns, thread_time_ns
from typing import Any

import gevent
import gevent.monkey

from harness.schema import ErrorKind
from loadgen.alarm import Alarm
from loadgen.exchange import Exchange
from loadgen.fastpath import BATCH, exchange_until
from loadgen.schedule import Schedule
from loadgen.traffic import Traffic

SLICE_NS = 5_000_000
GRID_NS = 1_000_000
PAUSE_NS = 250_000


def make_epoll() -> select.epoll:
    """Return the system's epoll, also after gevent has taken it out of the `select` module."""
    epoll: select.epoll = gevent.monkey.get_original("select", "epoll")()
    return epoll


@dataclass(frozen=True)
class Meter:
    """What was spent and lost so far; the difference of two is what a window took."""

    at_ns: int
    idle_ns: int
    cpu_ns: int
    pauses: int
    paused_ns: int


class Engine:
    """Runs an exchange of requests in the greenlet that calls `drive`."""

    def __init__(self, exchange: Traffic, spin: bool) -> None:
        self.exchange = exchange
        self.arrivals: list[Any] = []  # connections, or slots under churn
        self.departures: list[Any] = []
        self.halted = False  # `drive` returns at once: the test is being stopped
        self.longest_pause_ns = 0
        self._spin = spin
        self._alarm = Alarm()
        self._alarm_at_ns = 0
        exchange.epoll.register(self._alarm.fd, select.EPOLLIN)
        exchange.lanes.make_room(self._alarm.fd)
        self._hub = gevent.get_hub()
        self._readable = self._hub.loop.io(exchange.epoll.fileno(), 1)  # made here: a fork would share it
        self._idle_ns = self._pauses = self._paused_ns = 0
        self._worked_ns = thread_time_ns()
        self._schedule: Schedule | None = None
        self._due_ns: list[int] = []
        self._picks: list[int] = []
        self._place = 0

    def close(self) -> None:
        """Close all connections and everything of the engine's own."""
        self._readable.close()
        self._let_in_and_out()
        self.exchange.close()
        self._alarm.close()

    # What the load is.

    def start_closed(self, pipeline: int) -> None:
        """Begin a closed load."""
        self.exchange.is_open = False
        self.exchange.start_closed(pipeline)

    def start_open(self, schedule: Schedule) -> None:
        """Begin an open load."""
        self.exchange.is_open = True
        self._schedule = schedule
        self._next_chunk(schedule)

    def stop_load(self) -> None:
        """Send nothing more."""
        self._schedule = None
        self.exchange.stop_sending()

    def settled(self, before_ns: int) -> bool:
        """Tell whether every request due before a time was sent, and is answered or has failed."""
        if self._schedule is not None and self._due_ns[self._place] < before_ns:
            return False
        return self.exchange.settled(before_ns)

    # Time passes.

    def drive(self, until_ns: int) -> None:
        """Carry the load until the monotonic clock passes a time, or `halted` is set."""
        while (now := clock()) < until_ns and not self.halted:
            self._let_in_and_out()
            ends_ns = min(until_ns, now + SLICE_NS)
            if self._schedule is not None:
                self._open_slice(self._schedule, ends_ns)
            elif isinstance(self.exchange, Exchange) and self.exchange.fast:
                exchange_until(self.exchange, ends_ns, self._idle, self._look_for_gaps, PAUSE_NS)
            else:
                self._slice(ends_ns)
            ended_ns, self._worked_ns = clock(), thread_time_ns()
            self._look_after()
            gevent.sleep(0)
            self._take_for_pause(clock() - ended_ns)

    def _let_in_and_out(self) -> None:
        for connection in self.arrivals:
            self.exchange.adopt(connection)
        self.arrivals.clear()
        for connection in self.departures:
            self.exchange.retire(connection)
        self.departures.clear()

    def _look_after(self) -> None:
        now = clock()
        self.exchange.sweep(now)
        if self.exchange.recorder.due_to_fold(now):
            self.exchange.recorder.fold(now)

    def _slice(self, ends_ns: int) -> None:
        """Receive until a time; the exchange itself keeps pipelines full."""
        before = clock()
        while before < ends_ns:
            after = self._receive(before)
            before = after if after != before else self._idle(before, ends_ns)

    def _open_slice(self, schedule: Schedule, ends_ns: int) -> None:
        """Send what is due and receive, until a time."""
        before = clock()
        while before < ends_ns:
            if self._due_ns[self._place] <= before:
                self._send_due(schedule, before)
                now = clock()
                self._take_for_pause(now - before)
                before = now
            after = self._receive(before)
            if after == before and self._due_ns[self._place] > before:
                after = self._idle(before, min(ends_ns, self._due_ns[self._place]))
            before = after

    def _receive(self, before: int) -> int:
        """Receive what there is, and return the time then; the same time when there was nothing."""
        events = self.exchange.epoll.poll(0, BATCH)
        if not events:
            return before
        receive = self.exchange.receive
        for fd, _ in events:
            receive(fd)
        after = clock()
        self._take_for_pause(after - before)
        return after

    def _send_due(self, schedule: Schedule, now: int) -> None:
        """Send what is due, late or not; after `BATCH` of them the replies have their turn.

        Only what is overdue by the whole time-out is not sent any more: it has failed already.
        """
        exchange, limit = self.exchange, now - self.exchange.timeout_ns
        for _ in range(BATCH):
            due_ns, pick = self._due_ns[self._place], self._picks[self._place]
            if due_ns > now:
                return
            self._place += 1
            if self._place == len(self._due_ns):
                self._next_chunk(schedule)
            if not exchange.live:
                exchange.recorder.never_sent(ErrorKind.CLOSED, due_ns, None, now)
            elif due_ns < limit:
                exchange.recorder.never_sent(ErrorKind.TIMEOUT, due_ns, None, now)
            else:
                exchange.send(exchange.live[pick % len(exchange.live)], due_ns)

    def _next_chunk(self, schedule: Schedule) -> None:
        self._due_ns, self._picks = schedule.chunk()
        self._place = 0

    # Waiting.

    def _idle(self, before: int, until_ns: int) -> int:
        """Wait for something readable, at most until a time; spinning, just look at the clock. Returns the time.

        `before` is the time before the poll that found nothing.
        """
        if self._spin:
            now = clock()
            if now - before > PAUSE_NS:
                self._paused(now - before)
        else:
            alarm_ns = min(until_ns, (before // GRID_NS + 1) * GRID_NS)
            if alarm_ns != self._alarm_at_ns:
                self._alarm.set(alarm_ns)
                self._alarm_at_ns = alarm_ns
                self._worked_ns = thread_time_ns()
            self._hub.wait(self._readable)
            now = clock()
            if now >= alarm_ns:
                self._woken_by_alarm(now - alarm_ns)
        self._idle_ns += now - before
        return now

    def _woken_by_alarm(self, overshoot_ns: int) -> None:
        self._alarm_at_ns = 0  # it has gone off: the same time would have to be set again
        self._take_for_pause(overshoot_ns)

    def _take_for_pause(self, gap_ns: int) -> None:
        """Count a gap as a pause, less what the thread has worked since its CPU clock was last read."""
        if gap_ns > PAUSE_NS:
            worked_ns, self._worked_ns = self._worked_ns, thread_time_ns()
            lost_ns = gap_ns - (self._worked_ns - worked_ns)
            if lost_ns > PAUSE_NS:
                self._paused(lost_ns)

    def _look_for_gaps(self, began_ns: int, ended_ns: int, replies: int) -> None:
        """Find the gaps between the clock readings of a batch that took long."""
        readings = [at for at in self.exchange.recorder.columns.received[-replies:] if at > began_ns]
        for earlier, later in pairwise([began_ns, *readings, ended_ns]):
            if later - earlier > PAUSE_NS:
                self._paused(later - earlier)

    def _paused(self, lost_ns: int) -> None:
        self._pauses += 1
        self._paused_ns += lost_ns
        self.longest_pause_ns = max(self.longest_pause_ns, lost_ns)

    def read_meter(self) -> Meter:
        """Return what was spent and lost until now."""
        return Meter(clock(), self._idle_ns, process_time_ns(), self._pauses, self._paused_ns)
