"""The shared counters: rows, sums, reuse, and writes by a forked child."""

import os
import signal

from servers.contract import COUNTERS, MESSAGES
from servers.tally import Ledger


def test_sums_hold_open_rows_and_closed_ones() -> None:
    ledger = Ledger()
    first, second = ledger.open(), ledger.open()
    first[MESSAGES] += 3
    second[MESSAGES] += 4
    ledger.close(first)
    assert ledger.totals()["messages"] == 7
    assert set(ledger.totals()) == set(COUNTERS)


def test_a_row_is_used_again_and_starts_at_zero() -> None:
    ledger = Ledger()
    for _ in range(2000):
        row = ledger.open()
        assert list(row) == [0] * len(row)
        row[MESSAGES] += 1
        ledger.close(row)
    assert ledger.totals()["messages"] == 2000


def test_more_rows_than_a_block_are_kept_apart() -> None:
    ledger = Ledger()
    rows = [ledger.open() for _ in range(1500)]
    for number, row in enumerate(rows):
        row[MESSAGES] = number
    assert [row[MESSAGES] for row in rows] == list(range(1500))


def test_what_a_forked_child_counts_is_seen_by_the_root_even_if_it_dies() -> None:
    ledger = Ledger()
    row = ledger.open()
    pid = os.fork()
    if pid == 0:
        row[MESSAGES] += 5
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert ledger.totals()["messages"] == 5
