"""Noise as machines make it, and decision rules, good and bad ones, applied to thousands of comparisons at once.

A comparison is an array row: the logarithm of a cost in every slot, in the order of time. Rules return an array of
booleans, whether head is called slower. They are written here a second time, in arrays, from the definitions; a test
holds the good one against `analysis.gate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.stats

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Return noise as textbooks have it."""
    return rng.normal(size=shape)


def spiky(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Return quiet noise where one slot in ten is far slower, the variance the same in all."""
    quiet = 0.4 * rng.normal(size=shape)
    spikes = (rng.random(shape) < 0.1) * rng.exponential(1.0, shape)
    noise = quiet + spikes * np.sqrt((1 - 0.16) / 0.19)  # the spikes' variance before scaling: 0.1 * 2 - 0.1 ** 2
    return noise - noise.mean()


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Return noise with heavy tails on both sides: Student's t of 3 degrees of freedom, variance 1."""
    return rng.standard_t(3, shape) / np.sqrt(3)


@dataclass(frozen=True)
class Machine:
    """A machine: noise of single slots (`cv`), a drift of all (`drift`, the sd of an AR(1) series), a slot's bias.

    `bias` is how much slower (log) the second slot of a round is, whichever arm it holds. `memory` is the correlation
    of the drift from one slot to the next.
    """

    cv: float
    draw: Draw = normal
    drift: float = 0.0
    bias: float = 0.0
    memory: float = 0.98

    def slots(self, rng: np.random.Generator, trials: int, count: int) -> Floats:
        """Return log costs of identical code, one row a trial, in the order of time."""
        noise = self.cv * self.draw(rng, (trials, count))
        if self.drift:
            noise += self.drift * self._walk(rng, trials, count)
        noise[:, 1::2] += self.bias
        return noise

    def _walk(self, rng: np.random.Generator, trials: int, count: int) -> Floats:
        steps = rng.normal(size=(trials, count)) * np.sqrt(1 - self.memory**2)
        walk = np.empty((trials, count))
        walk[:, 0] = rng.normal(size=trials)
        for slot in range(1, count):
            walk[:, slot] = self.memory * walk[:, slot - 1] + steps[:, slot]
        return walk


def abba(rng: np.random.Generator, trials: int, rounds: int) -> Flags:
    """Return whether base comes first in each round: in blocks of AB BA or BA AB, by a coin for each block."""
    blocks = np.repeat(rng.random((trials, (rounds + 1) // 2)) < 0.5, 2, axis=1)[:, :rounds]
    return blocks ^ (np.arange(rounds) % 2 == 1)


def base_first(rng: np.random.Generator, trials: int, rounds: int) -> Flags:
    """Return the order that must not be: base first in every round."""
    return np.ones((trials, rounds), dtype=bool)


def log_ratios(slots: Floats, first_is_base: Flags) -> Floats:
    """Return ln(head / base) of every round."""
    change = slots[:, 1::2] - slots[:, 0::2]
    return np.where(first_is_base, change, -change)


def rounds_of(
    machine: Machine,
    trials: int,
    rounds: int,
    effect: float = 0.0,
    *,
    seed: int = 1,
    order: Callable[..., Flags] = abba,
) -> Floats:
    """Return the log-ratios of gates whose head costs `effect` more (a share)."""
    rng = np.random.default_rng(seed)
    slots = machine.slots(rng, trials, 2 * rounds)
    return log_ratios(slots, order(rng, trials, rounds)) + np.log1p(effect)


@cache
def tail(count: int) -> Floats:
    """Return P(signed-rank sum >= s) for s = 0, 1, ...: the product of (1 + x^rank) / 2, multiplied out."""
    chances = np.ones(1)
    for rank in range(1, count + 1):
        chances = np.convolve(chances, np.eye(1, rank + 1)[0] / 2 + np.eye(1, rank + 1, rank)[0] / 2)
    return np.cumsum(chances[::-1])[::-1]


def p_slower(ratios: Floats) -> Floats:
    """Return the exact one-sided signed-rank p of each row; there are no ties."""
    ranks = np.abs(ratios).argsort(axis=1).argsort(axis=1) + 1
    return tail(ratios.shape[1])[np.where(ratios > 0, ranks, 0).sum(axis=1)]


def walsh(ratios: Floats) -> Floats:
    """Return the sorted means of all pairs of each row."""
    first, second = np.triu_indices(ratios.shape[1])
    return np.sort((ratios[:, first] + ratios[:, second]) / 2, axis=1)


def single_look(ratios: Floats, alpha: float = 0.01, minimum: float = 0.03) -> Flags:
    """Return what one look at all rounds calls slower: significant and large enough."""
    significant = p_slower(ratios) <= alpha
    large = np.zeros_like(significant)
    if significant.any():
        large[significant] = np.median(walsh(ratios[significant]), axis=1) >= np.log1p(minimum)
    return significant & large


def two_looks(ratios: Floats, alpha: float = 0.01, minimum: float = 0.03, first: int = 12) -> Flags:
    """Return what the gate calls slower, having a single metric of a single scenario."""
    return (p_slower(ratios[:, :first]) <= 0.25) & single_look(ratios, alpha, minimum)


def one_run_each(machine: Machine, trials: int, threshold: float = 0.05, seed: int = 1) -> Flags:
    """BAD: one run of base, one of head, a threshold."""
    return rounds_of(machine, trials, 1, seed=seed)[:, 0] > np.log1p(threshold)


def blocks(machine: Machine, trials: int, runs: int = 10, seed: int = 1) -> Flags:
    """BAD: all runs of base, then all runs of head, Mann-Whitney at a two-sided 5 %."""
    slots = machine.slots(np.random.default_rng(seed), trials, 2 * runs)
    test = scipy.stats.mannwhitneyu(
        slots[:, runs:], slots[:, :runs], axis=1, alternative="greater", method="asymptotic"
    )
    return np.asarray(test.pvalue <= 0.025)


def peeking(ratios: Floats, alpha: float = 0.01, earliest: int = 8) -> Flags:
    """BAD: a look after every round, failing at the first that is significant."""
    looks = range(earliest, ratios.shape[1] + 1)
    return np.any([p_slower(ratios[:, :count]) <= alpha for count in looks], axis=0)


def pooled_requests(runs: Floats) -> Flags:
    """BAD: all requests of an arm in one pot, and the 95 % interval of the p99 ratio as if they were independent.

    `runs` are log response times [trial, arm, run, request] of normal noise (so times are lognormal) with sd 0.6.
    """
    trials, arms, count, requests = runs.shape
    pooled = np.quantile(runs.reshape(trials, arms, count * requests), 0.99, axis=2)
    z = scipy.stats.norm.ppf(0.99)
    error = np.sqrt(0.99 * 0.01 / (count * requests)) / scipy.stats.norm.pdf(z) * 0.6
    return np.abs(pooled[:, 1] - pooled[:, 0]) > 1.96 * np.sqrt(2) * error
