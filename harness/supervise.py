"""Programs as children that can not get lost: their lines, their end, and their whole process group.

Every child is the leader of a session of its own, started through `launch.py` (a signal kills it when the harness
dies) and entered with the guard (which kills its whole group then). Ctrl-C in the terminal reaches the harness alone,
and the harness decides in which order things end.

One selector in the main thread watches all that can happen: lines on stdout, bytes on stderr, the end of a child, a
signal to the harness, a deadline. So both pipes are read while the child runs (a full pipe would stop it), and nothing
ever waits for the end of a pipe, which grandchildren may hold open for ever. The end of a child is seen through its
process descriptor (`pidfd`) without collecting it: until `close` has killed what is left of its group, the number of
the group can't pass to someone else.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.interrupts import Interrupts
from harness.pinning import cpu_list

LINE_LIMIT_BYTES = 65_536
TAIL_BYTES = 4_096
LAST_WORDS_BYTES = 1_048_576
ISOLATED_PYTHON = (sys.executable, "-I", "-S")
FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Line:
    """A child wrote a line to stdout."""

    child: Child
    text: str


@dataclass(frozen=True)
class Ended:
    """A child ended: its exit code, or minus the number of the signal that killed it."""

    child: Child
    exit_code: int


@dataclass(frozen=True)
class Last:
    """What a child still wrote to stdout before it ended, and how it ended."""

    lines: list[str]
    exit_code: int


class Guard:
    """The program that kills the entered process groups when the harness is gone, however it went."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            [*ISOLATED_PYTHON, str(FOLDER / "guard.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; whatever group is still entered is killed."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def enter_group(self, group: int) -> None:
        """Have a group killed if the harness dies."""
        self._write(f"+{group}\n")

    def strike_group(self, group: int) -> None:
        """Take a group off the list: it has ended."""
        self._write(f"-{group}\n")

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None  # it was opened as a pipe
        # A guard that someone killed is a safety net less, and no reason to lose a run.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


class Child:
    """A started program; `Watch.start` makes it."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # both were opened as pipes
        assert process.stderr is not None
        self.name = name
        self.pid = process.pid
        self.exit_code: int | None = None
        self.process = process
        self.end_fd = os.pidfd_open(process.pid)
        self.stdout_fd = process.stdout.fileno()
        self.stderr_fd = process.stderr.fileno()
        self._line_start = b""
        self._tail = b""

    @property
    def stderr_tail(self) -> str:
        """Return the end of what it wrote to stderr."""
        return self._tail.decode(errors="replace").strip()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, unless it has ended."""
        if self.exit_code is None:
            os.kill(self.pid, number)

    def take_stdout(self, data: bytes) -> list[str]:
        """Return the lines that are complete with these bytes; a line that never ends is cut at 64 KiB."""
        *lines, self._line_start = (self._line_start + data).split(b"\n")
        if len(self._line_start) > LINE_LIMIT_BYTES:
            lines.append(self._line_start)
            self._line_start = b""
        return [line.decode(errors="replace") for line in lines]

    def take_stderr(self, data: bytes) -> None:
        """Keep the end of what was written."""
        self._tail = (self._tail + data)[-TAIL_BYTES:]

    def take_unended_line(self) -> list[str]:
        """Return what stands after the last line's end, when the program has ended."""
        line, self._line_start = self._line_start, b""
        return [line.decode(errors="replace")] if line.strip() else []


