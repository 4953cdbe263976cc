"""The memory of a tree, and what counts as its own."""

from __future__ import annotations

import os

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
    assert after.open_files >= 2 * (before.open_files + 10) - 1
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
