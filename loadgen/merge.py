"""Several workers' windows become one, exactly: nothing here knows of processes or of Locust.

Counts add up. Histograms add up, bucket by bucket, so a percentile of the whole is that of all raw values pooled, to
the histogram's resolution; never is a percentile made of percentiles. Fairness is Jain's index over all connections
of all workers, not a mean of indexes. CPU time and pauses add up, the longest pause is the longest of any. One figure
is not a sum: `busy_fraction` is that of the busiest worker, because one worker that is used up is enough to keep the
whole from measuring the server.

On the way a distribution is two arrays, the buckets that hold something and their counts, beside its sum and extremes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.schema import ErrorKind, Fairness, Load, Pauses, Second, WorkerWindow
from loadgen.conductor import Measured
from loadgen.histogram import Distribution, Ints
from loadgen.messages import Packed, SecondReport, WindowReport
from loadgen.tally import NS_PER_S, ConnectionCounts, WindowTally, describe_second, fairness

# All that a `WindowTally` holds and that adds up (a test compares them with what it has).
COUNTS = (
    "responses",
    "received_bytes",
    "answered_in_time",
    "unanswered",
    "unsent",
    "unconnected",
    "unshaken",
    "lost",
    "late",
    "duplicates",
    "reordered",
)
DISTRIBUTIONS = ("response", "service", "lateness", "connect_time", "handshake_time")


@dataclass(frozen=True)
class Merged:
    """A window that several workers measured; what `loadgen.conductor.Measured` is for one process."""

    tally: WindowTally
    fairness: Fairness
    busy_fraction: float
    cpu_ns: int
    pauses: Pauses
    workers: list[WorkerWindow]


def pack(distribution: Distribution) -> Packed:
    """Return a distribution as it travels."""
    filled = np.flatnonzero(distribution.counts)
    return {
        "buckets": filled.astype(np.int64).tobytes(),
        "counts": distribution.counts[filled].tobytes(),
        "sum_ns": distribution.sum_ns,
        "min_ns": distribution.min_ns,
        "max_ns": distribution.max_ns,
    }


def unpack(packed: Packed) -> Distribution:
    """Return the distribution that was packed."""
    distribution = Distribution()
    distribution.counts[np.frombuffer(packed["buckets"], np.int64)] = np.frombuffer(packed["counts"], np.int64)
    distribution.count = int(distribution.counts.sum())
    distribution.sum_ns = packed["sum_ns"]
    distribution.min_ns, distribution.max_ns = packed["min_ns"], packed["max_ns"]
    return distribution


def add_up(packed: Iterable[Packed]) -> Distribution:
    """Return the sum of packed distributions."""
    whole = Distribution()
    for part in packed:
        whole.merge(unpack(part))
    return whole


def report(index: int, measured: Measured, any_lives: bool, said: str | None) -> WindowReport:
    """Return a worker's window as it travels."""
    tally = measured.tally
    counts = tally.by_connection(measured.connections)
    return WindowReport(
        index=index,
        counts={name: getattr(tally, name) for name in COUNTS},
        distributions={name: pack(getattr(tally, name)) for name in DISTRIBUTIONS},
        errors={kind.value: count for kind, count in tally.errors.items()},
        by_connection=[column.tobytes() for column in (counts.replies, counts.answered, counts.failed)],
        busy_fraction=measured.busy_fraction,
        cpu_ns=measured.cpu_ns,
        pauses=measured.pauses,
        opened_late_ns=measured.opened.at_ns - tally.opens_ns,
        any_lives=any_lives,
        said=said,
    )


def merge(load: Load, span_ns: tuple[int, int], reports: Sequence[WindowReport], seconds: list[Second]) -> Merged:
    """Return the window that the workers measured together; `span_ns` is when it opened and closed."""
    tally = WindowTally(load, *span_ns)
    for name in COUNTS:
        setattr(tally, name, sum(each.counts[name] for each in reports))
    for name in DISTRIBUTIONS:
        setattr(tally, name, add_up(each.distributions[name] for each in reports))
    for each in reports:
        tally.errors.update({ErrorKind(kind): count for kind, count in each.errors.items()})
    tally.seconds = seconds
    columns = [_joined(each.by_connection[column] for each in reports) for column in range(3)]
    return Merged(
        tally=tally,
        fairness=fairness(load, ConnectionCounts(*columns)),
        busy_fraction=max(each.busy_fraction for each in reports),
        cpu_ns=sum(each.cpu_ns for each in reports),
        pauses={
            "count": sum(each.pauses["count"] for each in reports),
            "total_ns": sum(each.pauses["total_ns"] for each in reports),
            "max_ns": max(each.pauses["max_ns"] for each in reports),
        },
        workers=[_part(worker, each) for worker, each in enumerate(reports)],
    )


def merge_second(reports: Sequence[SecondReport]) -> Second:
    """Return what the workers tell together of a second of a window."""
    responses = add_up(each.responses for each in reports)
    return describe_second(reports[0].second, responses, sum(each.errors for each in reports))


def _joined(columns: Iterable[bytes]) -> Ints:
    return np.concatenate([np.frombuffer(column, np.int64) for column in columns])


def _part(worker: int, each: WindowReport) -> WorkerWindow:
    answered = int(np.frombuffer(each.distributions["response"]["counts"], np.int64).sum())
    return {
        "worker": worker,
        "due": answered + each.counts["unanswered"],
        "responses": each.counts["responses"],
        "answered": answered,
        "unanswered": each.counts["unanswered"],
        "busy_fraction": each.busy_fraction,
        "cpu_s": each.cpu_ns / NS_PER_S,
        "opened_late_ns": each.opened_late_ns,
    }
