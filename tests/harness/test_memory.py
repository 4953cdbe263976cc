"""The memory of a tree, and what counts as its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from harness import memory as module
from harness import procfs
from harness.memory import read_memory
from tests.harness.programs import Program

MEGABYTE = 1_000_000
HOARDER = """
import mmap, os, sys
print("there", flush=True)
for line in sys.stdin:
    hoard = bytearray(20_000_000)
    hoard[::4096] = b"x" * len(hoard[::4096])
    files = [open("/dev/null") for _ in range(10)]
    child = os.fork()
    if child == 0:
        sys.stdin.readline()
        os._exit(0)
    print("hoarded", flush=True)
"""


def test_what_a_tree_takes_more_is_seen_and_shared_pages_count_once() -> None:
    with Program(HOARDER) as program:
        before = read_memory(program.pid)
        program.tell()
        after = read_memory(program.pid)
    assert before is not None
    assert after is not None
    assert (after.processes, after.threads) == (2, 2)
    assert before.unavailable == after.unavailable == {}
    assert before.open_files is not None
    assert after.open_files is not None
    assert after.open_files >= 2 * (before.open_files + 10) - 1
    assert before.own_pss_bytes is not None
    assert after.own_pss_bytes is not None
    assert before.rss_bytes is not None
    assert after.rss_bytes is not None
    assert before.pss_bytes is not None
    assert before.uss_bytes is not None
    assert 20 * MEGABYTE < after.own_pss_bytes - before.own_pss_bytes < 25 * MEGABYTE
    assert after.rss_bytes - before.rss_bytes > 40 * MEGABYTE
    assert before.own_pss_bytes <= before.pss_bytes <= before.rss_bytes
    assert before.uss_bytes <= before.pss_bytes


def test_a_second_interpreter_beside_the_tree_does_not_change_what_is_its_own() -> None:
    with Program("print('there', flush=True); input()") as program:
        alone = read_memory(program.pid)
        with Program("print('there', flush=True); input()"):
            in_company = read_memory(program.pid)
    assert alone is not None
    assert in_company is not None
    assert in_company.own_pss_bytes == alone.own_pss_bytes


def test_reading_can_be_given_up() -> None:
    assert read_memory(os.getpid(), must_stop=lambda: True) is None


def test_a_tree_that_is_gone_has_no_memory() -> None:
    with Program("print('there', flush=True); input()") as program:
        pid = program.pid
    assert read_memory(pid) is None


STAYING = """
import os, sys
child = os.fork()
if child == 0:
    sys.stdin.readline()
    os._exit(0)
print("there", flush=True)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("ended", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Be a user who may not look into the processes of others meanwhile."""
    if os.geteuid() != 0:
        pytest.skip("only root can become someone else")
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_of_someone_else_s_processes_only_the_resident_set_is_known() -> None:
    with Program(STAYING) as program, nobody():
        memory = read_memory(program.pid)
    assert memory is not None
    assert (memory.pss_bytes, memory.own_pss_bytes, memory.uss_bytes) == (None, None, None)
    assert memory.rss_bytes is not None
    assert memory.rss_bytes > MEGABYTE
    assert memory.processes == 2
    why = "a process of the tree belongs to another user: the kernel does not show its memory"
    assert memory.unavailable["pss_bytes"] == memory.unavailable["uss_bytes"] == why


def test_a_sum_that_one_process_is_missing_from_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with Program(STAYING) as program:
        open_file = os.open

        def deny(path: str, flags: int) -> int:
            if path == f"/proc/{program.pid}/smaps_rollup":
                raise PermissionError(13, "Permission denied")
            return open_file(path, flags)

        whole = read_memory(program.pid)
        monkeypatch.setattr(procfs.os, "open", deny)
        memory = read_memory(program.pid)
    assert whole is not None
    assert memory is not None
    assert (memory.pss_bytes, memory.own_pss_bytes, memory.uss_bytes) == (None, None, None)
    assert memory.rss_bytes is not None
    assert whole.rss_bytes is not None
    assert memory.rss_bytes == pytest.approx(whole.rss_bytes, rel=0.1)
    assert memory.open_files == whole.open_files
    assert set(memory.unavailable) == {"pss_bytes", "own_pss_bytes", "uss_bytes"}


def test_open_files_that_are_not_shown_are_not_counted_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_descriptors", lambda pid: None)
    memory = read_memory(os.getpid())
    assert memory is not None
    assert memory.open_files is None
    assert memory.pss_bytes is not None
    assert "does not show its files" in memory.unavailable["open_files"]


def test_a_kernel_that_does_not_walk_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_proc", lambda path: None)
    monkeypatch.setattr(module, "_kernel_walks", lambda: False)
    memory = read_memory(os.getpid())
    assert memory is not None
    assert memory.unavailable["pss_bytes"] == "the kernel keeps no smaps_rollup"
    assert memory.rss_bytes is not None


def test_a_process_that_ends_while_it_is_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with Program(STAYING) as program:
        read = module.read_proc

        def end_child_first(path: str) -> bytes | None:
            if path != f"/proc/{program.pid}/smaps_rollup" and not ended:
                ended.append(program.tell())
            return read(path)

        ended: list[str] = []
        monkeypatch.setattr(module, "read_proc", end_child_first)
        memory = read_memory(program.pid)
    assert memory is not None
    assert memory.processes == 1
    assert memory.unavailable == {}
    assert memory.pss_bytes


def test_a_process_that_waits_to_be_collected_holds_nothing() -> None:
    with Program(STAYING) as program:
        program.tell()
        memory = read_memory(program.pid)
    assert memory is not None
    assert memory.processes == 1
