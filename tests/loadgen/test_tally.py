"""Windows: what belongs to them, what a second of them holds, how evenly connections were served."""

from __future__ import annotations

import numpy as np
import pytest

from harness.schema import ErrorKind, Load
from loadgen.connection import Request
from loadgen.histogram import Distribution
from loadgen.recorder import FOLD_AT, Recorder
from loadgen.tally import NS_PER_S, ByConnection, WindowTally

MS = 1_000_000
OPENS, CLOSES = 10 * NS_PER_S, 12 * NS_PER_S + 500 * MS
CLOSED, OPEN = Load("closed"), Load("open", 100.0)


def column(*values: int) -> np.ndarray:
    """Return a column of times."""
    return np.array(values, dtype=np.int64)


def distribution_of(values: np.ndarray) -> Distribution:
    """Return the distribution of these times."""
    distribution = Distribution()
    distribution.add(values)
    return distribution


def answered(tally: WindowTally, *times_ms: tuple[int, int], connection: int = 0) -> None:
    """Count requests due at one time and received at another, in ms from the opening; sent 1 ms after they were due."""
    due = column(*(OPENS + due * MS for due, _ in times_ms))
    received = column(*(OPENS + received * MS for _, received in times_ms))
    tally.add(received, due + MS, due, np.full(len(times_ms), connection), distribution_of(received - due))


@pytest.fixture
def tally() -> WindowTally:
    """Return a window of 2.5 s under open load."""
    return WindowTally(OPEN, OPENS, CLOSES)


def test_a_request_belongs_to_the_window_by_its_due_time(tally: WindowTally) -> None:
    answered(tally, (-1, 3), (0, 4), (2499, 2600), (2500, 2601))
    assert (tally.due, tally.answered) == (2, 2)
    assert tally.response.max_ns == 101 * MS


def test_replies_received_inside_the_window_are_counted_whoever_they_belong_to(tally: WindowTally) -> None:
    answered(tally, (-5, -1), (-1, 3), (0, 4), (2499, 2600))
    assert tally.responses == 2
    assert tally.answered_in_time == 1


def test_response_time_is_service_time_and_lateness(tally: WindowTally) -> None:
    answered(tally, (10, 15))
    assert (tally.response.max_ns, tally.service.max_ns, tally.lateness.max_ns) == (5 * MS, 4 * MS, 1 * MS)


def test_seconds_hold_what_was_received_in_them_and_the_last_may_be_short(tally: WindowTally) -> None:
    tally.fail(ErrorKind.TIMEOUT, OPENS + 1, OPENS + 1, 0)
    tally.see_error(OPENS + 1001 * MS)
    answered(tally, *((n, n + 1) for n in range(0, 999, 10)), (999, 1000), (2400, 2499))
    assert tally.advance(OPENS + 2 * NS_PER_S) == tally.seconds[:2]
    assert tally.advance(OPENS + 2 * NS_PER_S) == []
    assert len(tally.advance(CLOSES + NS_PER_S)) == 1
    assert [second["responses"] for second in tally.seconds] == [100, 1, 1]
    assert [second["errors"] for second in tally.seconds] == [0, 1, 0]
    assert [second["index"] for second in tally.seconds] == [0, 1, 2]
    assert tally.seconds[0]["p50_ns"] == pytest.approx(MS, rel=0.001)
    assert tally.seconds[0]["p99_ns"] is None  # a hundred samples do not carry it
    assert tally.seconds[1]["p50_ns"] is None


def test_a_failure_counts_for_the_window_in_which_its_request_was_due(tally: WindowTally) -> None:
    tally.fail(ErrorKind.RESET, OPENS - 1, OPENS, 0)
    tally.fail(ErrorKind.RESET, OPENS, OPENS + 2 * MS, 0)
    tally.fail(ErrorKind.TIMEOUT, OPENS, None, 0)
    assert (tally.due, tally.unanswered, tally.unsent) == (2, 2, 1)
    assert tally.errors == {ErrorKind.RESET: 1, ErrorKind.TIMEOUT: 1}
    tally.fold_failures()
    assert tally.lateness.max_ns == 2 * MS


def test_what_a_lossy_transport_leaves_unanswered_is_lost_and_no_error() -> None:
    tally = WindowTally(OPEN, OPENS, CLOSES, lossy=True)
    tally.fail(ErrorKind.TIMEOUT, OPENS - 1, OPENS, 0)
    tally.fail(ErrorKind.TIMEOUT, OPENS, OPENS + 2 * MS, 0)
    assert (tally.due, tally.unanswered, tally.lost) == (1, 1, 1)
    assert tally.errors == {}


def test_what_never_went_out_or_failed_otherwise_is_not_lost_but_an_error() -> None:
    tally = WindowTally(OPEN, OPENS, CLOSES, lossy=True)
    tally.fail(ErrorKind.TIMEOUT, OPENS, None, 0)
    tally.fail(ErrorKind.REFUSED, OPENS, OPENS, 0)
    tally.fail(ErrorKind.CORRUPT, OPENS, OPENS, 0)
    assert (tally.unanswered, tally.unsent, tally.lost) == (3, 1, 0)
    assert tally.errors == {ErrorKind.TIMEOUT: 1, ErrorKind.REFUSED: 1, ErrorKind.CORRUPT: 1}


