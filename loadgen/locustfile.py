"""The Locust file: one user is one connection, and the engine drives them all.

    locust -f loadgen/locustfile.py --host tcp://127.0.0.1:9000 -u 64 --headless -t 30s

works as any Locust file does, the web interface too; `python -m loadgen` is the same thing with arguments translated.
A user connects, hands its connection to the process's engine and waits for the end of the test; spawning, ramps,
shapes and user counts keep their meaning. What windows mean here stands in `loadgen.options`.

With `--processes N`, or with a master and workers started by hand, on this host or others,

    locust -f loadgen/locustfile.py --master --expect-workers 2 --headless --host tcp://10.0.0.1:9000 -u 64 --window 5
    locust -f loadgen/locustfile.py --worker --master-host 10.0.0.2

the load is one load and the record one record: the master conducts (`loadgen.master`), the workers measure. The master
hands its options to the workers, all but `--cpus`: each fork of `--processes` gets one CPU of that list, in turn.

A load shape is a file of its own, which Locust takes beside this one (`-f loadgen/locustfile.py,shape.py`), or which
begins with `from loadgen.locustfile import *`:

    class Steps(LoadTestShape):
        def tick(self):
            return (10 * (1 + self.get_run_time() // 10), 10) if self.get_run_time() < 60 else None

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

from loadgen.churn import Slot
from loadgen.connection import Connection
from loadgen.course import EXIT_NO_RESULT, Course, end_test
from loadgen.crew import Forks
from loadgen.leash import die_with
from loadgen.limits import LimitError, pin, provide_descriptors, require_linux
from loadgen.master import MasterSession
from loadgen.messages import KIND, Failed, Greeting, clock_name, decode
from loadgen.options import PROGRAM, Options, UsageError, add_to_locust, parse_cpus
from loadgen.session import EXIT_ENDED, Session, WorkerSession, tell_master

CSV_REST_S = 0.2
REST_S = 0.1
WATCH_EVERY_S = 0.1
IMPORTED_BY = os.getpid()  # Locust imports this file before it forks

logger = logging.getLogger(__name__)


class Wiring:
    """Locust's events, and the test at hand."""

    def __init__(self) -> None:
        self.session: Session | None = None  # of the users of this process
        self._course: Course | None = None
        self._environment: Any = None
        self._forks = Forks()
        self._greeting: Greeting | None = None  # of the master of this worker
        self._may_be_forked = False
        self._refused = False  # the test that Locust has started can't be made
        self._interrupted = False

    def add_options(self, parser: Any, **_: Any) -> None:
        """Add ours to Locust's options."""
        if parser.prog == PROGRAM:
            parser._default_config_files = []  # a complete command line: no locust.conf lying about adds to it
        add_to_locust(parser)
        self._may_be_forked = True

    def forked(self) -> None:
        """Tie a worker that Locust forks to its parent: it does so when options are known, and before `init`."""
        if self._may_be_forked and self._environment is None:
            die_with(IMPORTED_BY)

    # The life of a process.

    def init(self, environment: Any, runner: Any, **_: Any) -> None:
        """Check what can be checked before a test starts; a mistake ends the process with one sentence."""
        self._environment = environment
        # Now, so that it comes before Locust's own, which in a master ends the workers: listeners run in reverse order.
        environment.events.quitting.add_listener(self.quitting)
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        try:
            require_linux()
        except LimitError as error:
            _exit(error, EXIT_NO_RESULT)
        try:
            self._init_by_role(environment, runner)
        except (UsageError, LimitError) as error:
            _exit(error, 2)

    def _init_by_role(self, environment: Any, runner: Any) -> None:
        options = environment.parsed_options
        if isinstance(runner, WorkerRunner):
            _provide_for_worker(options, runner)
        elif environment.host or options.headless:
            self._read_options()
        if isinstance(runner, LocalRunner):
            provide_descriptors(options.num_users or 0)
        else:
            runner.register_message(KIND, self._hear)
        if isinstance(runner, MasterRunner) and options.processes:
            self._forks = Forks.of_this_process()
            if options.headless:
                gevent.spawn(self._watch_forks)

    def _watch_forks(self) -> None:
        """End the process when a worker ends before the test begins: Locust would wait for it."""
        while self._course is None:
            if (ended := self._forks.ended()) is not None:
                _exit(RuntimeError(f"{ended} ended before the test began"), EXIT_NO_RESULT)
            gevent.sleep(WATCH_EVERY_S)

    def _read_options(self) -> Options:
        """Return the options of the test at hand. Records and CPUs are not a worker's affair when a test starts."""
        environment = self._environment
        values, is_worker = environment.parsed_options, isinstance(environment.runner, WorkerRunner)
        options = Options.read(environment.host or "", values, "" if is_worker else values.load_record)
        users = values.num_users or 0
        if users and options.idle >= users:
            raise UsageError(
                f"--idle {options.idle} of {users} users leaves none to carry the load: ask for more users"
            )
        if options.cpus and not is_worker:
            pin(options.cpus)
        return options

    # The life of a test.

    def test_start(self, environment: Any, **_: Any) -> None:
        """Make what carries a test here; when there can be none, say why and end the test."""
        self.session = self._course = environment.process_exit_code = None
        self._refused = False
        try:
            self._course = self._make_course(environment, self._read_options())  # the web form may have changed them
        except (UsageError, LimitError, OSError) as error:
            if isinstance(environment.runner, WorkerRunner):
                tell_master(environment, Failed(str(error)))
                return
            logger.error("%s", error)
            environment.process_exit_code = EXIT_NO_RESULT
            self._refused = True
            if environment.parsed_options.headless or isinstance(environment.runner, LocalRunner):
                gevent.spawn(end_test, environment)
        else:
            self._course.begin()

    def _make_course(self, environment: Any, options: Options) -> Course:
        if isinstance(environment.runner, MasterRunner):
            return MasterSession(environment, options, self._forks)
        if isinstance(environment.runner, WorkerRunner):
            if self._greeting is None:
                raise UsageError("the master does not run the Locust file of this load generator")
            self.session = WorkerSession(environment, options, locust.stats.bucket_response_time, self._greeting)
        else:
            self.session = Session(environment, options, locust.stats.bucket_response_time)
        return self.session

    def _hear(self, environment: Any, msg: Any, **_: Any) -> None:
        message = decode(msg.data)
        if isinstance(message, Greeting):
            self._greeting = message
        elif self._course is not None:
            self._course.hear(msg.node_id, message)

    def spawning_complete(self, user_count: int, **_: Any) -> None:
        """Tell the test that all users are there; a worker is told the number of all, and knows its own."""
        runner = self._environment.runner
        if self._course is not None:
            self._course.all_spawned(user_count if isinstance(runner, MasterRunner) else runner.user_count)
        elif self._refused and isinstance(runner, MasterRunner):  # which, stopped while it spawns, would go on
            gevent.spawn(end_test, self._environment)

    def test_stopping(self, **_: Any) -> None:
        """Let the test conclude before Locust stops the users."""
        if self._course is not None:
            self._course.stop()

    def report_to_master(self, **_: Any) -> None:
        """Bring a worker's statistics up to date before they are sent."""
        if self._course is not None:
            self._course.feed()

    # The end of a process.

    def quitting(self, environment: Any, **_: Any) -> None:
        """End a test that is still going on (SIGTERM), and let the CSV files have their last rows."""
        options = environment.parsed_options
        if self._course is not None:
            self._course.interrupt(128 + signal.SIGTERM)
        elif options.headless and not options.worker and environment.process_exit_code is None:
            environment.process_exit_code = 128 + signal.SIGTERM  # before a test began
        if options.csv_prefix:  # Locust writes them once a second, and not at the end
            gevent.sleep(locust.stats.CSV_STATS_INTERVAL_SEC + CSV_REST_S)

    def _interrupt(self) -> None:
        """End the test on Ctrl-C, the process on the second one.

        The terminal sends it to the forks of `--processes` too: those leave it to their master.
        """
        if self._interrupted:
            os._exit(128 + signal.SIGINT)
        self._interrupted = True
        if self._is_conducted_by_parent() and self._course is not None and not self._course.over.is_set():
            return
        if self._course is not None:
            self._course.interrupt(128 + signal.SIGINT)
        elif self._environment.parsed_options.headless:
            # Before a test began, and perhaps while Locust waits for workers.
            sys.exit(EXIT_ENDED if self._environment.parsed_options.worker else 128 + signal.SIGINT)
        self._environment.runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _is_conducted_by_parent(self) -> bool:
        greeting = self._greeting
        return greeting is not None and greeting.clock_name == clock_name() and greeting.master_pid == os.getppid()


def _provide_for_worker(options: Any, runner: Any) -> None:
    """Give a worker its descriptors and CPUs: a fork of `--processes` one of the list, one started by hand all."""
    users = options.num_users or 0
    provide_descriptors(-(-users // options.processes) if options.processes else users)
    cpus = parse_cpus(options.cpus) if options.cpus else ()
    if cpus:
        pin((cpus[runner.worker_index % len(cpus)],) if os.getpid() != IMPORTED_BY else cpus)


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
os.register_at_fork(after_in_child=wiring.forked)


class EchoUser(User):  # type: ignore[misc]  # locust is typed in part only
    """One connection. The engine sends and receives on it; the user only waits."""

    connection: Connection | Slot | None = None

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
