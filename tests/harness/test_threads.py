"""The threads of a tree: what each ran, and its switches."""

from __future__ import annotations

import pytest

from harness import threads as module
from harness.proctree import walk_tree
from harness.threads import Thread, read_threads
from tests.harness.programs import Program

BURNING = """
import sys, threading, time
def burn():
    end = time.thread_time() + 0.2
    while time.thread_time() < end: pass
    for _ in range(50): time.sleep(0.0001)
    print("there", flush=True)
    time.sleep(600)
threading.Thread(target=burn, daemon=True).start()
for line in sys.stdin: print("read", flush=True)
"""
FORKING = """
import os, sys
if os.fork() == 0:
    sys.stdin.readline()
    os._exit(0)
print("there", flush=True)
os.wait()
"""


def test_each_thread_has_its_own_time_and_switches() -> None:
    with Program(BURNING) as program:
        by_thread = {key[2]: thread for key, thread in read_threads(walk_tree(program.pid)).items()}
    assert len(by_thread) == 2
    main = by_thread.pop(program.pid)
    (burner,) = by_thread.values()
    assert main.ran_ns < 190_000_000 < burner.ran_ns
    assert burner.voluntary_switches is not None
    assert burner.voluntary_switches >= 50


def test_a_process_of_one_thread_is_its_thread() -> None:
    with Program(FORKING) as program:
        threads = read_threads(walk_tree(program.pid))
    assert len(threads) == 2
    assert all(pid == thread for pid, _, thread in threads)
    ran_ns = {pid: thread.ran_ns for (pid, *_), thread in threads.items()}
    assert ran_ns[program.pid] > 0  # its child may have been forked a moment ago
    assert min(ran_ns.values()) >= 0


def test_switches_of_large_trees_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWITCHES_THREADS_MOST", 1)
    with Program(BURNING) as program:
        threads = read_threads(walk_tree(program.pid))
    assert {(thread.voluntary_switches, thread.involuntary_switches) for thread in threads.values()} == {(None, None)}
    assert max(thread.ran_ns for thread in threads.values()) > 190_000_000


def test_threads_that_vanish_between_listing_and_reading_are_left_out() -> None:
    with Program("print('there', flush=True); input()") as program:
        listing = walk_tree(program.pid)
    assert read_threads(listing) == {}


def test_a_thread_whose_status_is_gone_by_then_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with Program(FORKING) as program:
        listing = walk_tree(program.pid)
        monkeypatch.setattr(module, "read_short", lambda path: None)
        assert read_threads(listing) == {}


def test_what_stands_behind_the_switches_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    status = b"Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t345\nx86_Thread_features:\t\n"
    with Program(FORKING) as program:
        listing = walk_tree(program.pid)
        monkeypatch.setattr(module, "read_short", lambda path: status)
        threads = read_threads(listing)
    assert {(thread.voluntary_switches, thread.involuntary_switches) for thread in threads.values()} == {(12, 345)}
    assert Thread(1).voluntary_switches is None