class Watch:
    """The one place where the harness waits: for lines and ends of its children, for signals, for deadlines."""

    def __init__(self, interrupts: Interrupts, guard: Guard) -> None:
        self._interrupts = interrupts
        self._guard = guard
        self._selector = selectors.DefaultSelector()
        self._selector.register(interrupts, selectors.EVENT_READ)
        self._events: deque[Line | Ended] = deque()

    def __enter__(self) -> Self:
        """Return itself; children are closed by those who start them."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the selector."""
        self._selector.close()

    @property
    def hurried(self) -> bool:
        """Tell whether the user has asked twice for an end."""
        return self._interrupts.count > 1

    def start(self, name: str, command: Sequence[str], *, cpus: Sequence[int], cwd: Path | None) -> Child:
        """Start a program on these CPUs; call from the main thread only (see `launch.py`).

        Raises OSError when no process can be made, Interrupted instead of starting.
        """
        self._interrupts.check()
        launch = [*ISOLATED_PYTHON, str(FOLDER / "launch.py"), str(os.getpid()), cpu_list(cpus)]
        process = subprocess.Popen(
            [*launch, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=cwd,
        )
        self._guard.enter_group(process.pid)
        child = Child(name, process)
        for descriptor in (child.stdout_fd, child.stderr_fd, child.end_fd):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, child)
        return child

    def next(self, deadline_s: float) -> Line | Ended | None:
        """Return what happened next, or None when `time.monotonic()` has reached the deadline.

        The deadline holds also against a child that never stops writing. Raises Interrupted, once a signal.
        """
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._interrupts.check()
            if self._events:
                return self._events.popleft()
            self.look(left_s)
        return None

    def look(self, at_most_s: float = 0.0) -> None:
        """Take in what has happened; wait for something when nothing has."""
        for key, _ in self._selector.select(at_most_s):
            if isinstance(key.data, Child):
                self._take(key.data, key.fd)

    def close(self, child: Child) -> None:
        """Kill what is left of a child and of its process group, collect it, and forget it."""
        for descriptor in (child.stdout_fd, child.stderr_fd, child.end_fd):
            self._unwatch(descriptor)
        # Its leader is not collected yet, so the group still exists and is the child's own.
        os.killpg(child.pid, signal.SIGKILL)
        killed_with = child.process.wait()
        child.exit_code = killed_with if child.exit_code is None else child.exit_code
        self._guard.strike_group(child.pid)
        os.close(child.end_fd)
        child.process.__exit__(None, None, None)
        self._events = deque(event for event in self._events if event.child is not child)

    def _take(self, child: Child, descriptor: int) -> None:
        if descriptor == child.end_fd:
            self._note_end(child)
        elif not self._read(child, descriptor):
            self._unwatch(descriptor)

    def _read(self, child: Child, descriptor: int) -> int:
        """Read once what a pipe holds; return how much, 0 at its end."""
        data = os.read(descriptor, LINE_LIMIT_BYTES)
        if descriptor == child.stderr_fd:
            child.take_stderr(data)
        else:
            self._events.extend(Line(child, text) for text in child.take_stdout(data))
        return len(data)

    def _note_end(self, child: Child) -> None:
        for descriptor in (child.stdout_fd, child.stderr_fd):
            self._read_last_words(child, descriptor)
        self._events.extend(Line(child, text) for text in child.take_unended_line())
        status = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert status is not None  # only WNOHANG returns None
        child.exit_code = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
        self._events.append(Ended(child, child.exit_code))
        self._unwatch(child.end_fd)

    def _read_last_words(self, child: Child, descriptor: int) -> None:
        """Read what an ended child left in a pipe, bounded: something it started may go on writing."""
        left = LAST_WORDS_BYTES
        with contextlib.suppress(BlockingIOError):
            while left > 0 and (count := self._read(child, descriptor)):
                left -= count

    def _unwatch(self, descriptor: int) -> None:
        with contextlib.suppress(KeyError):  # it was taken out before, at its end
            self._selector.unregister(descriptor)


def run_to_end(watch: Watch, child: Child, deadline_s: float) -> Last | None:
    """Wait until a child has ended and return its last lines and its exit code, or None at the deadline."""
    lines: list[str] = []
    while (event := watch.next(deadline_s)) is not None:
        if event.child is not child:
            continue
        if isinstance(event, Ended):
            return Last(lines, event.exit_code)
        lines.append(event.text)
    return None


def end(child: Child, watch: Watch, patience_s: float) -> None:
    """End a child on any path: SIGTERM, some patience, then SIGKILL for its whole group.

    After a second Ctrl-C there is no patience.
    """
    try:
        if child.exit_code is None and not watch.hurried:
            child.send(signal.SIGTERM)
            run_to_end(watch, child, time.monotonic() + patience_s)
    finally:
        watch.close(child)
