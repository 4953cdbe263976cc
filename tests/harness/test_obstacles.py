"""What means nothing is left out, what is missing here is named."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from harness.catalogue import Catalogue, Choice, Variant, read_catalogue
from harness.environment import ROOT
from harness.obstacles import flags_with_values, meaningless, missing_here
from tests.harness.programs import make_scenario

TRANSPORTS = (
    Choice("tcp", "", available=True, reason=None),
    Choice("udp", "", available=True, reason=None),
    Choice("ws", "", available=False, reason="the package frames is not installed"),
)
LOOPS = Choice(
    "loops",
    "",
    available=True,
    reason=None,
    variants=(
        Variant("--pace", "fast", ("tcp", "udp"), available=True, reason=None),
        Variant("--pace", "faster", ("tcp",), available=False, reason="it needs a tail wind"),
        Variant("--style", "plain", ("tcp",), available=True, reason=None),
    ),
)
PLAIN = Choice("plain", "", available=True, reason=None)
GONE = Choice("gone", "", available=False, reason="it needs a moon")
OFFERS = Catalogue((LOOPS, PLAIN, GONE), TRANSPORTS)


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        ((), []),
        (("--pace", "fast"), [("--pace", "fast")]),
        (("--pace=fast", "--backlog", "7"), [("--pace", "fast"), ("--backlog", "7")]),
        (("--quiet", "--pace", "fast"), [("--quiet", ""), ("--pace", "fast")]),
        (("--pace=", "fast"), [("--pace", "")]),
        (("--quiet",), [("--quiet", "")]),
        (("stray",), []),
    ],
)
def test_flags_are_found_with_their_values(options: Sequence[str], pairs: list[tuple[str, str]]) -> None:
    assert list(flags_with_values(options)) == pairs


@pytest.mark.parametrize(
    ("model", "transport", "options", "reason"),
    [
        ("loops", "tcp", ("--pace", "fast"), None),
        ("loops", "udp", ("--pace", "usual"), None),
        ("plain", "tcp", (), None),
        ("plain", "tcp", ("--backlog", "7"), None),
        ("plain", "tcp", ("--pace", "fast"), "--pace has no meaning for the model plain; it goes with loops"),
        ("loops", "udp", ("--style", "usual"), "--style has no meaning over udp"),
        ("loops", "udp", ("--pace=faster",), "--pace faster has no meaning over udp"),
    ],
)
def test_an_option_without_a_meaning_is_told(
    model: str, transport: str, options: tuple[str, ...], reason: str | None
) -> None:
    scenario = make_scenario(model=model, transport=transport, options=options)
    assert meaningless(scenario, OFFERS) == reason


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ({"model": "loops"}, None),
        ({"model": "gone"}, "model gone is not available here: it needs a moon"),
        ({"model": "plain", "transport": "ws"}, "transport ws is not available here: the package frames is not"),
        ({"model": "loops", "options": ("--pace", "fast")}, None),
        ({"model": "loops", "options": ("--pace", "faster")}, "--pace faster is not available here: it needs a tail"),
        ({"model": "loops", "python": "3.99"}, "model loops is not available under 3.99: no loops there"),
    ],
)
def test_what_the_servers_can_not_have_here_is_told_with_the_interpreter(
    chosen: dict[str, str], reason: str | None
) -> None:
    elsewhere = Catalogue((Choice("loops", "", available=False, reason="no loops there"),), TRANSPORTS)
    found = missing_here(make_scenario(**chosen), {None: OFFERS, "3.99": elsewhere})
    assert (found is None) == (reason is None)
    assert found is None or found.startswith(str(reason))


def test_the_variants_that_our_servers_list_go_with_the_models_that_list_them() -> None:
    offers = read_catalogue((sys.executable, "-m", "servers"), ROOT)
    for selector in ("select", "poll", "epoll"):
        options = ("--selector", selector)
        assert meaningless(make_scenario(model="selectors", options=options), offers) is None
        assert missing_here(make_scenario(model="selectors", options=options), {None: offers}) is None
        assert "has no meaning for the model asyncio" in (
            meaningless(make_scenario(model="asyncio", options=options), offers) or ""
        )
    streams = ("--api", "streams")
    assert meaningless(make_scenario(model="hybrid", options=streams), offers) is None
    assert "over udp" in (meaningless(make_scenario(model="hybrid", transport="udp", options=streams), offers) or "")
