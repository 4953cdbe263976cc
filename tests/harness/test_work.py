"""The work of a request as plans write it: the same words as the servers take, without sharing their code."""

from __future__ import annotations

import pytest

from harness.schema import WorkTimes, parse_work
from servers import work as servers_work

UNDERSTOOD = {
    "echo": (0, 0),
    "cpu:100us": (100_000, 0),
    "cpu:0.5us": (500, 0),
    "wait:5ms": (0, 5_000_000),
    "wait:60s": (0, 60_000_000_000),
    "cpu:100us+wait:5ms": (100_000, 5_000_000),
    "cpu:1.25ms+wait:0.001s": (1_250_000, 1_000_000),
}
REFUSED = (
    "",
    "Echo",
    "echo+cpu:1us",
    "cpu",
    "cpu:",
    "cpu:100",
    "cpu:100 us",
    "cpu:-1us",
    "cpu:0us",
    "cpu:1ns",
    "cpu:1m",
    "cpu:.5us",
    "cpu:1e3us",
    "cpu:1_0us",
    "cpu:١us",
    "cpu:61s",
    "cpu:60.1s",
    "wait:0ms",
    "wait:5ms+cpu:1us",
    "cpu:1us+cpu:1us",
    "wait:1ms+wait:1ms",
    "cpu:1us+",
    "cpu:1us+wait:0s",
    "cpu:1us,wait:1ms",
    "cpu:1us\n",
    "sleep:1s",
    "cpu:" + "9" * 40 + "s",
)


@pytest.mark.parametrize(("text", "times_ns"), UNDERSTOOD.items())
def test_work_is_read_as_the_servers_read_it(text: str, times_ns: tuple[int, int]) -> None:
    assert parse_work(text) == WorkTimes(*times_ns)
    theirs = servers_work.parse_work(text) or servers_work.Work()
    assert (theirs.cpu_ns, round(theirs.wait_s * 1e9)) == times_ns


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_servers_refuse_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cpu:TIME"):
        parse_work(text)
    with pytest.raises(ValueError, match="cpu:TIME"):
        servers_work.parse_work(text)


def test_the_time_of_a_request_is_its_work_together() -> None:
    assert parse_work("cpu:500ms+wait:1s").total_s == 1.5
    assert parse_work("echo").total_s == 0
