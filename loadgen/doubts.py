"""Every doubt about a window that the load generator can see by itself, as warnings. Pure: a record in, values out.

The harness adds what only it can see (steal, drops of the kernel, the server's own count); it judges nothing again.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.schema import (
    ACHIEVED_LEAST,
    JAIN_FAIR,
    SAMPLES_NEEDED,
    LoadWindow,
    WarningKind,
    WarningRecord,
    total_errors,
    warning,
)

LATENESS_OF_RESPONSE = 0.1
LATENESS_NS = 1_000_000
PAUSES_OF_WINDOW = 0.01
PAUSE_OF_P99 = 0.5
CLOSED = "closed"


def doubts(window: LoadWindow) -> list[WarningRecord]:
    """Return the warnings of a window, one of each kind, in the order of the kinds."""
    return [record for rule in RULES if (record := rule(window)) is not None]


def schedule_missed(window: LoadWindow) -> WarningRecord | None:
    """Doubt an open window that the server, or the generator itself, did not keep up with."""
    if window["load"] == CLOSED:
        return None
    achieved = window["achieved"]
    if achieved is not None and achieved < ACHIEVED_LEAST:
        return warning(WarningKind.SCHEDULE_MISSED, achieved=achieved)
    lateness = window["send_lateness_ns"] and window["send_lateness_ns"]["p99"]
    response = window["response_time_ns"]["p50"]
    if not isinstance(lateness, int | float) or not isinstance(response, int | float):
        return None
    if lateness > LATENESS_NS and lateness > LATENESS_OF_RESPONSE * response:
        return warning(WarningKind.SCHEDULE_MISSED, p99_send_lateness_ns=lateness, p50_response_time_ns=response)
    return None


def errors(window: LoadWindow) -> WarningRecord | None:
    """Doubt a window in which anything failed."""
    return warning(WarningKind.ERRORS, **window["errors"]) if total_errors(window["errors"]) else None


def unanswered(window: LoadWindow) -> WarningRecord | None:
    """Doubt a window whose requests were not all answered."""
    count = window["unanswered"]
    return warning(WarningKind.UNANSWERED, unanswered=count, due=window["due"]) if count else None


def stalled_connections(window: LoadWindow) -> WarningRecord | None:
    """Doubt a window in which a connection had no reply."""
    count = window["fairness"]["stalled_connections"]
    return warning(WarningKind.STALLED_CONNECTIONS, connections=count) if count else None


def unfair(window: LoadWindow) -> WarningRecord | None:
    """Doubt a window in which some connections were served much more than others."""
    jain = window["fairness"]["jain"]
    if jain is None or jain >= JAIN_FAIR:
        return None
    fairness = window["fairness"]
    return warning(WarningKind.UNFAIR, jain=jain, least_replies=fairness["min"], most_replies=fairness["max"])


def pauses(window: LoadWindow) -> WarningRecord | None:
    """Doubt a window whose tail the machine may have set, not the server."""
    found = window["pauses"]
    p99 = window["response_time_ns"]["p99"]
    much = found["total_ns"] > PAUSES_OF_WINDOW * window["window_s"] * 1e9
    long = isinstance(p99, int | float) and found["max_ns"] > PAUSE_OF_P99 * p99
    if not much and not long:
        return None
    return warning(WarningKind.PAUSES, count=found["count"], total_ns=found["total_ns"], longest_ns=found["max_ns"])


def short(window: LoadWindow) -> WarningRecord | None:
    """Doubt a window with too few samples for a p99."""
    samples = window["response_time_ns"]["count"] + window["unanswered"]
    if samples >= SAMPLES_NEEDED["p99"]:
        return None
    return warning(WarningKind.SHORT, samples=samples, needed_for_p99=SAMPLES_NEEDED["p99"])


RULES: tuple[Callable[[LoadWindow], WarningRecord | None], ...] = (
    schedule_missed,
    errors,
    unanswered,
    stalled_connections,
    unfair,
    pauses,
    short,
)
