"""Counts of the whole process tree, kept in memory that the tree shares.

A server of many processes has to say at its end how many messages it answered, also those of a child that was killed.
So every child, worker or connection thread counts into a *row* of its own, in an anonymous shared mapping made before
the fork: nobody else counts there, so no lock and no lost update, with or without a GIL. (What a row begins with, such
as the one connection that it is for, is written by whoever hands it out.) When the owner has ended
(and, being a process, was reaped), the row is added to the sums and used again.

A worker of `hybrid` takes its rows, for itself and perhaps for threads of its own, from a *branch*: a piece of shared
memory that is mapped before the first fork and belongs to one worker slot. A replacement goes on in its predecessor's
rows without clearing them, so the sum over a branch is what the slot has done.

Rows come in blocks; a new block is mapped when all rows are taken. A child knows the blocks that were there when it
was forked, its own row among them, and needs no others.
"""

from __future__ import annotations

import mmap
import threading
from operator import add
from typing import Protocol

from servers.contract import COUNTERS, LIVE

_ROW_ITEMS = 16  # a power of two that holds all counters: two cache lines a row, shared with no other writer
_BLOCK_ROWS = 512
_BRANCH_ROWS = 1 << 17  # threads of one worker: more than a process may have unless its system is set to it


class Rows(Protocol):
    """Where rows of counters come from."""

    def open(self) -> memoryview:
        """Take a row; its owner alone may write to it."""

    def close(self, row: memoryview) -> None:
        """Take a row back; its owner has ended."""


class Ledger:
    """Hands out rows of counters and sums them up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: list[memoryview] = []
        self._free: list[memoryview] = []
        self._taken: dict[int, memoryview] = {}
        self._sums = [0] * len(COUNTERS)
        self.branches: list[Branch] = []

    def branch(self) -> Branch:
        """Return rows for one worker slot; to be called before the first fork, so that every worker knows them all."""
        self.branches.append(Branch())
        return self.branches[-1]

    def open(self) -> memoryview:
        """Take a row of zeros; its owner alone may write to it."""
        with self._lock:
            if not self._free:
                self._map_block()
            row = self._free.pop()
            self._taken[id(row)] = row
            return row

    def close(self, row: memoryview) -> None:
        """Add a row to the sums and take it back; its owner has ended."""
        with self._lock:
            self._add(self._taken.pop(id(row)))
            for column in range(_ROW_ITEMS):
                row[column] = 0
            self._free.append(row)

    def totals(self) -> dict[str, int]:
        """Return the sums over all rows, taken and given back, by counter."""
        with self._lock:
            sums = list(self._sums)
            for row in self._taken.values():
                for column in range(len(COUNTERS)):
                    sums[column] += row[column]
        for branch in self.branches:
            sums = list(map(add, sums, branch.sums()))
        return dict(zip(COUNTERS, sums, strict=True))

    def live(self) -> int:
        """Return how many connections are held now, by whomever.

        It reads every row of the blocks that this process knows, also rows that were taken after it was forked.
        """
        in_blocks = sum(sum(block[LIVE::_ROW_ITEMS]) for block in self._blocks)
        return in_blocks + sum(branch.live() for branch in self.branches)

    def _add(self, row: memoryview) -> None:
        for column in range(len(COUNTERS)):
            self._sums[column] += row[column]

    def _map_block(self) -> None:
        items = memoryview(mmap.mmap(-1, _BLOCK_ROWS * _ROW_ITEMS * 8)).cast("q")
        self._blocks.append(items)
        self._free = [items[at : at + _ROW_ITEMS] for at in range(0, len(items), _ROW_ITEMS)]


class Branch:
    """The rows of one worker slot, of which only those that were ever handed out take memory.

    The first row's first item says how many these are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items = memoryview(mmap.mmap(-1, _BRANCH_ROWS * _ROW_ITEMS * 8)).cast("q")
        self._free: list[memoryview] = []

    def open(self) -> memoryview:
        """Take a row, with what its owners before have counted; raises RuntimeError when there is none."""
        with self._lock:
            if self._free:
                return self._free.pop()
            if self.rows_used() == _BRANCH_ROWS - 1:
                raise RuntimeError("no row of counters is left")
            self._items[0] += 1
            return self._row(self.rows_used())

    def close(self, row: memoryview) -> None:
        """Take a row back; its owner has ended."""
        with self._lock:
            _vacate(row)
            self._free.append(row)

    def inherit(self) -> None:
        """Take all rows back for a replacement that is about to be forked: the worker has ended."""
        self._free = [self._row(number + 1) for number in range(self.rows_used())]
        for row in self._free:
            _vacate(row)

    def rows_used(self) -> int:
        """Return how many rows were ever handed out."""
        return self._items[0]

    def live(self) -> int:
        """Return how many connections the worker holds."""
        return sum(self._column(LIVE))

    def sums(self) -> list[int]:
        """Return what the slot has counted, in the order of `COUNTERS`."""
        return [sum(self._column(column)) for column in range(len(COUNTERS))]

    def _column(self, column: int) -> memoryview:
        return self._items[_ROW_ITEMS + column : (self.rows_used() + 1) * _ROW_ITEMS : _ROW_ITEMS]

    def _row(self, number: int) -> memoryview:
        return self._items[number * _ROW_ITEMS : (number + 1) * _ROW_ITEMS]


def _vacate(row: memoryview) -> None:
    """Clear what is no count and so ends with a row's owner."""
    for column in range(len(COUNTERS), _ROW_ITEMS):
        row[column] = 0
