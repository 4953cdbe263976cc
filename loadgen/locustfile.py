"""The Locust file: one user is one connection, and the engine drives them all.

    locust -f loadgen/locustfile.py --host tcp://127.0.0.1:9000 -u 64 --headless -t 30s

works as any Locust file does, the web interface too; `python -m loadgen` is the same thing with arguments translated.
A user connects, hands its connection to the process's engine and waits for the end of the test; spawning, ramps,
shapes and user counts keep their meaning. What windows mean here stands in `loadgen.options`.

With `--processes` or `--worker` every worker drives its own users and reports to the master's statistics. Windows,
records and open loads need one process so far, and are refused there with a sentence.

Everything of a test is made when the test starts, in the process that carries it: this file is imported before Locust
forks. Only the listeners are registered at import; the one for reports to the master has to be, so that it runs before
Locust's own, which packs the statistics.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import gevent
import locust.stats
from locust import User, events, task
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

if not any((Path(folder) / "loadgen").is_dir() for folder in sys.path):  # named by path from another folder
    sys.path.append(str(Path(__file__).parent.parent))

from loadgen.connection import Connection
from loadgen.limits import LimitError, pin, provide_descriptors, require_linux
from loadgen.options import PROGRAM, Options, UsageError, add_to_locust
from loadgen.session import EXIT_NO_RESULT, Session, end_test

CSV_REST_S = 0.2
REST_S = 0.1

logger = logging.getLogger(__name__)


class Wiring:
    """Locust's events, and the session of the test at hand."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self._environment: Any = None
        self._interrupted = False

    def add_options(self, parser: Any, **_: Any) -> None:
        """Add ours to Locust's options."""
        if parser.prog == PROGRAM:
            parser._default_config_files = []  # a complete command line: no locust.conf lying about adds to it
        add_to_locust(parser)

    def init(self, environment: Any, runner: Any, **_: Any) -> None:
        """Check what can be checked before a test starts; a mistake ends the process with one sentence."""
        self._environment = environment
        options = environment.parsed_options
        try:
            require_linux()
        except LimitError as error:
            _exit(error, EXIT_NO_RESULT)
        try:
            if environment.host or options.headless:
                self._read_options()
            provide_descriptors(options.num_users or 0)
        except (UsageError, LimitError) as error:
            _exit(error, 2)
        if isinstance(runner, LocalRunner):
            gevent.signal_handler(signal.SIGINT, self._interrupt)

    def _read_options(self) -> Options:
        environment = self._environment
        values = environment.parsed_options
        options = Options.read(environment.host or "", values, values.load_record)
        if not isinstance(environment.runner, LocalRunner):
            several = "with several processes"
            if options.window_s is not None or options.record is not None:
                raise UsageError(f"--window and --load-record can not be used {several} yet")
            if any(load.kind == "open" for load in options.loads):
                raise UsageError(f"an open load can not be used {several} yet: its rate is a total")
        if options.cpus:
            pin(options.cpus)
        return options

    def test_start(self, environment: Any, **_: Any) -> None:
        """Make the session of a test; when there can be none, say why and end the test."""
        self.session, environment.process_exit_code = None, None
        if isinstance(environment.runner, MasterRunner):
            return
        is_worker = isinstance(environment.runner, WorkerRunner)
        try:
            options = self._read_options()  # the web form may have changed them
            self.session = Session(environment, options, locust.stats.bucket_response_time, is_worker)
        except (UsageError, LimitError, OSError) as error:
            logger.error("%s", error)
            environment.process_exit_code = EXIT_NO_RESULT
            gevent.spawn(end_test, environment)

    def spawning_complete(self, **_: Any) -> None:
        """Tell the session that all users are there."""
        if self.session is not None:
            self.session.all_spawned(self._environment.runner.user_count)

    def test_stopping(self, **_: Any) -> None:
        """Let the session end before Locust stops the users."""
        if self.session is not None:
            self.session.stop()

    def report_to_master(self, **_: Any) -> None:
        """Bring a worker's statistics up to date before they are sent."""
        if self.session is not None:
            self.session.feed()

    def quitting(self, environment: Any, **_: Any) -> None:
        """End a session that is still going on (SIGTERM), and let the CSV files have their last rows."""
        if self.session is not None:
            self.session.interrupt(128 + signal.SIGTERM)
        if environment.parsed_options.csv_prefix:  # Locust writes them once a second, and not at the end
            gevent.sleep(locust.stats.CSV_STATS_INTERVAL_SEC + CSV_REST_S)

    def _interrupt(self) -> None:
        """End the test on Ctrl-C, the process on the second one."""
        if self._interrupted:
            os._exit(128 + signal.SIGINT)
        self._interrupted = True
        if self.session is not None:
            self.session.interrupt(128 + signal.SIGINT)
        self._environment.runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()


def _exit(error: Exception, code: int) -> None:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    sys.exit(code)


wiring = Wiring()
events.init_command_line_parser.add_listener(wiring.add_options)
events.init.add_listener(wiring.init)
events.test_start.add_listener(wiring.test_start)
events.spawning_complete.add_listener(wiring.spawning_complete)
events.test_stopping.add_listener(wiring.test_stopping)
events.report_to_master.add_listener(wiring.report_to_master)
events.quitting.add_listener(wiring.quitting)


class EchoUser(User):  # type: ignore[misc]  # locust is typed in part only
    """One connection. The engine sends and receives on it; the user only waits."""

    connection: Connection | None = None

    def on_start(self) -> None:
        """Connect and hand the connection over."""
        self.session = wiring.session
        if self.session is not None:
            self.connection = self.session.enter()

    @task  # type: ignore[untyped-decorator]  # locust is typed in part only
    def stay(self) -> None:
        """Wait for the end of the session, and then for Locust to stop the user."""
        if self.session is not None:
            self.session.over.wait()
        gevent.sleep(REST_S)

    def on_stop(self) -> None:
        """Take the connection back, when the number of users goes down."""
        if self.session is not None and self.connection is not None:
            self.session.leave(self.connection)
