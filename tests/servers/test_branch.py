"""The counters of worker slots: kept when workers die, taken over by replacements, seen by everybody."""

import os
import signal
from collections.abc import Callable

import pytest

import servers.tally
from servers.contract import CONNECTIONS, LIVE, MESSAGES
from servers.tally import Ledger


def killed_child(work: Callable[[], object]) -> None:
    """Do something in a forked child that is then killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_the_rows_that_a_worker_gives_out_are_in_the_sums_of_the_root_also_when_it_was_killed() -> None:
    ledger = Ledger()
    branch = ledger.branch()

    def work() -> None:
        for messages in (3, 4):
            branch.open()[MESSAGES] += messages

    killed_child(work)
    assert ledger.totals()["messages"] == 7
    assert branch.sums()[MESSAGES] == 7


def test_a_replacement_counts_on_in_the_rows_of_the_dead() -> None:
    ledger = Ledger()
    branch = ledger.branch()

    def work() -> None:
        for _ in range(5):
            row = branch.open()
            row[CONNECTIONS] += 1
            row[LIVE] = 1

    for _ in range(3):
        killed_child(work)
        assert (branch.live(), ledger.live()) == (5, 5)
        branch.inherit()
        assert (branch.live(), ledger.live()) == (0, 0)
    assert branch.sums()[CONNECTIONS] == 15
    assert branch.rows_used() == 5


def test_a_row_that_was_closed_is_used_again_and_keeps_its_counts() -> None:
    branch = Ledger().branch()
    for _ in range(1_000):
        row = branch.open()
        row[MESSAGES] += 1
        row[LIVE] = 1
        branch.close(row)
    assert (branch.rows_used(), branch.sums()[MESSAGES], branch.live()) == (1, 1_000, 0)


def test_branches_are_kept_apart() -> None:
    ledger = Ledger()
    first, second = ledger.branch(), ledger.branch()
    first.open()[MESSAGES] += 1
    second.open()[MESSAGES] += 2
    assert [branch.sums()[MESSAGES] for branch in ledger.branches] == [1, 2]


def test_every_worker_sees_the_live_connections_of_all() -> None:
    ledger = Ledger()
    branches = [ledger.branch() for _ in range(2)]
    seen = ledger.open()

    def look() -> None:
        branches[1].open()[LIVE] = 2
        seen[MESSAGES] = ledger.live()

    killed_child(lambda: branches[0].open().__setitem__(LIVE, 1))
    killed_child(look)
    assert seen[MESSAGES] == 3


def test_rows_run_out_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers.tally, "_BRANCH_ROWS", 3)
    branch = Ledger().branch()
    rows = [branch.open(), branch.open()]
    with pytest.raises(RuntimeError, match="no row of counters is left"):
        branch.open()
    branch.close(rows[0])
    branch.open()
