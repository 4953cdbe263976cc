"""Each rule of the verdict, their order, and each warning."""

from __future__ import annotations

from typing import Any

import pytest

from harness.schema import LimitedBy, LoadWindow, WarningKind, warning
from harness.verdict import Resources, ServerLife, limited_by, merged_warnings
from tests.harness.fake_loadgen import summary, window_record

IDLE = Resources(idle_fraction=0.5, busiest_thread_share=0.3, steal_fraction=0.0, kernel_drops={})
SATURATED = Resources(idle_fraction=0.05, busiest_thread_share=0.5, steal_fraction=0.0, kernel_drops={})
ONE_THREAD = Resources(idle_fraction=0.5, busiest_thread_share=0.9, steal_fraction=0.0, kernel_drops={})
UNKNOWN = Resources(None, None, None, {})
WELL = ServerLife(transport="tcp", requests_total=100, messages=100, died=False)


def window(load: str = "closed", **changes: Any) -> LoadWindow:
    """Return a flawless window with changes."""
    made: Any = {**window_record(load, 0, 1_500_000_000, 1.5), **changes}
    return made


def slow(**percentiles: Any) -> dict[str, Any]:
    """Return a summary with other percentiles."""
    return {**summary(5_000), **percentiles}


@pytest.mark.parametrize(
    ("seen", "resources", "verdict"),
    [
        (window(busy_fraction=0.9), SATURATED, LimitedBy.GENERATOR),
        (window(busy_fraction=0.89), SATURATED, LimitedBy.SERVER),
        (window("open:9", busy_fraction=0.95), IDLE, LimitedBy.GENERATOR),
        (window(), SATURATED, LimitedBy.SERVER),
        (window(), ONE_THREAD, LimitedBy.SERVER),
        (window(), Resources(0.1, 0.89, 0.0, {}), LimitedBy.CONCURRENCY),
        (window(), Resources(0.09, None, 0.0, {}), LimitedBy.SERVER),
        (window(), Resources(0.09, 0.3, 0.0, {}, server_share_of_busy=0.5), LimitedBy.SERVER),
        (window(), Resources(0.09, 0.3, 0.0, {}, server_share_of_busy=0.49), LimitedBy.UNDETERMINED),
        (window(), Resources(0.09, 0.9, 0.0, {}, server_share_of_busy=0.49), LimitedBy.SERVER),
        (window(), Resources(None, 0.95, 0.0, {}), LimitedBy.SERVER),
        (window("open:9", achieved=0.98), SATURATED, LimitedBy.SERVER),
        (window("open:9", achieved=0.98), IDLE, LimitedBy.UNDETERMINED),
        (window("open:9", send_lateness_ns=slow(p99=2_000_000)), SATURATED, LimitedBy.SERVER),
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
    ("seen", "warned"),
    [
        (window("open:9", achieved=0.9899), True),
        (window("open:9", achieved=0.99), False),
        (window("closed", achieved=0.5), False),
        (window("open:9", send_lateness_ns=slow(p99=1_000_001), response_time_ns=slow(p50=10_000_000)), True),
        (window("open:9", send_lateness_ns=slow(p99=1_000_001), response_time_ns=slow(p50=10_000_020)), False),
        (window("open:9", send_lateness_ns=slow(p99=1_000_000), response_time_ns=slow(p50=1_000)), False),
        (window("open:9", send_lateness_ns=slow(p99=None)), False),
        (window("open:9", send_lateness_ns=slow(p99=9_000_000), response_time_ns=slow(p50="> 1 s")), False),
    ],
)
def test_a_missed_schedule_is_seen_by_what_came_back_or_how_late_it_went_out(seen: LoadWindow, warned: bool) -> None:
    assert (WarningKind.SCHEDULE_MISSED.value in kinds(seen)) is warned


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (window(errors={"reset": 1}), WarningKind.ERRORS),
        (window(unanswered=1), WarningKind.UNANSWERED),
        (
            window(fairness={"jain": 0.99, "min": 0, "max": 9, "stalled_connections": 1}),
            WarningKind.STALLED_CONNECTIONS,
        ),
        (window(fairness={"jain": 0.89, "min": 1, "max": 9, "stalled_connections": 0}), WarningKind.UNFAIR),
        (window(pauses={"count": 2, "total_ns": 15_000_001, "max_ns": 1}), WarningKind.PAUSES),
        (window(pauses={"count": 1, "total_ns": 200_001, "max_ns": 200_001}), WarningKind.PAUSES),
        (window(response_time_ns=summary(999)), WarningKind.SHORT),
    ],
)
def test_each_doubt_of_a_window_is_its_own_warning(seen: LoadWindow, kind: WarningKind) -> None:
    assert kinds(seen) == [kind.value]


@pytest.mark.parametrize(
    "seen",
    [
        window(errors={"reset": 0}),
        window(fairness={"jain": 0.9, "min": 1, "max": 9, "stalled_connections": 0}),
        window(fairness={"jain": None, "min": 0, "max": 0, "stalled_connections": 0}),
        window(pauses={"count": 2, "total_ns": 15_000_000, "max_ns": 200_000}),
        window(pauses={"count": 1, "total_ns": 900_000, "max_ns": 900_000}, response_time_ns=slow(p99="> 1 s")),
        window(response_time_ns=summary(1_000)),
    ],
)
def test_at_its_limit_a_figure_is_no_doubt(seen: LoadWindow) -> None:
    assert kinds(seen) == []


def test_unanswered_requests_are_samples_too() -> None:
    assert kinds(window(response_time_ns=summary(990), unanswered=10)) == [WarningKind.UNANSWERED.value]


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


def test_the_generators_warning_stands_before_the_harnesss_of_the_same_kind() -> None:
    own = warning(WarningKind.ERRORS, reset=1, note="seen by the generator")
    merged = merged_warnings(window(errors={"reset": 1}, warnings=[own]), IDLE, WELL)
    assert merged == [own]


def test_warnings_are_kept_in_one_order_also_those_of_a_later_version() -> None:
    later: Any = {"kind": "from_the_future", "figures": {}}
    seen = window(unanswered=1, errors={"reset": 1}, warnings=[later, warning(WarningKind.SHORT)])
    assert kinds(seen) == ["errors", "unanswered", "short", "from_the_future"]
