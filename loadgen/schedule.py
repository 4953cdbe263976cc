"""When the requests of an open load are due, fixed beforehand: whatever the server does, the schedule does not move.

Arrivals are Poisson (independent clients: gaps drawn from an exponential distribution) or constant, at a total rate;
each request is dealt to a connection by a random pick. Two generators, both from the seed and the window's index, make
times and picks, so that neither depends on how many of the other were drawn. Both come in chunks, as plain lists:
the engine takes one element at a time, and a list gives it faster than an array does.

A pick is a large random number; the engine takes it modulo the connections that are alive, so that the schedule needs
no knowledge of them. Constant times are counted from the start and not from each other: nothing adds up.

Where several processes carry a load together, each has a schedule of its own, with its portion of the rate: that of its
connections among all. Independent Poisson arrivals add up to Poisson arrivals, so each process draws its own, from the
seed, the window and its place. Constant arrivals would not add up to constant ones, so there they are dealt: the
arrivals of the whole are numbered, and of as many as there are connections each process has those of its turn, evenly
spread. Together they send what one process would have sent, request for request.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.schema import Load
from loadgen.histogram import Ints

CHUNK = 4096
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Portion:
    """One process's part of a load: how many connections each process has, and which of them it is."""

    connections: tuple[int, ...] = (1,)
    place: int = 0

    @property
    def own(self) -> int:
        """The connections of this process."""
        return self.connections[self.place]

    @property
    def total(self) -> int:
        """The connections of all."""
        return sum(self.connections)

    def turns(self) -> Ints:
        """Return which of every `total` arrivals, counted from 0, are this process's: evenly spread, each once."""
        counts = np.array(self.connections, dtype=np.int64)
        owner = np.repeat(np.arange(counts.size), counts)
        within = np.arange(self.total) - np.repeat(np.cumsum(counts) - counts, counts)
        order = np.lexsort((owner, (within + 0.5) / counts[owner]))
        mine: Ints = np.flatnonzero(owner[order] == self.place)
        return mine


WHOLE = Portion()


class Schedule:
    """The due times (ns, of the monotonic clock) and picks of one open load or a portion of it, without an end.

    The portion must not be empty.
    """

    def __init__(self, load: Load, seed: int, window_index: int, starts_ns: int, portion: Portion = WHOLE) -> None:
        # Zeros at the end of a seed change nothing, so places count from 1.
        own_seed = [] if len(portion.connections) == 1 else [portion.place + 1]
        arrivals, dealing = np.random.SeedSequence([seed, window_index, *own_seed]).spawn(2)
        self._load = load
        self._portion = portion
        self._turns = portion.turns() if load.arrivals == "constant" else np.zeros(0, dtype=np.int64)
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
        cycles, place = np.divmod(np.arange(self._drawn, self._drawn + CHUNK), self._portion.own)
        numbers = (cycles * self._portion.total + self._turns[place] + 1).astype(np.float64)
        offsets_ns = np.rint(numbers * (NS_PER_S / self._load.rate_per_s)).astype(np.int64)
        return offsets_ns + self._starts_ns

    def _poisson(self) -> Ints:
        rate_per_s = self._load.rate_per_s * self._portion.own / self._portion.total
        gaps_ns = self._arrivals.exponential(NS_PER_S / rate_per_s, CHUNK)
        due: Ints = self._last_ns + np.rint(np.cumsum(gaps_ns)).astype(np.int64)
        self._last_ns = int(due[-1])
        return due
