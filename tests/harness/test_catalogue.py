"""Asking the servers what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalogue import CatalogueError, Variant, read_catalogue
from tests.harness.programs import catalogue, python


def test_the_servers_are_asked_and_tell_reasons() -> None:
    found = catalogue()
    assert [choice.name for choice in found.transports] == ["tcp", "udp"]
    absent = next(choice for choice in found.models if choice.name == "absent")
    assert (absent.available, absent.reason) == (False, "it needs a moon")


def test_the_variants_of_a_model_are_known_with_their_transports() -> None:
    good, *others = catalogue().models
    assert good.variants == (
        Variant("--pace", "fast", ("tcp",), available=True, reason=None),
        Variant("--pace", "faster", ("tcp",), available=False, reason="it needs a tail wind"),
    )
    assert [choice.variants for choice in others] == [()] * len(others)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise SystemExit('servers: no module named x')", "exit code 1: servers: no module named x"),
        ("print('hello')", "can't be asked what they offer"),
        ("print('{}')", "is of schema None"),
        ("print('[]')", "can't be asked what they offer"),
        ('print(\'{"schema": "echobench.list/1"}\')', "can't be asked what they offer: 'models'"),
    ],
)
def test_servers_that_can_not_be_asked_are_told_in_a_sentence(source: str, words: str) -> None:
    with pytest.raises(CatalogueError) as told:
        read_catalogue(python(source), Path.cwd())
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_servers_that_are_not_there_are_told() -> None:
    with pytest.raises(CatalogueError, match="No such file"):
        read_catalogue(["/no/such/python"], Path.cwd())
