"""The master of a test that several processes carry: it conducts, merges, and writes the one record.

The windows are measured inside the workers (`loadgen.worker`); Locust spreads the users over them. When all users are
spawned and every worker has told of its connections, the master orders one window after the other, each at a time of
its clock that lies `DELIVERY_NS` ahead, so that the order is there before it. It announces the window and its seconds
on stdout as a single process does, waits until every worker has reported, and merges (`loadgen.merge`). Before it ends
the test it waits for the workers' last word: by then their statistics have reached Locust's, and its number of requests
is the record's.

A worker that is gone takes its part of every window with it, and one that comes in the middle takes over users of the
others: in both cases the run ends with a sentence, and without a record. Messages are only noted when they come; all
that follows from them happens in the test's own greenlet.

What breaks first: the master merges while the next window waits, and that grows with the number of workers.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict
from time import monotonic_ns as clock
from typing import Any

import gevent.event

from harness.schema import ErrorKind, Load, Second, WorkerProcess
from loadgen.announce import Announcer, JsonLines, Silence, say_second, say_window
from loadgen.conductor import (
    NoResultError,
    StoppedError,
    capacity_per_s,
    require_answers,
    say_connected,
    when,
)
from loadgen.course import Course, publish
from loadgen.crew import Crew, Forks
from loadgen.merge import Merged, add_up, merge, merge_second
from loadgen.messages import (
    KIND,
    Close,
    Connected,
    Failed,
    Finish,
    Finished,
    Greeting,
    Here,
    Message,
    SecondReport,
    WindowOrder,
    WindowReport,
    clock_name,
    encode,
)
from loadgen.options import Options
from loadgen.record import load_record, window_record
from loadgen.sweep import expand
from loadgen.tally import FOREVER_NS, NS_PER_S, ConnectTimes

DELIVERY_NS = 150_000_000
LOOK_EVERY_S = 0.05


class MasterSession(Course):
    """A test that this process conducts; `forks` are the workers that it started itself."""

    def __init__(self, environment: Any, options: Options, forks: Forks) -> None:
        super().__init__(environment, options)
        self._announcer: Announcer = JsonLines(sys.stdout) if options.record is not None else Silence()
        self._crew = Crew(environment.runner)
        self._forks = forks
        self._forks.forget_ended()
        self._inbox: deque[tuple[int, Message]] = deque()
        self._news = gevent.event.Event()
        self._users_expected: int | None = None
        self._spawned = gevent.event.Event()
        self._halted = False
        self._look_at_ns = 0
        self._connected: dict[int, Connected] = {}
        self._reports: dict[int, WindowReport] = {}
        self._partial_seconds: dict[int, list[SecondReport]] = {}
        self._seconds: list[Second] = []
        self._finished: dict[int, Finished] = {}
        self._open_window: tuple[int, int] | None = None  # of a window without a length: its index, when it opens
        self._closes_ns = FOREVER_NS

    def begin(self) -> None:
        """Greet the workers, and start the greenlet."""
        for place, member in enumerate(self._crew.members):
            self._tell(member.client_id, Greeting(place, len(self._crew.members), os.getpid(), clock_name()))
        super().begin()

    def all_spawned(self, users: int) -> None:
        """Tell that Locust has spawned the users asked for; later changes of their number do not matter."""
        if self._users_expected is None:
            self._users_expected = users
            self._spawned.set()

    def hear(self, sender: str, message: Message) -> None:
        """Note a worker's message."""
        place = self._crew.place_of(sender)
        if place is not None:
            self._inbox.append((place, message))
            self._news.set()

    def _halt(self) -> None:
        self._halted = True
        self._news.set()

    def _clean_up(self) -> None:
        self._crew.close()

    def _concluded(self) -> None:
        """End the test, but not before Locust has begun it: a master that is stopped while it spawns goes on."""
        if not self._environment.parsed_options.headless and not self._ended_by_locust:
            self._spawned.wait()
        super()._concluded()

    # The course of the test.

    def _carry_out(self) -> None:
        self._await(self._all_users_seen, "before the first window")
        errors = Counter[ErrorKind]()
        for told in self._connected.values():
            errors.update({ErrorKind(kind): count for kind, count in told.errors.items()})
        connected = sum(told.users_connected for told in self._connected.values())
        said = next((told.said for told in self._connected.values() if told.said), None)
        say_connected(self._announcer, self._options.target.url, connected, errors, said)
        measured: list[Merged] = []
        for asked in self._options.loads:
            for load in expand(asked, capacity_per_s(measured)):
                measured.append(self._measure(len(measured), load))
        self._tell_all(Finish())
        self._await(lambda: len(self._finished) == len(self._crew.members), "after the last window")
        self._conclude(measured)

    def _all_users_seen(self) -> bool:
        seen = sum(told.users_seen for told in self._connected.values())
        all_told = len(self._connected) == len(self._crew.members)
        return all_told and self._users_expected is not None and seen >= self._users_expected

    def _measure(self, index: int, load: Load) -> Merged:
        """Have one window measured by all workers, and merge what they report."""
        starts_ns = clock() + DELIVERY_NS
        opens_ns, self._closes_ns = when(self._options, starts_ns)
        self._open_window = (index, opens_ns) if self._closes_ns == FOREVER_NS else None
        self._reports, self._partial_seconds, self._seconds = {}, {}, []
        say_window(self._announcer, index, load, opens_ns, self._closes_ns)
        active = [self._connected[place].active for place in range(len(self._crew.members))]
        self._tell_all(
            WindowOrder(index, asdict(load), starts_ns, opens_ns, self._closes_ns, active, clock(), clock_name())
        )
        self._await(lambda: len(self._reports) == len(self._crew.members), f"in window {index} ({load})")
        for second in sorted(self._partial_seconds):  # a worker that heard late of the end has one more
            self._tell_second(index, self._partial_seconds[second])
        reports = [self._reports[place] for place in range(len(self._crew.members))]
        merged = merge(load, (opens_ns, self._closes_ns), reports, self._seconds)
        said = next((report.said for report in reports if report.said), None)
        require_answers(index, merged.tally, any(report.any_lives for report in reports), said)
        return merged

    def _conclude(self, measured: list[Merged]) -> None:
        options, finished = self._options, self._finished
        windows = [window_record(window, options.timeout_s) for window in measured]
        for stored, window in zip(windows, measured, strict=True):
            stored["workers"] = window.workers
        workers = [self._process(place) for place in range(len(self._crew.members))]
        record = load_record(
            options,
            sum(told.users_seen for told in self._connected.values()),
            ConnectTimes(
                add_up(last.connect_time for last in finished.values()),
                add_up(last.handshake_time for last in finished.values()),
            ),
            sum(last.requests_total for last in finished.values()),
            windows,
            workers=workers,
        )
        publish(record, options, self._announcer)

    def _process(self, place: int) -> WorkerProcess:
        said = self._crew.members[place].here
        assert said is not None  # it is the first that a worker says
        return {
            "worker": place,
            "host": said.host,
            "pid": said.pid,
            "cpus": said.cpus,
            "connections": self._connected[place].users_connected,
            "requests_total": self._finished[place].requests_total,
        }

    # Waiting for the workers.

    def _await(self, condition: Callable[[], bool], doing: str) -> None:
        """Wait until a condition holds; raises NoResultError when a worker is gone, StoppedError when Locust stops."""
        while not condition():
            self._news.wait(LOOK_EVERY_S)
            self._news.clear()
            while self._inbox:
                self._take(*self._inbox.popleft())
            if clock() >= self._look_at_ns:  # not once a message
                self._look_at_ns = clock() + int(LOOK_EVERY_S * NS_PER_S)
                self._look_after(doing)

    def _look_after(self, doing: str) -> None:
        lost = self._crew.lost() or self._forks.ended()
        if lost is not None:
            raise NoResultError(f"{lost} ended {doing}, so there is no record")
        if self._crew.newcomer():
            raise NoResultError(f"a worker joined {doing}, when the load was shared out already: there is no record")
        if self._halted and self._options.window_s is not None:
            raise StoppedError
        if self._halted and self._closes_ns == FOREVER_NS:
            self._close_window()

    def _close_window(self) -> None:
        """Close the window that had no length, if one is open."""
        now = clock()
        if self._open_window is None or now < self._open_window[1]:
            raise StoppedError
        self._closes_ns = now + DELIVERY_NS
        self._tell_all(Close(self._closes_ns, clock(), clock_name()))

    def _take(self, place: int, message: Message) -> None:
        match message:
            case Here():
                self._crew.introduce(place, message)
            case Connected():
                self._connected[place] = message
            case SecondReport():
                self._take_second(message)
            case WindowReport():
                self._reports[place] = message
            case Finished():
                self._finished[place] = message
            case Failed():
                raise NoResultError(f"{self._crew.members[place]} can not go on: {message.sentence}")
            case _:
                raise ValueError(f"a worker does not say {message}")

    def _take_second(self, message: SecondReport) -> None:
        reports = self._partial_seconds.setdefault(message.second, [])
        reports.append(message)
        if len(reports) == len(self._crew.members):
            self._tell_second(message.window, self._partial_seconds.pop(message.second))

    def _tell_second(self, window: int, reports: list[SecondReport]) -> None:
        second = merge_second(reports)
        self._seconds.append(second)
        say_second(self._announcer, window, second)

    def _tell_all(self, message: Message) -> None:
        for member in self._crew.members:
            self._tell(member.client_id, message)

    def _tell(self, client_id: str, message: Message) -> None:
        self._environment.runner.send_message(KIND, encode(message), client_id)
