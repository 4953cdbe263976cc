"""One test in a process that carries load: the engine and its conductor, as Locust's users and events meet them.

A session is made when a test starts, in the process that will carry it (nothing of it exists at import, a fork would
share it), and is over when its conductor is. Locust decides when a test begins, who spawns and when it is stopped;
the session decides what is measured. What it finds goes to a file, to stdout, and into Locust's own statistics; that of
a worker goes to its master.

This module knows Locust's objects only by what it is handed: it does not import Locust.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent

from loadgen.announce import Announcer, JsonLines, Silence
from loadgen.churn import Slot
from loadgen.conductor import Conductor
from loadgen.connection import Connection
from loadgen.course import Course, publish
from loadgen.dial import DialError, resolve
from loadgen.engine import Engine, make_epoll
from loadgen.locust_stats import Feeder
from loadgen.merge import pack
from loadgen.messages import KIND, Failed, Finished, Greeting, Message, encode
from loadgen.options import Options
from loadgen.record import load_record, window_record
from loadgen.traffic import Door, make_traffic
from loadgen.wire import socket_type_of
from loadgen.worker import Worker

FEED_EVERY_S = 0.5
EXIT_ENDED = 1


class Session(Course):
    """A test that this process carries alone.

    Raises OSError with a sentence when the target has no address, or the system nothing to make an engine of.
    """

    def __init__(self, environment: Any, options: Options, bucket: Callable[[float], float]) -> None:
        super().__init__(environment, options)
        address = resolve(options.target.host, options.target.port, socket_type_of(options.target.transport))
        traffic = make_traffic(options, address, make_epoll())
        recorder, codec = traffic.recorder, traffic.codec
        self._recorder = recorder
        self._door = Door(traffic, address, options.idle)
        self._engine = Engine(traffic, options.spin)
        self._conductor = self._make_conductor()
        self._feeder = Feeder(recorder.life, codec.transport.upper(), options.mean_payload_bytes, bucket)

    def _make_conductor(self) -> Conductor:
        self._announcer: Announcer = JsonLines(sys.stdout) if self._options.record is not None else Silence()
        return Conductor(self._engine, self._options, self._announcer)

    def begin(self) -> None:
        """Start the greenlets."""
        super().begin()
        gevent.spawn(self._feed_now_and_then)

    # Users.

    def enter(self) -> Connection | Slot | None:
        """Connect a user, or give it a slot under churn; returns None when that failed (it is counted)."""
        try:
            member, took = self._door.enter()
        except DialError as error:
            self._conductor.connect_failed(error.kind, error.because)
            return None
        self._conductor.connected(took)
        self._engine.arrivals.append(member)
        return member

    def leave(self, connection: Connection | Slot) -> None:
        """Let a user's connection go, once what it still waits for has come."""
        if not self.over.is_set():
            self._engine.departures.append(connection)
            self._door.leave(connection)

    def all_spawned(self, users: int) -> None:
        """Tell that Locust has spawned the users asked for; later changes of their number do not matter."""
        if self._conductor.users_expected is None:
            self._conductor.users_expected = users

    # The course of the test.

    def feed(self) -> None:
        """Pass on to Locust's statistics what is new."""
        self._feeder.feed(self._environment.stats)

    def _feed_now_and_then(self) -> None:
        while not self.over.wait(FEED_EVERY_S):
            self.feed()

    def _carry_out(self) -> None:
        options, conductor = self._options, self._conductor
        measured = conductor.run()
        windows = [window_record(window, options.timeout_s) for window in measured]
        requests_total = self._recorder.life.requests_total
        record = load_record(options, conductor.users_seen, conductor.all_connect_times(), requests_total, windows)
        publish(record, options, self._announcer)

    def _halt(self) -> None:
        self._engine.halted = True

    def _clean_up(self) -> None:
        self._engine.close()
        self.feed()

    def _stopped_early(self) -> None:
        self._settle_early()
        super()._stopped_early()

    def _settle_early(self) -> None:
        """Let what is outstanding come in, where the test is one that Locust ends."""
        if self._options.window_s is None:
            self._engine.halted = False
            self._conductor.fall_silent()


class WorkerSession(Session):
    """The part of a test that this process carries for a master: what it finds goes there, its failures too."""

    _worker: Worker

    def __init__(
        self, environment: Any, options: Options, bucket: Callable[[float], float], greeting: Greeting
    ) -> None:
        self._greeting = greeting
        idle, rest = divmod(options.idle, greeting.workers)
        super().__init__(environment, replace(options, idle=idle + (greeting.place < rest)), bucket)

    def _make_conductor(self) -> Conductor:
        self._worker = Worker(self._engine, self._options, self._greeting, self._send)
        return self._worker

    def begin(self) -> None:
        """Start the greenlet; Locust asks for its statistics before it sends them, and reads them at no other time."""
        Course.begin(self)

    def hear(self, sender: str, message: Message) -> None:
        """Take a message of the master."""
        self._worker.hear(message)

    def _halt(self) -> None:
        self._worker.finish()  # a window without a length ends well, and then there must be no waiting for orders
        super()._halt()

    def interrupt(self, exit_code: int) -> None:
        """End this part because of a signal; 1, because Locust's master complains of all codes above it."""
        super().interrupt(EXIT_ENDED)

    def _carry_out(self) -> None:
        self._worker.run()

    def _stopped_early(self) -> None:
        self._settle_early()

    def _no_result(self, sentence: str) -> None:
        self._send(Failed(sentence))

    def _crashed(self, _greenlet: gevent.Greenlet) -> None:
        self._send(Failed("there is a mistake in the program, its traceback stands above"))

    def _concluded(self) -> None:
        """Send Locust its last statistics, then the last word: when the master has that, it has the statistics too."""
        data: dict[str, Any] = {}
        runner = self._environment.runner
        self._environment.events.report_to_master.fire(client_id=runner.client_id, data=data)
        runner.send_message("stats", data)
        times = self._conductor.all_connect_times()
        self._send(Finished(self._recorder.life.requests_total, pack(times.connect), pack(times.handshake)))

    def _send(self, message: Message) -> None:
        tell_master(self._environment, message)


def tell_master(environment: Any, message: Message) -> None:
    """Send a message to the master of this worker."""
    environment.runner.send_message(KIND, encode(message))
