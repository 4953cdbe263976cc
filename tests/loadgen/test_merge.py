"""Several workers' windows made one: exactly what one process would have counted, had it measured all."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest

from harness.schema import QUANTILES, ErrorKind, Load, Second
from loadgen.conductor import Measured
from loadgen.engine import Meter
from loadgen.histogram import Distribution
from loadgen.merge import COUNTS, DISTRIBUTIONS, Merged, merge, merge_second, pack, report, unpack
from loadgen.messages import Close, Message, SecondReport, WindowReport, behind_ns, clock_name, decode, encode
from loadgen.record import window_record
from loadgen.tally import NS_PER_S, WindowTally

OPENS, CLOSES = 10 * NS_PER_S, 13 * NS_PER_S + NS_PER_S // 2
OWN = 4  # connections of each of two workers
LOADS = [Load("closed"), Load("open", 1000.0)]


def travelled(message: Message) -> Any:
    """Return a message as it comes out at the other end."""
    arrived = decode(msgpack.loads(msgpack.dumps(encode(message)), strict_map_key=False))
    assert type(arrived) is type(message)
    return arrived


class Raw:
    """Times of 5,000 answered requests on eight connections, in the order of their replies, and some failures."""

    def __init__(self) -> None:
        draw = np.random.default_rng(7)
        due = np.sort(draw.integers(OPENS - NS_PER_S // 4, CLOSES + NS_PER_S // 4, 5000))
        sent = due + draw.integers(0, 50_000, due.size)
        received = sent + (draw.pareto(1.5, due.size) * 100_000 + 20_000).astype(np.int64)
        order = np.argsort(received, kind="stable")
        self.due, self.sent, self.received = due[order], sent[order], received[order]
        self.numbers = draw.integers(0, 2 * OWN - 1, due.size)  # the last connection gets nothing
        self.connects = draw.integers(10_000, 90_000, 40)
        self.failures = [(kind, OPENS + at * NS_PER_S // 3, at % (2 * OWN)) for at, kind in enumerate(ErrorKind)]

    @property
    def response(self) -> np.ndarray:
        """The response times of the requests that belong to the window."""
        return (self.received - self.due)[(self.due >= OPENS) & (self.due < CLOSES)]

    def count(self, tally: WindowTally, connections: range) -> None:
        """Count what happened on some of the connections, which a process numbers from 0."""
        mine = np.isin(self.numbers, connections)
        received, sent, due = self.received[mine], self.sent[mine], self.due[mine]
        response = Distribution()
        response.add(received - due)
        tally.add(received, sent, due, self.numbers[mine] - connections.start, response)
        tally.add_bytes(received, np.arange(self.received.size)[mine])
        tally.connect_time.add(self.connects[connections.start : connections.stop])
        for kind, due_ns, number in self.failures:
            if number in connections:
                tally.fail(kind, due_ns, due_ns + 7, number - connections.start)
                tally.see_error(due_ns)
                tally.late, tally.duplicates, tally.reordered = (
                    tally.late + 1,
                    tally.duplicates + 2,
                    tally.reordered + 3,
                )
        if 0 in connections:
            tally.fail(ErrorKind.CLOSED, OPENS + 3, None, None)
        tally.fold_failures()
        tally.advance(CLOSES)


def process(load: Load, connections: range, busy: float, pauses: tuple[int, int, int]) -> Measured:
    """Return the window of a process that had these connections; pauses are count, total and longest."""
    count, total_ns, longest_ns = pauses
    tally = WindowTally(load, OPENS, CLOSES)
    opened = Meter(OPENS + 5, 0, 0, 0, 0)
    closed = Meter(CLOSES + 5, round((CLOSES - OPENS) * (1 - busy)), len(connections) * 1000, count, total_ns)
    return Measured(tally, opened, closed, longest_ns, frozenset(range(len(connections))))


def two_workers(load: Load, raw: Raw) -> Merged:
    """Return what a master makes of two workers that shared the connections."""
    seconds: dict[int, list[SecondReport]] = {}

    def keep(second: Second, responses: Distribution) -> None:
        told = SecondReport(0, second["index"], second["errors"], pack(responses))
        seconds.setdefault(second["index"], []).append(travelled(told))

    reports: list[WindowReport] = []
    for worker, (busy, pauses) in enumerate([(0.25, (1, 400, 400)), (0.5, (2, 600, 500))]):
        own = range(worker * OWN, (worker + 1) * OWN)
        measured = process(load, own, busy, pauses)
        measured.tally.on_second = keep
        raw.count(measured.tally, own)
        reports.append(travelled(report(0, measured, any_lives=True, said=None)))
    return merge(load, (OPENS, CLOSES), reports, [merge_second(seconds[index]) for index in sorted(seconds)])


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_two_workers_make_the_record_that_one_process_would_have_made(load: Load) -> None:
    raw = Raw()
    alone = process(load, range(2 * OWN), 0.5, (3, 1000, 500))
    raw.count(alone.tally, range(2 * OWN))
    assert window_record(two_workers(load, raw), 1.0) == window_record(alone, 1.0)
    assert alone.tally.fairness(range(2 * OWN))["stalled_connections"] == (load.kind == "closed")
    assert len(alone.tally.seconds) == 4


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_percentiles_are_those_of_all_raw_values_pooled(load: Load) -> None:
    raw = Raw()
    response = two_workers(load, raw).tally.response
    assert response.count == raw.response.size
    assert (response.min_ns, response.max_ns) == (raw.response.min(), raw.response.max())
    for quantile in QUANTILES.values():
        exact = float(np.quantile(raw.response, quantile, method="inverted_cdf"))
        assert response.value_at(quantile) == pytest.approx(exact, rel=0.001, abs=512)


def test_each_worker_s_part_stays_visible() -> None:
    merged = two_workers(LOADS[0], Raw())
    assert [part["busy_fraction"] for part in merged.workers] == [pytest.approx(0.25), pytest.approx(0.5)]
    for name in ("due", "answered", "unanswered", "responses"):
        assert sum(dict(part)[name] for part in merged.workers) == getattr(merged.tally, name)
    assert [part["opened_late_ns"] for part in merged.workers] == [5, 5]


def test_all_that_a_window_counts_is_merged() -> None:
    """A count that is added to a window and not to the messages would be lost silently."""
    apart = {"load", "opens_ns", "closes_ns", "seconds", "on_second", "errors"}
    public = {name for name in vars(WindowTally(LOADS[0], OPENS, CLOSES)) if not name.startswith("_")}
    assert public - apart == {*COUNTS, *DISTRIBUTIONS}


def test_an_empty_distribution_travels_too() -> None:
    arrived = unpack(msgpack.loads(msgpack.dumps(pack(Distribution()))))
    assert (arrived.count, arrived.min_ns, arrived.max_ns, arrived.value_at(0.5)) == (0, None, None, None)


def test_times_of_an_order_are_taken_as_they_are_on_the_same_machine_and_from_its_arrival_elsewhere() -> None:
    assert behind_ns(Close(1000, 900, clock_name())) == 0
    assert behind_ns(Close(1000, 900, "another boot")) > 1_000_000
