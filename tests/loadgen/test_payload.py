"""Payloads of one size and of several."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.schema import Share, parse_payload
from loadgen.payload import Payloads
from loadgen.wire import COUNTER_BYTES, next_counter


def counters(count: int) -> list[bytes]:
    found, counter = [], 0
    for _ in range(count):
        counter = next_counter(counter)
        found.append(counter.to_bytes(COUNTER_BYTES, "big"))
    return found


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("64", (Share(64, 1.0),)),
        ("0", (Share(0, 1.0),)),
        ("64:1", (Share(64, 1.0),)),
        ("64:0.9,4096:0.1", (Share(64, 0.9), Share(4096, 0.1))),
    ],
)
def test_sizes_are_read_with_their_parts(text: str, shares: tuple[Share, ...]) -> None:
    assert parse_payload(text) == shares


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "neither a size"),
        ("-1", "neither a size"),
        ("64,4096", "'64' is neither a size in bytes, such as 64, nor a size and its part"),
        ("64:0", "'64:0' is neither"),
        ("64:nan", "'64:nan' is neither"),
        ("64:0.5,4096:0.4", "add up to 0.9, not to 1"),
        ("64:0.5,64:0.5", "names a size twice"),
    ],
)
def test_what_is_no_payload_is_refused_with_the_reason(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_payload(text)


def test_each_size_has_its_part_of_the_requests() -> None:
    payloads = Payloads.random(parse_payload("64:0.9,4096:0.1"), seed=1)
    sizes = Counter(len(payloads.of(counter)) for counter in counters(20_000))
    assert sizes.keys() == {64, 4096}
    assert abs(sizes[4096] - 2_000) < 4 * (20_000 * 0.9 * 0.1) ** 0.5  # four standard deviations of a fair draw


def test_a_request_has_the_same_payload_for_everybody_who_asks_and_another_seed_another_order() -> None:
    shares = parse_payload("1:0.5,2:0.5")
    one, again, other = (Payloads.random(shares, seed=seed) for seed in (1, 1, 2))
    order = [one.of(counter) for counter in counters(200)]
    assert [again.of(counter) for counter in counters(200)] == order
    assert [len(other.of(counter)) for counter in counters(200)] != [len(payload) for payload in order]


def test_one_size_is_every_request_s() -> None:
    payloads = Payloads((b"abc",))
    assert {payloads.of(counter) for counter in counters(50)} == {b"abc"}
