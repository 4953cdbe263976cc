"""Counts of the whole process tree, kept in memory that the tree shares.

A server of many processes has to say at its end how many messages it answered, also those of a child that was killed.
So every child, worker or connection thread counts into a *row* of its own, in an anonymous shared mapping made before
the fork: nobody else counts there, so no lock and no lost update, with or without a GIL. (What a row begins with, such
as the one connection that it is for, is written by whoever hands it out.) When the owner has ended
(and, being a process, was reaped), the row is added to the sums and used again.

Rows come in blocks; a new block is mapped when all rows are taken. A child knows the blocks that were there when it
was forked, its own row among them, and needs no others.
"""

from __future__ import annotations

import mmap
import threading

from servers.contract import COUNTERS, LIVE

_ROW_ITEMS = 16  # a power of two that holds all counters: two cache lines a row, shared with no other writer
_BLOCK_ROWS = 512


class Ledger:
    """Hands out rows of counters and sums them up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: list[memoryview] = []
        self._free: list[memoryview] = []
        self._taken: dict[int, memoryview] = {}
        self._sums = [0] * len(COUNTERS)

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
        return dict(zip(COUNTERS, sums, strict=True))

    def live(self) -> int:
        """Return how many connections are held now, by whomever.

        It reads every row of the blocks that this process knows, also rows that were taken after it was forked.
        """
        return sum(sum(block[LIVE::_ROW_ITEMS]) for block in self._blocks)

    def _add(self, row: memoryview) -> None:
        for column in range(len(COUNTERS)):
            self._sums[column] += row[column]

    def _map_block(self) -> None:
        items = memoryview(mmap.mmap(-1, _BLOCK_ROWS * _ROW_ITEMS * 8)).cast("q")
        self._blocks.append(items)
        self._free = [items[at : at + _ROW_ITEMS] for at in range(0, len(items), _ROW_ITEMS)]
