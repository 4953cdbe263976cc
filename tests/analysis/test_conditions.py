"""Conditions: what may be compared, and how it is called."""

from __future__ import annotations

from typing import Any

import pytest

from analysis import conditions

BASE: dict[str, Any] = {
    "model": "asyncio",
    "transport": "tcp",
    "connections": 64,
    "payload": "64",
    "loads": ["closed"],
    "mode": "persistent",
    "pipeline": 1,
    "work": "echo",
    "pin": "0:1",
    "python": None,
    "workers": None,
    "options": [],
}


def label(**changes: Any) -> str:
    scenario = BASE | changes
    return conditions.labels([scenario], {})[conditions.identity(scenario)]


def test_models_of_one_condition_may_be_compared() -> None:
    assert conditions.identity(BASE) == conditions.identity(BASE | {"model": "fork"})


@pytest.mark.parametrize("change", [{"pin": "none"}, {"connections": 65}, {"not_known_yet": 1}, {"loads": ["open:5"]}])
def test_whatever_else_differs_makes_another_condition(change: dict[str, Any]) -> None:
    assert conditions.identity(BASE) != conditions.identity(BASE | change)


def test_a_label_names_transport_payload_connections_and_the_server_s_cpus() -> None:
    assert label() == "TCP, 64 B, 64 connections, server on CPU 0"
    assert label(transport="ws", payload="65536", connections=1) == "WebSocket, 65,536 B, 1 connection, server on CPU 0"
    assert label(pin="0,1:2", connections=1000) == "TCP, 64 B, 1,000 connections, server on CPUs 0,1"
    assert label(pin="none").endswith("server unpinned")


def test_a_label_names_what_is_not_usual() -> None:
    assert label(pipeline=8, work="cpu:100us").endswith("CPU 0, pipeline 8, work cpu:100us")


def test_a_dimension_can_be_left_out_of_a_label() -> None:
    scenario = BASE | {"work": "wait:5ms", "idle": 900}
    assert conditions.label(scenario, {"work", "idle"}, "0", without=("work",)).endswith("server on CPU 0, idle 900")
    assert conditions.label(BASE, set(), "0", without=("pin",)) == "TCP, 64 B, 64 connections"


def test_what_is_compared_is_the_model_with_its_options() -> None:
    assert conditions.contender(BASE) == "asyncio"
    streams = BASE | {"options": ["--api", "streams"]}
    assert conditions.contender(streams) == "asyncio --api streams"
    assert conditions.contender(BASE | {"workers": 4, "options": None}) == "asyncio --workers 4"
    assert conditions.identity(streams) == conditions.identity(BASE | {"workers": 4}) == conditions.identity(BASE)


def test_what_differs_inside_a_run_is_named_even_where_it_is_usual() -> None:
    long = BASE | {"window_s": 5.0}
    short = BASE | {"window_s": 1.0}
    found = conditions.labels([long, short], {})
    assert len(set(found.values())) == 2
    assert found[conditions.identity(long)].endswith("window s 5.0")


def test_what_tells_no_two_conditions_apart_is_not_named() -> None:
    short, long = BASE | {"loads": ["open:5"]}, BASE | {"loads": ["closed"]}
    worked = short | {"work": "cpu:1ms"}
    found = conditions.labels([short, long, worked], {})
    assert found[conditions.identity(long)].endswith("server on CPU 0, loads closed")
    assert found[conditions.identity(worked)].endswith("server on CPU 0, work cpu:1ms")
    assert len(set(found.values())) == 3


def test_the_cpus_that_a_window_tells_are_named() -> None:
    assert conditions.server_cpus("none", [0, 1]) == "unpinned (0,1)"
    assert conditions.server_cpus("auto", [2]) == "2"
    assert conditions.server_cpus("3:1", []) == "3"
    found = conditions.labels([BASE | {"pin": "none"}], {conditions.identity(BASE | {"pin": "none"}): "unpinned (0,1)"})
    assert list(found.values()) == ["TCP, 64 B, 64 connections, server unpinned (CPUs 0,1)"]


def test_server_and_load_generator_on_one_cpu_are_named() -> None:
    assert conditions.server_cpus("0:0", [0]) == "0 (shared with the load generator)"