def test_even_service_has_the_index_1_and_a_connection_without_a_reply_is_stalled() -> None:
    tally = WindowTally(CLOSED, OPENS, CLOSES)
    for connection in (0, 1, 2):
        answered(tally, *((n, n + 1) for n in range(10)), connection=connection)
    assert tally.fairness({0, 1, 2}) == {"jain": 1.0, "min": 10, "max": 10, "stalled_connections": 0}
    assert tally.fairness({0, 1, 2, 900}) == {"jain": 0.75, "min": 0, "max": 10, "stalled_connections": 1}


def test_open_load_is_fair_when_everything_dealt_is_answered_however_uneven_the_dealing(tally: WindowTally) -> None:
    answered(tally, *((n, n + 1) for n in range(30)), connection=0)
    answered(tally, (5, 6), connection=1)
    assert tally.fairness({0, 1, 2}) == {"jain": 1.0, "min": 0, "max": 30, "stalled_connections": 0}
    tally.fail(ErrorKind.TIMEOUT, OPENS, OPENS, 2)
    tally.fold_failures()
    fairness = tally.fairness({0, 1, 2})
    assert fairness["stalled_connections"] == 1
    assert fairness["jain"] == pytest.approx(2 / 3)


def test_fairness_of_nobody_is_unknown(tally: WindowTally) -> None:
    assert tally.fairness(set()) == {"jain": None, "min": 0, "max": 0, "stalled_connections": 0}


def test_counts_by_connection_grow_with_the_numbers() -> None:
    counts = ByConnection()
    counts.add(column(3, 3, 500))
    counts.add(column(3))
    assert counts.of([3, 4, 500, 9999]).tolist() == [3, 0, 1, 0]


def record(recorder: Recorder, request: Request, received_ns: int, descriptor: int = 5) -> None:
    """Record one answered request of an open load."""
    recorder.answered(request, received_ns, descriptor, is_open=True)


def test_a_reply_after_the_time_out_is_a_time_out_and_late_whoever_noticed(tally: WindowTally) -> None:
    recorder = Recorder(timeout_ns=100 * MS)
    recorder.introduce(5, 0)
    recorder.window = tally
    record(recorder, (1, OPENS, OPENS), OPENS + 100 * MS)
    record(recorder, (2, OPENS, OPENS), OPENS + 100 * MS + 1)
    recorder.fold()
    assert (tally.answered, tally.unanswered, tally.late) == (1, 1, 1)
    assert tally.errors == {ErrorKind.TIMEOUT: 1}
    assert recorder.life.requests_total == 2


def test_a_datagram_after_the_time_out_is_lost_and_late_whoever_noticed() -> None:
    recorder = Recorder(timeout_ns=100 * MS)
    recorder.introduce(5, 0)
    recorder.window = tally = WindowTally(OPEN, OPENS, CLOSES, lossy=True)
    record(recorder, (1, OPENS, OPENS), OPENS + 100 * MS + 1)
    recorder.fold()
    assert (tally.answered, tally.unanswered, tally.lost, tally.late) == (0, 1, 1, 1)
    assert tally.errors == {}


def test_a_descriptor_used_again_is_another_connection(tally: WindowTally) -> None:
    recorder = Recorder(NS_PER_S)
    recorder.window = tally
    recorder.introduce(300, 0)
    record(recorder, (1, OPENS, OPENS), OPENS + 1, 300)
    recorder.introduce(300, 1)
    record(recorder, (2, OPENS, OPENS), OPENS + 2, 300)
    record(recorder, (3, OPENS, OPENS), OPENS + 3, 300)
    recorder.fold()
    assert tally.fairness({0})["max"] == 1
    assert tally.fairness({1})["max"] == 2


def test_folding_is_due_after_a_while_or_when_much_has_come() -> None:
    recorder = Recorder(NS_PER_S)
    recorder.introduce(5, 0)
    recorder.fold(OPENS)
    assert not recorder.due_to_fold(OPENS + 1)
    assert recorder.due_to_fold(OPENS + NS_PER_S)
    for n in range(FOLD_AT):
        record(recorder, (n, OPENS, OPENS), OPENS + n)
    assert recorder.due_to_fold(OPENS + 1)
    recorder.fold(OPENS)
    assert recorder.life.answered.count == FOLD_AT
    assert not recorder.due_to_fold(OPENS + 1)


def test_an_error_of_no_request_counts_where_it_was_seen(tally: WindowTally) -> None:
    recorder = Recorder(NS_PER_S)
    recorder.window = tally
    recorder.stray(ErrorKind.CLOSED, OPENS - 1)
    recorder.stray(ErrorKind.CLOSED, OPENS)
    recorder.stray(ErrorKind.CLOSED, CLOSES)
    assert tally.errors == {ErrorKind.CLOSED: 1}
    assert tally.due == 0
    assert recorder.life.failures == {ErrorKind.CLOSED: 3}


def test_a_message_of_no_request_counts_until_all_is_settled_as_doubled_and_late_ones_do(tally: WindowTally) -> None:
    recorder = Recorder(NS_PER_S)
    recorder.window = tally
    for at_ns in (OPENS - 1, OPENS, CLOSES):
        recorder.unasked(at_ns)
        recorder.duplicate(at_ns)
        recorder.late(at_ns)
    assert tally.errors == {ErrorKind.CORRUPT: 2}
    assert (tally.duplicates, tally.late) == (2, 2)
    assert recorder.life.failures == {ErrorKind.CORRUPT: 3}
