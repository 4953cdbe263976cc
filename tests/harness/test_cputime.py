"""The processes of a tree and its CPU time: children that live, were collected or not, or vanish while one looks."""

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

from harness import cputime, proctree
from harness.cputime import TreeClock, cpu_clock_ns, read_cpu
from harness.procfs import NS_PER_TICK
from harness.proctree import Listing, TreeLister, read_process, read_tree, search_tree, walk_tree
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
TOLERANCE_NS = 3 * NS_PER_TICK  # collected time is rounded down once a process, for user and for system time


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


def test_user_and_system_time_are_told_apart() -> None:
    burning = BURN + "while time.process_time() < 0.3: sum(range(100_000))\nsay('there')\nsys.stdin.readline()"
    reading = """
import os, sys, time
zeros = os.open("/dev/zero", os.O_RDONLY)
while time.process_time() < 0.3: os.read(zeros, 1_000_000)
print("there", flush=True)
sys.stdin.readline()
"""
    with Program(burning) as user, Program(reading) as system:
        burned, read = read_cpu(user.pid), read_cpu(system.pid)
    assert burned.user_sampled_ns > 3 * burned.system_sampled_ns
    assert read.system_sampled_ns > 3 * read.user_sampled_ns


def test_walking_down_and_searching_find_the_same_tree(family: Program) -> None:
    wait_for_cpu(family, 300_000_000)
    walked, searched = walk_tree(family.pid), search_tree(family.pid)
    assert walked.processes.keys() == searched.processes.keys()
    assert len(walked.processes) == 5
    assert family.pid in walked.watched & searched.watched
    assert walked.complete


def test_a_kernel_without_lists_of_children_is_searched(family: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_cpu(family, 300_000_000)
    monkeypatch.setattr(proctree, "_kernel_lists_children", lambda: False)
    assert len(read_tree(family.pid)) == 5
    assert read_cpu(family.pid).processes == 5


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
    assert cpu.processes == 3
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
    restless = (
        BURN
        + """
say("there")
while sys.stdin.readline():
    if os.fork() == 0:
        burn(0.03)
        os._exit(0)
    os.wait()
    say("collected")
"""
    )
    with Program(restless) as program:
        read_clock = time.clock_gettime_ns

        def collect_another(clock: int) -> int:
            program.tell()
            return read_clock(clock)

        monkeypatch.setattr(time, "clock_gettime_ns", collect_another)
        cpu = read_cpu(program.pid)
    assert not cpu.settled
    assert cpu.total_ns > cputime.ATTEMPTS * 20_000_000


def counts(monkeypatch: pytest.MonkeyPatch, *numbers: int | None, threads: int = 10_000) -> None:
    """Have the kernel's last number be these, one a listing."""
    left = iter(numbers)
    monkeypatch.setattr(proctree, "_kernel_counts", lambda: (next(left), threads))


def walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by each listing of a whole tree."""
    made: list[int] = []

    def walk(root_pid: int) -> Listing:
        made.append(root_pid)
        return walk_tree(root_pid)

    monkeypatch.setattr(proctree, "walk_tree", walk)
    return made


def test_who_joins_is_found_by_the_numbers_that_were_given_since(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, parent=1, start=5)}
    fake_proc(monkeypatch, stats)
    made = walks(monkeypatch)
    counts(monkeypatch, 1000, 1000, 1004)
    lister = TreeLister(1000)
    assert lister.list().processes.keys() == lister.list().processes.keys() == {1000}
    # A child, a stranger, a child's child, and a number that ended already.
    stats |= {1001: stat(1001, 1000, 6), 1002: stat(1002, 7, 6), 1004: stat(1004, 1001, 7)}
    listing = lister.list()
    assert listing.processes.keys() == {1000, 1001, 1004}
    assert listing.watched == {1000, 1001}
    assert len(made) == 1


def test_a_process_that_could_not_be_seen_yet_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has its number before it can be seen, also at the first listing."""
    stats = {990: stat(990, parent=1, start=5)}
    fake_proc(monkeypatch, stats)
    counts(monkeypatch, 1000, 1001, 1001, 1001)
    monkeypatch.setattr(proctree, "PENDING_NS", 600_000_000_000)
    lister = TreeLister(990)
    assert lister.list().processes.keys() == {990}
    stats[1000] = stat(1000, parent=990, start=6)
    assert lister.list().processes.keys() == {990, 1000}
    stats[1001] = stat(1001, parent=1000, start=6)
    assert lister.list().processes.keys() == {990, 1000, 1001}
    assert lister.list().processes.keys() == {990, 1000, 1001}


def test_a_number_that_nobody_had_for_long_had_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {990: stat(990, parent=1, start=5)}
    fake_proc(monkeypatch, stats)
    counts(monkeypatch, 1000, 1000, 1000)
    monkeypatch.setattr(proctree, "PENDING_NS", 0)
    lister = TreeLister(990)
    lister.list()
    lister.list()
    stats[1000] = stat(1000, parent=990, start=6)
    assert lister.list().processes.keys() == {990}


def test_a_thread_that_joins_makes_its_process_one_whose_threads_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, parent=1, start=5)}
    threads = {1001: b"Name:\tx\nTgid:\t1000\nPid:\t1001\nPPid:\t1\n"}
    fake_proc(monkeypatch, stats, statuses=threads)
    counts(monkeypatch, 1000, 1001)
    lister = TreeLister(1000)
    assert lister.list().threads == 1
    stats[1000] = stat(1000, parent=1, start=5, threads=2)
    listing = lister.list()
    assert listing.processes.keys() == {1000}
    assert listing.threads == 2


