"""Each rule of the verdict, their order, and each warning."""

from __future__ import annotations

from typing import Any

import pytest

from harness.schema import LimitedBy, LoadWindow, WarningKind, warning
from harness.verdict import Resources, ServerLife, limited_by, merged_warnings
from tests.harness.fake_loadgen import window_record

IDLE = Resources(idle_fraction=0.5, busiest_thread_share=0.3, steal_fraction=0.0, kernel_drops={})
SATURATED = Resources(idle_fraction=0.05, busiest_thread_share=0.5, steal_fraction=0.0, kernel_drops={})
ONE_THREAD = Resources(idle_fraction=0.5, busiest_thread_share=0.9, steal_fraction=0.0, kernel_drops={})
UNKNOWN = Resources(None, None, None, {})
LATE = [warning(WarningKind.SCHEDULE_MISSED, p99_send_lateness_ns=2_000_000, p50_response_time_ns=100_000)]
WELL = ServerLife(transport="tcp", requests_total=100, messages=100, died=False)


def window(load: str = "closed", **changes: Any) -> LoadWindow:
    """Return a flawless window with changes."""
    made: Any = {**window_record(load, 0, 1_500_000_000, 1.5), **changes}
    return made


@pytest.mark.parametrize(
    ("seen", "resources", "verdict"),
    [
        (window(busy_fraction=0.9), SATURATED, LimitedBy.GENERATOR),
        (window(busy_fraction=0.89), SATURATED, LimitedBy.SERVER),
        (window(busy_fraction=0.99), Resources(0.05, 0.949, 0.0, {}), LimitedBy.GENERATOR),
        (window(busy_fraction=0.99), Resources(0.049, 0.5, 0.0, {}), LimitedBy.SERVER),
        (window(busy_fraction=0.99), Resources(0.5, 0.95, 0.0, {}), LimitedBy.SERVER),
        (window(busy_fraction=0.99), Resources(0.01, 0.3, 0.0, {}, server_share_of_busy=0.4), LimitedBy.GENERATOR),
        (window(busy_fraction=0.99), UNKNOWN, LimitedBy.GENERATOR),
        (window("open:9", busy_fraction=0.95), IDLE, LimitedBy.GENERATOR),
        (window(), SATURATED, LimitedBy.SERVER),
        (window(), ONE_THREAD, LimitedBy.SERVER),
        (window(), Resources(0.1, 0.89, 0.0, {}), LimitedBy.CONCURRENCY),
        (window(), Resources(0.09, None, 0.0, {}), LimitedBy.SERVER),
        (window(), Resources(0.09, 0.3, 0.0, {}, server_share_of_busy=0.5), LimitedBy.SERVER),
        (window(), Resources(0.09, 0.3, 0.0, {}, server_share_of_busy=0.49), LimitedBy.UNDETERMINED),
        (window(), Resources(0.09, 0.9, 0.0, {}, server_share_of_busy=0.49), LimitedBy.SERVER),
        (window(), Resources(None, 0.95, 0.0, {}), LimitedBy.SERVER),
        (window("open:9", achieved=0.989), SATURATED, LimitedBy.SERVER),
        (window("open:9", achieved=0.989), IDLE, LimitedBy.UNDETERMINED),
        (window("open:9", achieved=0.99, warnings=LATE), IDLE, LimitedBy.OFFERED_LOAD),
        (window("open:9", warnings=[warning(WarningKind.PAUSES)]), SATURATED, LimitedBy.OFFERED_LOAD),
        (window(), IDLE, LimitedBy.CONCURRENCY),
        (window(), Resources(0.5, None, 0.0, {}), LimitedBy.UNDETERMINED),
        (window(), UNKNOWN, LimitedBy.UNDETERMINED),
        (window("open:9"), IDLE, LimitedBy.OFFERED_LOAD),
        (window("open:9"), SATURATED, LimitedBy.OFFERED_LOAD),
        (window("open:9"), UNKNOWN, LimitedBy.OFFERED_LOAD),
        (window("open:9", unanswered=1), IDLE, LimitedBy.UNDETERMINED),
        (window("open:9", achieved=None, unanswered=3), IDLE, LimitedBy.UNDETERMINED),
    ],
)
def test_the_first_rule_that_holds_is_the_verdict(seen: LoadWindow, resources: Resources, verdict: LimitedBy) -> None:
    assert limited_by(seen, resources) is verdict


def kinds(seen: LoadWindow, resources: Resources = IDLE, life: ServerLife = WELL) -> list[str]:
    """Return the kinds of a window's warnings."""
    return [record["kind"] for record in merged_warnings(seen, resources, life)]


@pytest.mark.parametrize("seen", [window(), window("open:2000"), window("open:2000:constant")])
def test_a_flawless_window_has_no_warning(seen: LoadWindow) -> None:
    assert kinds(seen) == []


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (Resources(0.5, 0.3, 0.051, {}), [WarningKind.STEAL.value]),
        (Resources(0.5, 0.3, 0.05, {}), []),
        (Resources(0.5, 0.3, None, {"listen_drops": 0}), []),
        (Resources(0.5, 0.3, 0.0, {"listen_overflows": 1, "listen_drops": 0}), [WarningKind.KERNEL_DROPS.value]),
    ],
)
def test_the_machine_gives_rise_to_doubts(resources: Resources, expected: list[str]) -> None:
    assert kinds(window(), resources) == expected


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        (ServerLife("tcp", 100, 99, died=False), [WarningKind.COUNT_MISMATCH.value]),
        (ServerLife("tcp", 100, 101, died=False), [WarningKind.COUNT_MISMATCH.value]),
        (ServerLife("udp", 100, 99, died=False), []),
        (ServerLife("udp", 100, 101, died=False), [WarningKind.COUNT_MISMATCH.value]),
        (ServerLife("tcp", 100, None, died=False), []),
        (ServerLife("tcp", 100, None, died=True), [WarningKind.SERVER_DIED.value]),
    ],
)
def test_the_servers_life_gives_rise_to_doubts(life: ServerLife, expected: list[str]) -> None:
    assert kinds(window(), life=life) == expected


def test_the_generators_warnings_are_taken_as_they_are_and_the_harnesss_added() -> None:
    own = warning(WarningKind.ERRORS, reset=1)
    merged = merged_warnings(window(warnings=[own]), Resources(0.5, 0.3, 0.06, {}), WELL)
    assert merged == [own, warning(WarningKind.STEAL, fraction=0.06)]


def test_warnings_are_kept_in_one_order_also_those_of_a_later_version() -> None:
    later: Any = {"kind": "from_the_future", "figures": {}}
    seen = window(warnings=[later, warning(WarningKind.SHORT), warning(WarningKind.ERRORS)])
    assert kinds(seen) == ["errors", "short", "from_the_future"]
