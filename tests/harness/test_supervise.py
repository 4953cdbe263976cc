"""Children that can not get lost: their lines, their ends, what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.interrupts import Interrupted
from harness.supervise import Child, Ended, Line, Watch, end, run_to_end
from tests.harness.programs import ALLOWED_CPUS, eventually, is_gone, python

WAIT_S = 10.0


def start(watch: Watch, source: str) -> Child:
    """Start a program written on the spot."""
    return watch.start("program", python(source), cpus=ALLOWED_CPUS, cwd=None)


def soon() -> float:
    """Return a deadline that is far enough."""
    return time.monotonic() + WAIT_S


def test_lines_come_as_they_are_written_and_then_the_end(watch: Watch) -> None:
    child = start(watch, "print('one'); print('two'); raise SystemExit(3)")
    assert watch.next(soon()) == Line(child, "one")
    assert watch.next(soon()) == Line(child, "two")
    assert watch.next(soon()) == Ended(child, 3)
    watch.close(child)


def test_a_last_line_without_an_end_is_a_line(watch: Watch) -> None:
    child = start(watch, "print('half', end='')")
    last = run_to_end(watch, child, soon())
    assert last is not None
    assert last.lines == ["half"]
    watch.close(child)


def test_a_death_by_signal_is_told_as_its_number(watch: Watch) -> None:
    child = start(watch, "import os; os.kill(os.getpid(), 9)")
    assert watch.next(soon()) == Ended(child, -9)
    watch.close(child)


def test_the_deadline_is_kept_when_nothing_happens(watch: Watch) -> None:
    child = start(watch, "input() if False else __import__('time').sleep(600)")
    assert watch.next(time.monotonic() + 0.05) is None
    end(child, watch, 5)


def test_a_child_that_fills_both_pipes_is_not_stopped_by_them(watch: Watch) -> None:
    flood = "for n in range(3000): print('x' * 100); print('y' * 100, file=sys.stderr)"
    child = start(watch, f"import sys\n{flood}\nsys.stderr.write('end')")
    last = run_to_end(watch, child, soon())
    assert last is not None
    assert len(last.lines) == 3000
    assert child.stderr_tail.endswith("yyy\nend")
    assert len(child.stderr_tail) <= 4096
    watch.close(child)


def test_a_line_that_never_ends_is_cut(watch: Watch) -> None:
    child = start(watch, "import sys, time\nsys.stdout.write('x' * 200_000); time.sleep(600)")
    event = watch.next(soon())
    assert isinstance(event, Line)
    assert set(event.text) == {"x"}
    end(child, watch, 5)


def test_the_end_is_told_although_a_grandchild_holds_the_pipes(watch: Watch) -> None:
    child = start(watch, "import os, time\npid = os.fork()\nif pid == 0: time.sleep(600)\nprint(pid)")
    last = run_to_end(watch, child, soon())
    assert last is not None
    grandchild = int(last.lines[0])
    assert not is_gone(grandchild)
    watch.close(child)
    eventually(lambda: is_gone(grandchild), "the grandchild is killed with its group")


def test_a_grandchild_that_writes_for_ever_does_not_hold_up_the_end(watch: Watch) -> None:
    child = start(watch, "import os\nif os.fork() == 0:\n  while True: os.write(1, b'x' * 4095 + b'\\n')")
    assert run_to_end(watch, child, soon()) is not None
    watch.close(child)


def test_a_child_that_never_stops_writing_does_not_hold_up_deadlines_or_interrupts(watch: Watch) -> None:
    child = start(watch, "import os\nwhile True: os.write(1, b'x\\n' * 2000)")
    assert run_to_end(watch, child, time.monotonic() + 0.2) is None
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted):
        run_to_end(watch, child, soon())
    end(child, watch, 0)


def test_ending_asks_first_and_kills_then(watch: Watch) -> None:
    polite = start(watch, "import signal, time\nsignal.signal(15, lambda *_: exit(4))\nprint(1)\ntime.sleep(600)")
    deaf = start(watch, "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(1)\ntime.sleep(600)")
    assert {type(watch.next(soon())), type(watch.next(soon()))} == {Line}
    end(polite, watch, 5)
    end(deaf, watch, 0.1)
    assert (polite.exit_code, deaf.exit_code) == (4, -9)
    assert is_gone(polite.pid)
    assert is_gone(deaf.pid)


def test_ending_a_child_that_has_ended_does_nothing_to_others(watch: Watch) -> None:
    child, other = start(watch, "pass"), start(watch, "import time; print(1); time.sleep(600)")
    assert run_to_end(watch, child, soon()) is not None
    end(child, watch, 5)
    assert child.exit_code == 0
    assert not is_gone(other.pid)
    end(other, watch, 5)


def test_an_interrupt_comes_out_of_the_wait(watch: Watch) -> None:
    child = start(watch, "import time; time.sleep(600)")
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Interrupted):
        watch.next(soon())
    assert not watch.hurried
    end(child, watch, 5)
    assert is_gone(child.pid)


def test_after_a_second_interrupt_nobody_is_asked(watch: Watch) -> None:
    child = start(watch, "import signal, time\nsignal.signal(15, lambda *_: exit(4))\nprint(1)\ntime.sleep(600)")
    assert isinstance(watch.next(soon()), Line)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            watch.next(soon())
    end(child, watch, 60)
    assert child.exit_code == -signal.SIGKILL


def test_a_child_runs_on_its_cpus_from_the_start_in_a_session_of_its_own(watch: Watch) -> None:
    last = ALLOWED_CPUS[-1]
    source = "import os; print(os.sched_getaffinity(0), os.getsid(0) == os.getpid())"
    child = watch.start("program", python(source), cpus=[last], cwd=Path("/"))
    assert watch.next(soon()) == Line(child, f"{{{last}}} True")
    end(child, watch, 5)


def test_a_command_that_is_not_there_is_told_on_stderr(watch: Watch) -> None:
    child = watch.start("program", ["/no/such/program"], cpus=ALLOWED_CPUS, cwd=None)
    last = run_to_end(watch, child, soon())
    assert last is not None
    assert last.exit_code == 127
    assert child.stderr_tail == "can't start /no/such/program: No such file or directory"
    watch.close(child)


HARNESS = """
import sys, time
from harness.interrupts import Interrupts
from harness.supervise import Guard, Watch
with Interrupts() as interrupts, Guard() as guard, Watch(interrupts, guard) as watch:
    child = watch.start("family", [sys.executable, "-u", "-c", sys.argv[1]], cpus={cpus}, cwd=None)
    print(watch.next(time.monotonic() + 10).text, flush=True)
    time.sleep(600)
"""
FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    time.sleep(600)
print(os.getpid(), child)
time.sleep(600)
"""


def test_a_harness_that_is_killed_takes_the_whole_family_with_it() -> None:
    command = [sys.executable, "-c", HARNESS.format(cpus=ALLOWED_CPUS), FAMILY]
    harness = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert harness.stdout
    pids = [int(word) for word in harness.stdout.readline().split()]
    assert len(pids) == 2
    assert not any(is_gone(pid) for pid in pids)
    harness.kill()
    eventually(lambda: all(is_gone(pid) for pid in pids), "parent and child are killed")
    harness.communicate()


def test_a_program_whose_harness_is_gone_already_does_not_start() -> None:
    launch = Path(__file__).resolve().parents[2] / "harness" / "launch.py"
    someone_else = str(os.getppid())
    command = [sys.executable, "-I", "-S", str(launch), someone_else, "0", "/bin/echo", "started"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "the harness ended before" in ended.stderr
