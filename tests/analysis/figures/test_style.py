"""One colour a model, everywhere."""

from __future__ import annotations

import matplotlib as mpl

from analysis.figures import style


def test_a_model_looks_the_same_whichever_models_are_beside_it() -> None:
    everybody = style.looks(["fork", "thread", "selectors", "asyncio", "hybrid", "mine"])
    assert style.looks(["hybrid"])["hybrid"] == everybody["hybrid"]
    assert style.looks(["mine", "fork"])["mine"] == everybody["mine"]


def test_models_differ_in_colour_marker_and_line_so_that_grey_paper_shows_them_too() -> None:
    looks = style.looks(["fork", "thread", "selectors", "asyncio", "hybrid", "one", "two", "three"]).values()
    for attribute in ("color", "marker"):
        assert len({getattr(look, attribute) for look in looks}) == 8
    assert len({(look.line, look.marker) for look in looks}) == 8


def test_variants_of_one_model_differ_and_the_first_keeps_its_look() -> None:
    names = [f"selectors --selector {name}" for name in ("select", "poll", "epoll")]
    looks = style.looks([*names, "fork"])
    assert len({look.color for look in looks.values()}) == len({look.marker for look in looks.values()}) == 4
    assert looks["selectors --selector epoll"] == style.looks(["selectors"])["selectors"]
    assert looks["fork"] == style.looks(["fork"])["fork"]


def test_the_style_is_gone_afterwards() -> None:
    before = mpl.rcParams["axes.grid"], mpl.rcParams["svg.hashsalt"]
    with style.applied():
        assert mpl.rcParams["svg.hashsalt"] == "echobench"
    assert (mpl.rcParams["axes.grid"], mpl.rcParams["svg.hashsalt"]) == before
