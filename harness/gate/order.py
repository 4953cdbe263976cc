"""The order of a gate, all of it drawn from one seed.

The second slot of a round is not the same as the first: the machine is warmer, its caches are another's. With a fixed
order such an effect of 2 % raises the share of false alarms from 1 to 13 %. So the arms go in blocks of two rounds, one
in each order (A B, then B A), and which order a block begins with is drawn: over every two rounds the effect cancels.

A round that is redone takes the place, and the order, of the one that it replaces.

Scenarios take turns, a round each, in a new order every time: minutes in which the machine was slow hit all of them.

Python salts the hashes of texts with a number per process, and with it the layout of every dictionary: some of these
layouts are slower. Both arms of a round get the same number, each round another one: the salt is noise between rounds
and none between arms.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness.schema.gate import Arm

HASH_SEED = "PYTHONHASHSEED"


def first_arm(seed: int, scenario: str, place: int) -> Arm:
    """Return which arm goes first in a round, by its place (from 0) among those that can be used."""
    block, second = divmod(place, 2)
    first = random.Random(f"{seed}/{scenario}/{block}").choice(list(Arm))
    return first.other if second else first


def turn(seed: int, number: int, scenarios: Sequence[str]) -> list[str]:
    """Return the order in which scenarios have a round each, the `number`-th time."""
    return random.Random(f"{seed}/turn/{number}").sample(list(scenarios), len(scenarios))


def round_seed(seed: int, scenario: str, number: int) -> int:
    """Return the seed of a round's load and of its programs' hashes, the same for both arms."""
    return random.Random(f"{seed}/{scenario}/round/{number}").randrange(1, 2**31)


@contextmanager
def hash_seed(number: int) -> Iterator[None]:
    """Give a hash seed to all programs that are started meanwhile."""
    before = os.environ.get(HASH_SEED)
    os.environ[HASH_SEED] = str(number)
    try:
        yield
    finally:
        if before is None:
            del os.environ[HASH_SEED]
        else:
            os.environ[HASH_SEED] = before
