"""What every test has in common, whether one process carries it, a worker its part, or a master conducts workers.

A test runs in a greenlet of its own from its beginning, and is over when that has ended. It ends by itself when it
has measured what it was asked for, or when there is no point in going on; then it ends Locust's test too. Or Locust
ends it (run time, Stop button, a signal); then it has to conclude before Locust stops the users.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any

import gevent
import gevent.event

from harness.schema import LoadRecord
from loadgen.announce import Announcer, UnheardError
from loadgen.conductor import NoResultError, StoppedError
from loadgen.messages import Message
from loadgen.options import PROGRAM, Options
from loadgen.record import write_record
from loadgen.summary import print_summary

EXIT_NO_RESULT = 3
STOPPED = "the test was stopped before its windows were measured, so there is no record"


class Course(ABC):
    """A test that is going on; `over` is set when it is not any more. `begin` starts it."""

    def __init__(self, environment: Any, options: Options) -> None:
        self.over = gevent.event.Event()
        self._environment = environment
        self._options = options
        self._ended_by_locust = False
        self._greenlet = gevent.Greenlet(self._run)
        self._greenlet.link_exception(self._crashed)

    def begin(self) -> None:
        """Start the greenlet."""
        self._greenlet.start()

    # What Locust's events bring.

    @abstractmethod
    def all_spawned(self, users: int) -> None:
        """Tell that Locust has spawned the users asked for; later changes of their number do not matter."""

    def hear(self, sender: str, message: Message) -> None:
        """Take a message of another process of the test."""
        raise ValueError(f"a test of a single process hears nothing, and {sender} said {message}")

    def feed(self) -> None:  # noqa: B027  # a master has nothing of its own to pass on
        """Pass on to Locust's statistics what is new."""

    def stop(self) -> None:
        """End the test because Locust stops it; waits for what is still outstanding, a time-out at most."""
        if not self._greenlet.ready():
            self._ended_by_locust = True
            self._halt()
            self._greenlet.join()

    def interrupt(self, exit_code: int) -> None:
        """End the test because of a signal. Windows that were asked for and are not done leave no record."""
        if self._options.window_s is None:
            self.stop()
        elif not self._greenlet.ready():
            self._environment.process_exit_code = exit_code
            self._greenlet.kill()

    # The course of the test.

    @abstractmethod
    def _carry_out(self) -> None:
        """Do what was asked for; raises NoResultError with a sentence, StoppedError, or UnheardError."""

    @abstractmethod
    def _halt(self) -> None:
        """Make `_carry_out` end soon."""

    @abstractmethod
    def _clean_up(self) -> None:
        """Close what is open; runs on every path."""

    def _stopped_early(self) -> None:
        """Deal with StoppedError."""
        self._no_result(STOPPED)

    def _no_result(self, sentence: str) -> None:
        print(f"{PROGRAM}: {sentence}", file=sys.stderr)
        self._environment.process_exit_code = EXIT_NO_RESULT

    def _concluded(self) -> None:
        """Do what is left when the test is over and was not killed."""
        if not self._ended_by_locust:
            gevent.spawn(end_test, self._environment)

    def _run(self) -> None:
        try:
            self._carry_out()
        except (NoResultError, UnheardError) as error:
            self._no_result(str(error))
        except StoppedError:
            self._stopped_early()
        finally:
            self._clean_up()
            self.over.set()
        self._concluded()

    def _crashed(self, _greenlet: gevent.Greenlet) -> None:
        # gevent has printed the traceback: this is a mistake in the program, and nobody would end the test otherwise.
        self._environment.process_exit_code = 1
        gevent.spawn(end_test, self._environment)


def publish(record: LoadRecord, options: Options, announcer: Announcer) -> None:
    """Write the record, or print its summary where no file was asked for; raises NoResultError when that fails."""
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
    announcer.say("done", record=str(options.record), requests_total=record["requests_total"])


def end_test(environment: Any) -> None:
    """Stop the test; without a web interface that ends Locust."""
    if environment.parsed_options.headless:
        environment.runner.quit()
    else:
        environment.runner.stop()
