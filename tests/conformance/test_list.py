"""`python -m servers --list` says what there is; the suite and the harness take the models from there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from .targets import ROOT

MODELS = {"fork", "thread", "selectors", "asyncio", "hybrid"}
# The variants that there are, whether this machine can have them or not.
VARIANTS = {
    "fork": set(),
    "thread": set(),
    "selectors": {("--selector", name) for name in ("select", "poll", "epoll", "kqueue")},
    "asyncio": {("--loop", "uvloop"), ("--api", "protocol"), ("--api", "streams")},
    "hybrid": {
        *(("--loop", "uvloop"), ("--api", "protocol"), ("--api", "streams")),
        *(("--inner", "selectors"), ("--inner", "thread"), ("--accept", "shared")),
    },
}
STREAMS_ONLY = {("--api", "protocol"), ("--api", "streams"), ("--inner", "thread")}


def ask(*options: str) -> str:
    """Return what the list prints."""
    command = [sys.executable, "-m", "servers", "--list", *options]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)
    assert found.stderr == ""
    return found.stdout


@pytest.fixture(scope="module")
def listing() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask("--json"))
    return found


def test_the_list_says_its_schema_and_nothing_unknown(listing: dict[str, Any]) -> None:
    assert listing["schema"] == "echobench.list/1"
    assert listing.keys() == {"schema", "models", "transports"}


def test_every_entry_says_whether_it_can_be_had_and_why_not(listing: dict[str, Any]) -> None:
    for entry in (*listing["models"], *listing["transports"]):
        assert entry.keys() >= {"name", "summary", "available", "reason"}
        assert entry["summary"] if entry["available"] else entry["reason"], entry
        assert (entry["reason"] is None) == entry["available"], entry


def test_the_five_models_can_be_had_over_tcp_udp_and_websocket(listing: dict[str, Any]) -> None:
    assert {entry["name"] for entry in listing["models"] if entry["available"]} >= MODELS
    assert {entry["name"] for entry in listing["transports"] if entry["available"]} >= {"tcp", "udp", "ws"}


def variants(listing: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each variant with the name of its model."""
    for entry in listing["models"]:
        for variant in entry["variants"]:
            yield entry["name"], variant


def test_the_list_names_every_variant_of_the_five_models(listing: dict[str, Any]) -> None:
    found: dict[str, set[tuple[str, ...]]] = {entry["name"]: set() for entry in listing["models"]}
    for model, variant in variants(listing):
        found[model].add(tuple(variant["options"]))
    assert {model: found[model] for model in MODELS} == VARIANTS


def test_every_variant_says_whether_it_can_be_had_and_over_what(listing: dict[str, Any]) -> None:
    transports = {entry["name"] for entry in listing["transports"]}
    for model, variant in variants(listing):
        place = f"{model} {' '.join(variant['options'])}"
        assert variant["summary"], place
        assert (variant["reason"] is None) == variant["available"], place
        assert set(variant["transports"]) <= transports, place
        streams_only = tuple(variant["options"]) in STREAMS_ONLY
        assert ("udp" in variant["transports"]) != streams_only, (
            f"{place}: some are about streams, the others about both"
        )
        assert set(variant["transports"]) >= {"tcp", "ws"}, f"{place}: what serves one kind of stream serves both"


def test_a_variant_of_another_platform_is_listed_as_unavailable(listing: dict[str, Any]) -> None:
    found = {tuple(variant["options"]): variant for model, variant in variants(listing) if model == "selectors"}
    assert not found["--selector", "kqueue"]["available"], "Linux has no kqueue"
    assert "kqueue" in found["--selector", "kqueue"]["reason"]
    assert found["--selector", "epoll"]["available"]


def test_no_name_is_listed_twice(listing: dict[str, Any]) -> None:
    for kind in ("models", "transports"):
        names = [entry["name"] for entry in listing[kind]]
        assert len(names) == len(set(names)), f"{kind}: {names}"


def test_the_list_for_people_names_the_same(listing: dict[str, Any]) -> None:
    words = set(ask().split())
    options = {word for _, variant in variants(listing) for word in variant["options"]}
    assert options <= words
    assert {entry["name"] for kind in ("models", "transports") for entry in listing[kind]} <= words


def test_without_its_package_websocket_is_listed_as_unavailable_and_the_rest_works() -> None:
    lacks = "import runpy, sys; sys.modules['websockets'] = None; "
    program = f"{lacks}runpy.run_module('servers', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", program, "--list", "--json"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)
    transports = {entry["name"]: entry for entry in json.loads(found.stdout)["transports"]}
    assert not transports["ws"]["available"]
    assert "websockets" in transports["ws"]["reason"]
    assert transports["tcp"]["available"]
    assert transports["udp"]["available"]
    refused = subprocess.run(
        [sys.executable, "-c", program, "--model", "thread", "--transport", "ws"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "websockets" in refused.stderr
