"""When the requests of an open load are due, fixed beforehand: whatever the server does, the schedule does not move.

Arrivals are Poisson (independent clients: gaps drawn from an exponential distribution) or constant, at a total rate;
each request is dealt to a connection by a random pick. Two generators, both from the seed and the window's index, make
times and picks, so that neither depends on how many of the other were drawn. Both come in chunks, as plain lists:
the engine takes one element at a time, and a list gives it faster than an array does.

A pick is a large random number; the engine takes it modulo the connections that are alive, so that the schedule needs
no knowledge of them. Constant times are counted from the start and not from each other: nothing adds up.
"""

from __future__ import annotations

import numpy as np

from harness.schema import Load
from loadgen.histogram import Ints

CHUNK = 4096
NS_PER_S = 1_000_000_000


class Schedule:
    """The due times (ns, of the monotonic clock) and picks of one open load, without an end."""

    def __init__(self, load: Load, seed: int, window_index: int, starts_ns: int) -> None:
        arrivals, dealing = np.random.SeedSequence([seed, window_index]).spawn(2)
        self._load = load
        self._arrivals = np.random.default_rng(arrivals)
        self._dealing = np.random.default_rng(dealing)
        self._starts_ns = starts_ns
        self._last_ns = starts_ns
        self._drawn = 0

    def chunk(self) -> tuple[list[int], list[int]]:
        """Return the next due times, ascending, and the picks that go with them (0 to 2**32 - 1)."""
        due = self._constant() if self._load.arrivals == "constant" else self._poisson()
        picks = self._dealing.integers(0, 1 << 32, CHUNK)
        self._drawn += CHUNK
        return due.tolist(), picks.tolist()

    def _constant(self) -> Ints:
        numbers = np.arange(self._drawn + 1, self._drawn + CHUNK + 1, dtype=np.float64)
        offsets_ns = np.rint(numbers * (NS_PER_S / self._load.rate_per_s)).astype(np.int64)
        return offsets_ns + self._starts_ns

    def _poisson(self) -> Ints:
        gaps_ns = self._arrivals.exponential(NS_PER_S / self._load.rate_per_s, CHUNK)
        due: Ints = self._last_ns + np.rint(np.cumsum(gaps_ns)).astype(np.int64)
        self._last_ns = int(due[-1])
        return due
