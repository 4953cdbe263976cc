"""The CPU time of a tree: of children that live, wait to be collected, were collected, or vanish while one looks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import proctree
from harness.proctree import cpu_clock_ns, read_cpu, read_process, read_thread_times, read_tree
from tests.harness.programs import Program, eventually

BURN = """
import os, sys, threading, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
def say(*words): print(*words, flush=True)
"""

# Forks children that burn and then end, or stay; waits for them only when told.
FAMILY = (
    BURN
    + """
ending = []
for _ in range(2):
    ending.append(os.fork())
    if ending[-1] == 0:
        burn(0.1)
        os._exit(0)
staying = os.fork()
if staying == 0:
    burn(0.05)
    open(f"/proc/self/comm", "w").write("a) (b")
    grandchild = os.fork()
    time.sleep(600)
burn(0.05)
for pid in ending: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
say("there")
sys.stdin.readline()
for pid in ending: os.waitpid(pid, 0)
say("collected")
sys.stdin.readline()
os.kill(staying, 9)
say("killed")
sys.stdin.readline()
"""
)
TOLERANCE_NS = 3 * proctree.NS_PER_TICK  # collected time is rounded down once a process, for user and for system time


@pytest.fixture
def family() -> Iterator[Program]:
    """Start a family; its grandchild is killed with its group."""
    with Program("import os; os.setpgid(0, 0)\n" + FAMILY) as program:
        try:
            yield program
        finally:
            os.killpg(program.pid, signal.SIGKILL)


def wait_for_cpu(family: Program, at_least_ns: int) -> int:
    """Return the total once the children that stay have burned theirs."""
    deadline = time.monotonic() + 20
    while (total := read_cpu(family.pid).total_ns) < at_least_ns:
        assert time.monotonic() < deadline, total
        time.sleep(0.01)
    return total


def test_a_tree_holds_children_grandchildren_and_those_not_yet_collected(family: Program) -> None:
    wait_for_cpu(family, 300_000_000)
    tree = read_tree(family.pid)
    assert len(tree) == 5
    assert tree[family.pid].threads == 1
    assert read_tree(family.pid).keys() == tree.keys()


def test_cpu_time_is_counted_once_whether_children_are_collected_or_not(family: Program) -> None:
    before = wait_for_cpu(family, 300_000_000)
    assert before < 1_000_000_000
    assert family.tell() == "collected"
    after = read_cpu(family.pid)
    assert after.settled
    assert after.processes == 3
    assert abs(after.total_ns - before) < TOLERANCE_NS


def test_the_split_of_user_and_system_time_covers_the_whole(family: Program) -> None:
    wait_for_cpu(family, 300_000_000)
    cpu = read_cpu(family.pid)
    ticks_ns = (cpu.user_ticks + cpu.system_ticks) * proctree.NS_PER_TICK
    assert abs(ticks_ns - cpu.total_ns) < 2 * 5 * proctree.NS_PER_TICK  # rounded down for five processes


def test_the_search_through_all_processes_finds_the_same_tree(family: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_cpu(family, 300_000_000)
    tree = read_tree(family.pid)
    monkeypatch.setattr(proctree, "_kernel_lists_children", lambda: False)
    assert read_tree(family.pid).keys() == tree.keys()


def test_a_child_that_vanishes_between_listing_and_reading_is_counted_once(
    family: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = wait_for_cpu(family, 300_000_000)
    read_clock = time.clock_gettime_ns
    answers: list[str] = []

    def collect_children_first(clock: int) -> int:
        if not answers:
            answers.append(family.tell())
        return read_clock(clock)

    monkeypatch.setattr(time, "clock_gettime_ns", collect_children_first)
    cpu = read_cpu(family.pid)
    assert answers == ["collected"]
    assert cpu.settled
    assert abs(cpu.total_ns - before) < TOLERANCE_NS


def test_a_child_that_is_collected_after_its_clock_was_read_is_not_counted_twice(
    family: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = wait_for_cpu(family, 300_000_000)
    read_clock = time.clock_gettime_ns
    reads = iter(range(1_000))

    def collect_children_after_five(clock: int) -> int:
        value = read_clock(clock)
        if next(reads) == 4:
            assert family.tell() == "collected"
        return value

    monkeypatch.setattr(time, "clock_gettime_ns", collect_children_after_five)
    cpu = read_cpu(family.pid)
    assert cpu.settled
    assert abs(cpu.total_ns - before) < TOLERANCE_NS


def test_a_tree_that_never_holds_still_is_read_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    restless = BURN + "say('there')\nwhile sys.stdin.readline():\n  pid = os.fork()\n  pid or os._exit(0)\n  say(pid)"
    with Program(restless) as program:
        read_clock = time.clock_gettime_ns

        def fork_meanwhile(clock: int) -> int:
            program.tell()
            return read_clock(clock)

        monkeypatch.setattr(time, "clock_gettime_ns", fork_meanwhile)
        cpu = read_cpu(program.pid)
    assert not cpu.settled
    assert cpu.total_ns > 0


def test_a_tree_whose_root_is_gone_has_no_processes() -> None:
    with Program("print('there'); input()") as program:
        pid = program.pid
    assert read_process(pid) is None
    assert cpu_clock_ns(pid) is None
    assert read_cpu(pid).processes == 0


def test_a_reading_stands_at_its_instant() -> None:
    at_ns = time.monotonic_ns() + 20_000_000
    assert read_cpu(os.getpid(), at_ns).at_monotonic_ns >= at_ns


def test_each_thread_has_its_own_time() -> None:
    threads = (
        BURN
        + """
