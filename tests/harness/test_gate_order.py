"""In which order a gate measures: blocks of both orders, scenarios in turn, all of it from one seed."""

from __future__ import annotations

import os
from collections import Counter

from harness.gate.order import first_arm, hash_seed, round_seed, turn
from harness.schema.gate import Arm


def test_every_two_rounds_have_both_orders() -> None:
    for seed in range(20):
        firsts = [first_arm(seed, "asyncio-tcp", place) for place in range(40)]
        assert all(firsts[place] is firsts[place + 1].other for place in range(0, 40, 2))


def test_which_order_a_block_begins_with_is_drawn() -> None:
    starts = Counter(first_arm(seed, "asyncio-tcp", 2 * block) for seed in range(20) for block in range(20))
    assert min(starts[arm] for arm in Arm) > 150  # of 400; a fair coin has fewer once in a million


def test_the_same_seed_gives_the_same_order_and_scenarios_have_orders_of_their_own() -> None:
    def order(seed: int, scenario: str) -> list[Arm]:
        return [first_arm(seed, scenario, place) for place in range(40)]

    assert order(3, "thread-tcp") == order(3, "thread-tcp")
    assert order(3, "thread-tcp") != order(3, "asyncio-tcp")
    assert order(3, "thread-tcp") != order(4, "thread-tcp")


def test_scenarios_take_turns_in_orders_that_differ() -> None:
    names = ["a", "b", "c"]
    turns = [turn(1, number, names) for number in range(20)]
    assert all(sorted(each) == names for each in turns)
    assert len({tuple(each) for each in turns}) > 3


def test_each_round_has_a_seed_of_its_own() -> None:
    seeds = {round_seed(1, scenario, number) for scenario in ("a", "b") for number in range(50)}
    assert len(seeds) == 100
    assert all(0 < seed < 2**32 for seed in seeds)  # what PYTHONHASHSEED takes, and not 0, which takes the salt away


def test_a_hash_seed_holds_only_meanwhile() -> None:
    before = os.environ.get("PYTHONHASHSEED")
    with hash_seed(7):
        assert os.environ["PYTHONHASHSEED"] == "7"
    assert os.environ.get("PYTHONHASHSEED") == before
