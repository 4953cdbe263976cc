"""One test: the engine and its conductor, as Locust's users and events meet them.

A session is made when a test starts, in the process that will carry it (nothing of it exists at import, a fork would
share it), and is over when its conductor is. Locust decides when a test begins, who spawns and when it is stopped;
the session decides what is measured. It ends the test itself when it measured the windows it was asked for, or when
there is no point in going on. What it finds goes to a file, to stdout, and into Locust's own statistics.

This module knows Locust's objects only by what it is handed: it does not import Locust.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event

from loadgen.announce import Announcer, JsonLines, Silence, UnheardError
from loadgen.conductor import Conductor, Measured, NoResultError, StoppedError
from loadgen.connection import Connection
from loadgen.dial import DialError, dial, resolve
from loadgen.engine import Engine, make_epoll
from loadgen.exchange import Exchange
from loadgen.locust_stats import Feeder
from loadgen.options import PROGRAM, Options
from loadgen.record import load_record, window_record, write_record
from loadgen.recorder import Recorder
from loadgen.summary import print_summary
from loadgen.tally import NS_PER_S
from loadgen.wire import make_codec

FEED_EVERY_S = 0.5
EXIT_NO_RESULT = 3


class Session:
    """A test that is going on; `over` is set when it is not any more.

    Raises OSError with a sentence when the target has no address, or the system nothing to make an engine of.
    """

    def __init__(self, environment: Any, options: Options, bucket: Callable[[float], float], is_worker: bool) -> None:
        payload = random.Random(options.seed).randbytes(options.payload_bytes)
        codec = make_codec(options.target.transport, payload)
        timeout_ns = int(options.timeout_s * NS_PER_S)
        recorder = Recorder(timeout_ns)
        announcer: Announcer = JsonLines(sys.stdout) if options.record is not None else Silence()
        self.over = gevent.event.Event()
        self._environment = environment
        self._options = options
        self._is_worker = is_worker
        self._ended_by_locust = False
        self._recorder = recorder
        self._socket_type = codec.socket_type
        self._address = resolve(options.target.host, options.target.port, codec.socket_type)
        self._engine = Engine(Exchange(codec, recorder, timeout_ns, make_epoll()), options.spin)
        self._conductor = Conductor(self._engine, options, announcer)
        self._announcer = announcer
        self._feeder = Feeder(recorder.life, codec.transport.upper(), options.payload_bytes, bucket)
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.link_exception(self._crashed)
        if not is_worker:
            gevent.spawn(self._feed_now_and_then)

    # Users.

    def enter(self) -> Connection | None:
        """Connect a user; returns None when that failed (it is counted)."""
        try:
            fd, took_ns = dial(self._address, self._socket_type)
        except DialError as error:
            self._conductor.connect_failed(error.kind)
            return None
        connection = self._engine.exchange.introduce(fd)
        self._conductor.connected(took_ns)
        self._engine.arrivals.append(connection)
        return connection

    def leave(self, connection: Connection) -> None:
        """Let a user's connection go, once what it still waits for has come."""
        if not self.over.is_set():
            self._engine.departures.append(connection)

    def all_spawned(self, users: int) -> None:
        """Tell that Locust has spawned the users asked for; later changes of their number do not matter."""
        if self._conductor.users_expected is None:
            self._conductor.users_expected = users

    # The end.

    def stop(self) -> None:
        """End the test because Locust stops it; waits for what is still outstanding, a time-out at most."""
        if not self._greenlet.ready():
            self._ended_by_locust = True
            self._engine.halted = True
            self._greenlet.join()

    def interrupt(self, exit_code: int) -> None:
        """End the test because of a signal. Windows that were asked for and are not done leave no record."""
        if self._options.window_s is None:
            self.stop()
        elif not self._greenlet.ready():
            self._environment.process_exit_code = exit_code
            self._greenlet.kill()

    def feed(self) -> None:
        """Pass on to Locust's statistics what is new."""
        self._feeder.feed(self._environment.stats)

    def _feed_now_and_then(self) -> None:
        while not self.over.wait(FEED_EVERY_S):
            self.feed()

    def _run(self) -> None:
        try:
            self._conclude(self._conductor.run())
        except (NoResultError, UnheardError) as error:
            self._no_result(str(error))
        except StoppedError:
            self._stopped_early()
        finally:
            self._engine.close()
            self.feed()
            self.over.set()
        if not self._ended_by_locust and not self._is_worker:
            gevent.spawn(end_test, self._environment)

    def _conclude(self, measured: list[Measured]) -> None:
        options, conductor = self._options, self._conductor
        if self._is_worker:
            return
        reply_bytes = self._engine.exchange.codec.reply_bytes
        windows = [window_record(window, options.timeout_s, reply_bytes) for window in measured]
        requests_total = self._recorder.life.requests_total
        record = load_record(options, conductor.users_seen, conductor.connect_time, requests_total, windows)
        if options.record is None:
            try:
                print_summary(record, sys.stdout)
                sys.stdout.flush()
            except OSError as error:
                raise NoResultError(f"can not write the summary to stdout: {error.strerror or error}") from error
            return
        try:
            write_record(record, options.record)
        except OSError as error:
            raise NoResultError(f"can not write the record to {options.record}: {error.strerror or error}") from error
        self._announcer.say("done", record=str(options.record), requests_total=requests_total)

    def _stopped_early(self) -> None:
        if self._options.window_s is None:
            self._engine.halted = False
            self._conductor.fall_silent()
        if not self._is_worker:
            self._no_result("the test was stopped before its windows were measured, so there is no record")

    def _no_result(self, sentence: str) -> None:
        print(f"{PROGRAM}: {sentence}", file=sys.stderr)
        if not self._is_worker:
            self._environment.process_exit_code = EXIT_NO_RESULT

    def _crashed(self, _greenlet: gevent.Greenlet) -> None:
        # gevent has printed the traceback: this is a mistake in the program, and nobody would end the test otherwise.
        self._environment.process_exit_code = 1
        gevent.spawn(end_test, self._environment)


def end_test(environment: Any) -> None:
    """Stop the test; without a web interface that ends Locust."""
    if environment.parsed_options.headless:
        environment.runner.quit()
    else:
        environment.runner.stop()