def burn_thread():
    end = time.thread_time() + 0.2
    while time.thread_time() < end: pass
    say("burned")
    time.sleep(600)
threading.Thread(target=burn_thread, daemon=True).start()
sys.stdin.readline()
"""
    )
    with Program(threads) as program:
        times = read_thread_times(program.pid)
    assert len(times) == 2
    by_thread = {thread: ran for (_, _, thread), ran in times.items()}
    main_thread_ns = by_thread.pop(program.pid)
    assert max(by_thread.values()) > 190_000_000
    assert main_thread_ns < 190_000_000


def test_the_tree_agrees_with_what_the_process_says_of_itself_and_its_children() -> None:
    source = (
        BURN
        + """
import json, resource
for _ in range(3):
    if os.fork() == 0:
        burn(0.05)
        os._exit(0)
    os.wait()
burn(0.05)
say("there")
sys.stdin.readline()
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
say(json.dumps([usage.ru_utime + usage.ru_stime for usage in used]))
"""
    )
    with Program(source) as program:
        cpu = read_cpu(program.pid)
        itself_s, children_s = json.loads(program.tell())
    assert abs(cpu.total_ns / 1e9 - itself_s - children_s) < 0.03


def counter_of_v1(group: Path) -> int:
    return int((group / "cpuacct.usage").read_text(encoding="ascii"))


def counter_of_v2(group: Path) -> int:
    fields = dict(line.split() for line in (group / "cpu.stat").read_text(encoding="ascii").splitlines())
    return int(fields["usage_usec"]) * 1_000


CONTROL_GROUPS: list[tuple[str, Callable[[Path], int]]] = [
    ("/sys/fs/cgroup/cpuacct", counter_of_v1),
    ("/sys/fs/cgroup/unified", counter_of_v2),
    ("/sys/fs/cgroup", counter_of_v2),
]


@pytest.fixture
def control_group() -> Iterator[tuple[Path, Callable[[Path], int]]]:
    """Make a control group of our own, with the reader of its CPU counter; skip where that is not allowed."""
    for root, counter in CONTROL_GROUPS:
        group = Path(root) / f"echobench-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            counter(group)
            yield group, counter
            return
        except (OSError, KeyError):
            continue
        finally:
            group.rmdir()
    pytest.skip("no control group can be made here")


def test_the_tree_agrees_with_the_counter_of_a_control_group(
    control_group: tuple[Path, Callable[[Path], int]],
) -> None:
    group, counter = control_group
    join = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\n"
    with Program("import os; os.setpgid(0, 0)\n" + join + FAMILY) as program:
        try:
            wait_for_cpu(program, 300_000_000)
            assert program.tell() == "collected"
            difference_ns = read_cpu(program.pid).total_ns - counter(group)
        finally:
            os.killpg(program.pid, signal.SIGKILL)
            eventually(lambda: not (group / "cgroup.procs").read_text(encoding="ascii"), "the group is empty")
    assert -TOLERANCE_NS < difference_ns < 60_000_000  # the interpreter's own start, before it joined


def test_a_tree_of_more_children_than_the_kernel_lists_at_once_is_read_whole() -> None:
    script = """
import os, sys
for _ in range(700):
    if os.fork() == 0:
        sys.stdin.readline()
        os._exit(0)
print("there", flush=True)
sys.stdin.read()
"""
    family = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert family.stdout is not None
        assert family.stdout.readline() == "there\n"
        assert len(read_tree(family.pid)) == 701
    finally:
        os.killpg(family.pid, signal.SIGKILL)
        family.communicate()
