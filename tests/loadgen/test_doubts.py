"""Each doubt that the load generator has about a window, on both sides of its limit."""

from __future__ import annotations

from typing import Any

import pytest

from harness.schema import LoadWindow, WarningKind
from loadgen.doubts import doubts

ANSWERED = {"count": 5_000, "min": 1, "mean": 1.0, "p50": 100_000, "p90": 100_000, "p99": 400_000, "max": 1}


def window(load: str = "closed", **changes: Any) -> LoadWindow:
    """Return a flawless window with changes."""
    flawless: Any = {
        "load": load,
        "window_s": 1.5,
        "due": 5_000,
        "achieved": 1.0,
        "errors": {},
        "unanswered": 0,
        "response_time_ns": ANSWERED,
        "send_lateness_ns": None if load == "closed" else slow(p99=50_000),
        "fairness": {"jain": 1.0, "min": 9, "max": 9, "stalled_connections": 0},
        "pauses": {"count": 0, "total_ns": 0, "max_ns": 0},
        **changes,
    }
    return flawless


def slow(**percentiles: Any) -> dict[str, Any]:
    """Return a summary with other percentiles."""
    return {**ANSWERED, **percentiles}


def summary(count: int) -> dict[str, Any]:
    """Return a summary of so many answered requests."""
    return {**ANSWERED, "count": count}


def kinds(seen: LoadWindow) -> list[str]:
    """Return the kinds of a window's doubts."""
    return [record["kind"] for record in doubts(seen)]


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
