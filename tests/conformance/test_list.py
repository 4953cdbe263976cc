"""`python -m servers --list` says what there is; the suite and the harness take the models from there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from .server_process import ROOT

MODELS = {"fork", "thread", "selectors", "asyncio", "hybrid"}


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


def test_the_five_models_can_be_had_over_tcp(listing: dict[str, Any]) -> None:
    assert {entry["name"] for entry in listing["models"] if entry["available"]} >= MODELS
    assert "tcp" in {entry["name"] for entry in listing["transports"] if entry["available"]}


def test_no_name_is_listed_twice(listing: dict[str, Any]) -> None:
    for kind in ("models", "transports"):
        names = [entry["name"] for entry in listing[kind]]
        assert len(names) == len(set(names)), f"{kind}: {names}"


def test_the_list_for_people_names_the_same(listing: dict[str, Any]) -> None:
    words = set(ask().split())
    assert {entry["name"] for kind in ("models", "transports") for entry in listing[kind]} <= words