def test_when_numbers_begin_anew_or_are_many_or_unknown_all_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, parent=1, start=5), 400: stat(400, parent=1000, start=9)}
    children = {1000: b""}
    fake_proc(monkeypatch, stats, children)
    made = walks(monkeypatch)
    counts(monkeypatch, 1000, 400, 900, None)
    lister = TreeLister(1000)
    assert lister.list().processes.keys() == {1000}
    children[1000] = b"400 "
    for _ in range(3):
        assert lister.list().processes.keys() == {1000, 400}
    assert len(made) == 4


def test_whose_parent_ended_stays_in_the_tree_that_it_was_seen_in(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, 1, 5), 1001: stat(1001, 1000, 6), 1002: stat(1002, 1001, 7), 1003: stat(1003, 1001, 7)}
    children = {1000: b"1001 ", 1001: b"1002 1003 "}
    fake_proc(monkeypatch, stats, children)
    counts(monkeypatch, *[None] * 3)  # each time all is listed
    lister = TreeLister(1000)
    assert lister.list().processes.keys() == {1000, 1001, 1002, 1003}
    del stats[1001], children[1001]
    children[1000] = b""
    stats |= {1002: stat(1002, parent=1, start=7), 1003: stat(1003, parent=1, start=900)}  # one is a stranger by now
    assert lister.list().processes.keys() == {1000, 1002}
    del stats[1000]
    assert lister.list().processes == {}


def test_all_is_listed_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_proc(monkeypatch, {1000: stat(1000, parent=1, start=5)})
    made = walks(monkeypatch)
    counts(monkeypatch, *[1000] * 3)
    lister = TreeLister(1000)
    lister.list()
    lister.list()
    assert len(made) == 1
    monkeypatch.setattr(proctree, "ALL_EVERY_NS", -1)
    lister.list()
    assert len(made) == 2


def test_who_is_gone_is_forgotten_so_that_the_number_means_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, parent=1, start=5), 1001: stat(1001, parent=1000, start=6)}
    fake_proc(monkeypatch, stats, {1000: b"1001 "})
    counts(monkeypatch, *[1001] * 10)
    monkeypatch.setattr(cputime, "cpu_clock_ns", lambda pid, clock=2: 123 if pid == 1000 else None)
    clock = TreeClock(1000)
    cpu = clock.read()
    assert (cpu.processes, cpu.threads) == (1, 1)
    assert clock.list().processes.keys() == {1000}


def test_a_search_that_something_vanished_from_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, parent=1, start=5)}
    fake_proc(monkeypatch, stats)
    monkeypatch.setattr(proctree, "list_proc", lambda path: ["1000", "1001", "self"])
    assert not search_tree(1000).complete
    stats[1001] = stat(1001, parent=1000, start=6)
    assert search_tree(1000).complete
    assert search_tree(1000).processes.keys() == {1000, 1001}


def test_a_number_that_was_given_again_is_not_taken_for_the_child_that_had_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, parent=1, start=5), 1001: stat(1001, parent=77, start=900)}
    fake_proc(monkeypatch, stats, children={1000: b"1001 ", 1001: b"1002 "})
    listing = walk_tree(1000)
    assert listing.processes.keys() == {1000}


def test_a_stranger_with_the_number_of_the_root_is_not_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = {1000: stat(1000, parent=1, start=5)}
    fake_proc(monkeypatch, stats)
    counts(monkeypatch, *[None] * 10)
    monkeypatch.setattr(cputime, "cpu_clock_ns", lambda pid, clock=2: 123)
    clock = TreeClock(1000)
    assert clock.read().total_ns == 123 + 3 * NS_PER_TICK
    stats[1000] = stat(1000, parent=1, start=900)
    assert (clock.read().total_ns, clock.read().processes) == (0, 0)


def test_a_name_may_hold_what_separates_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_proc(monkeypatch, {1000: stat(1000, parent=1, start=5, name="a) S 9 (b")})
    process = read_process(1000)
    assert process is not None
    assert (process.parent_pid, process.start_ticks, process.threads) == (1, 5, 1)


def stat(pid: int, parent: int, start: int, name: str = "server", threads: int = 1) -> bytes:
    """Return a process's line as the kernel writes it."""
    return f"{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 3 4 1 2 20 0 {threads} 0 {start} 1000 50 0 0 0".encode()


def fake_proc(
    monkeypatch: pytest.MonkeyPatch,
    stats: dict[int, bytes],
    children: dict[int, bytes] | None = None,
    statuses: dict[int, bytes] | None = None,
) -> None:
    """Have listings read these processes instead of the machine's; `statuses` are those of threads."""

    def read(path: str) -> bytes | None:
        number, name = int(path.split("/")[2]), path.rpartition("/")[2]
        line = stats.get(number)
        if name == "stat" or line is None:
            return line if name == "stat" else (statuses or {}).get(number)
        parent = line.rpartition(b")")[2].split()[1].decode()
        return f"Name:\tx\nTgid:\t{number}\nPid:\t{number}\nPPid:\t{parent}\n".encode()

    lists = {} if children is None else children
    monkeypatch.setattr(proctree, "read_short", read)
    monkeypatch.setattr(proctree, "read_proc", lambda path: lists.get(int(path.split("/")[2])))
    monkeypatch.setattr(proctree, "_kernel_lists_children", lambda: True)


def test_a_tree_whose_root_is_gone_has_no_processes() -> None:
    with Program("print('there'); input()") as program:
        pid = program.pid
    assert read_process(pid) is None
    assert cpu_clock_ns(pid) is None
    assert read_cpu(pid).processes == 0


def test_a_reading_stands_at_its_instant() -> None:
    at_ns = time.monotonic_ns() + 20_000_000
    assert read_cpu(os.getpid(), at_ns).at_monotonic_ns >= at_ns


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
