"""Sweeps: what becomes of them once the capacity is known."""

from __future__ import annotations

import socket

import pytest

from harness.schema import MAX_RATE_PER_S, Load
from loadgen.options import UsageError
from loadgen.sweep import expand
from tests.loadgen.peers import requests, response, serving
from tests.loadgen.runs import carry, options_for


@pytest.mark.parametrize("text", ["closed", "open:2000", "open:2000:constant"])
def test_any_other_load_stays_what_it_is(text: str) -> None:
    assert expand(Load.parse(text), 40_000) == (Load.parse(text),)


@pytest.mark.parametrize(
    ("steps", "rates"), [(1, [20_000]), (2, [10_000, 30_000]), (5, [4_000, 12_000, 20_000, 28_000, 36_000])]
)
def test_a_sweep_becomes_poisson_loads_in_the_middle_of_even_parts_of_the_capacity(
    steps: int, rates: list[float]
) -> None:
    loads = expand(Load.parse(f"sweep:{steps}"), 40_000)
    assert [(load.kind, load.rate_per_s, load.arrivals) for load in loads] == [
        ("open", rate, "poisson") for rate in rates
    ]
    assert [load.sweep for load in loads] == [
        {"step": number, "of": steps, "fraction": (2 * number - 1) / (2 * steps)} for number in range(1, steps + 1)
    ]


@pytest.mark.parametrize("throughput_per_s", [0, 0.001, 12_345.678, 1e9])
def test_a_step_is_always_a_load_that_can_be_written_and_read(throughput_per_s: float) -> None:
    for load in expand(Load.parse("sweep:50"), throughput_per_s):
        assert 0 < Load.parse(str(load)).rate_per_s == load.rate_per_s <= MAX_RATE_PER_S


@pytest.mark.parametrize("loads", [["sweep:3"], ["open:5", "sweep:3"], ["sweep:3", "closed"]])
def test_a_sweep_without_a_closed_window_before_it_is_a_usage_error(loads: list[str]) -> None:
    with pytest.raises(UsageError, match="load sweep:3 needs a closed window before it"):
        options_for("tcp://127.0.0.1:9000", load=loads)


def test_a_run_takes_its_steps_from_the_closed_window_measured_last() -> None:
    def echo(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer):
            peer.sendall(response(header, payload))

    with serving(echo) as server:
        run = carry(server.url, 2, load=["closed", "sweep:2", "open:100"], window=0.2)
    first, low, high, last = run.record["windows"]
    assert (first["load"], last["load"]) == ("closed", "open:100")
    assert [window.get("sweep", {}).get("step") for window in run.record["windows"]] == [None, 1, 2, None]
    for window, fraction in ((low, 0.25), (high, 0.75)):
        assert float(window["load"].partition(":")[2]) == pytest.approx(fraction * first["throughput_per_s"], abs=0.1)
    announced = [event for event in run.bulletin.events if event["event"] == "window"]
    assert [(event["index"], event["load"]) for event in announced] == [
        (index, window["load"]) for index, window in enumerate(run.record["windows"])
    ]
