"""Which request a reply belongs to, and what it is."""

from __future__ import annotations

import pytest

from loadgen.connection import MAX_GIVEN_UP, Connection, Verdict
from loadgen.wire import Reply, next_counter
from loadgen.wire.tcp import Codec

A = next_counter(0)
B = next_counter(A)
C = next_counter(B)
UNKNOWN = C ^ 1


@pytest.fixture
def connection() -> Connection:
    """Return connection 0, on which the first three requests wait, sent at 10, 20 and 30."""
    made = Connection(5, 0, Codec(b"").connection(0))
    made.waiting.extend([(A, 5, 10), (B, 15, 20), (C, 25, 30)])
    return made


def take(
    connection: Connection, sequence: int, intact: bool = True, ordered: bool = True
) -> tuple[Verdict, int | None]:
    """Return what a reply is and the sequence of its request."""
    verdict, request = connection.take(Reply(sequence, intact), ordered, C)
    return verdict, None if request is None else request[0]


def test_replies_in_order_are_answers(connection: Connection) -> None:
    assert [take(connection, sequence) for sequence in (A, B, C)] == [(Verdict.ANSWERED, n) for n in (A, B, C)]
    assert not connection.waiting


def expected(sequence: int) -> bytes:
    """Return the reply to a request of the connection without a payload."""
    return bytes.fromhex("eb01010200000000") + sequence.to_bytes(8, "big")


def test_the_reply_that_is_due_is_taken_by_its_bytes(connection: Connection) -> None:
    tail = Codec(b"").tail
    assert connection.take_expected(expected(A), tail) == (A, 5, 10)
    assert connection.take_expected(expected(B), tail) == (B, 15, 20)
    assert take(connection, A) == (Verdict.DUPLICATE, None)
    assert take(connection, C) == (Verdict.ANSWERED, C)


def test_anything_but_the_reply_that_is_due_is_left_to_be_looked_at(connection: Connection) -> None:
    tail = Codec(b"").tail
    for data in (b"", expected(A)[:15], expected(A) + b"x", expected(A) * 2, expected(B), expected(A)[::-1]):
        assert connection.take_expected(data, tail) is None
    assert take(connection, B) == (Verdict.ANSWERED, B)
    assert connection.take_expected(expected(C), tail) is None, "an older one was overtaken and is still due"
    assert take(connection, A) == (Verdict.REORDERED, A)
    assert connection.take_expected(expected(C), tail) == (C, 25, 30)


def test_a_reply_with_another_payload_is_corrupt(connection: Connection) -> None:
    assert take(connection, A, intact=False) == (Verdict.CORRUPT, A)


def test_a_reply_that_overtakes_is_an_answer_and_the_overtaken_one_is_reordered(connection: Connection) -> None:
    assert take(connection, B) == (Verdict.ANSWERED, B)
    assert take(connection, A) == (Verdict.REORDERED, A)
    assert take(connection, C) == (Verdict.ANSWERED, C)


def test_after_a_dropped_reply_the_others_are_answers_and_the_dropped_one_goes_on_waiting(
    connection: Connection,
) -> None:
    assert [take(connection, sequence) for sequence in (B, C)] == [(Verdict.ANSWERED, n) for n in (B, C)]
    assert connection.outstanding == 1
    assert connection.give_up()[0] == A


def test_the_reply_to_a_given_up_request_is_late_once(connection: Connection) -> None:
    assert connection.give_up()[0] == A
    assert take(connection, A) == (Verdict.LATE, None)
    assert take(connection, B) == (Verdict.ANSWERED, B)


def test_the_reply_to_a_request_that_is_done_with_is_a_duplicate(connection: Connection) -> None:
    take(connection, A)
    take(connection, B)
    assert take(connection, A) == (Verdict.DUPLICATE, None)
    assert take(connection, B) == (Verdict.DUPLICATE, None)
    assert take(connection, C) == (Verdict.ANSWERED, C)


def test_what_another_connection_was_sent_is_no_duplicate(connection: Connection) -> None:
    take(connection, A)
    assert take(connection, (1 << 40) | A) == (Verdict.CORRUPT, B)


def test_an_unknown_sequence_is_the_garbled_reply_to_the_oldest_where_order_is_kept(connection: Connection) -> None:
    assert take(connection, UNKNOWN) == (Verdict.CORRUPT, A)
    assert take(connection, B) == (Verdict.ANSWERED, B)


def test_an_unknown_sequence_is_a_stray_where_order_is_not_kept_or_nothing_waits(connection: Connection) -> None:
    assert take(connection, UNKNOWN, ordered=False) == (Verdict.STRAY, None)
    connection.waiting.clear()
    assert take(connection, UNKNOWN) == (Verdict.STRAY, None)


def test_memory_of_given_up_requests_is_bounded() -> None:
    connection = Connection(5, 0, Codec(b"").connection(0))
    counters = [A]
    for _ in range(MAX_GIVEN_UP + 1):
        connection.waiting.append((counters[-1], 0, 0))
        connection.give_up()
        counters.append(next_counter(counters[-1]))
    newest = counters[-1]
    assert connection.take(Reply(counters[1], True), True, newest) == (Verdict.LATE, None)
    assert connection.take(Reply(counters[0], True), True, newest) == (Verdict.DUPLICATE, None)  # forgotten
