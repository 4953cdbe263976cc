"""What becomes of requests, told to the recorder: answered, wrong, late, or never answered."""

from __future__ import annotations

from harness.schema import ErrorKind
from loadgen.connection import Connection, Verdict
from loadgen.recorder import Recorder
from loadgen.wire import Reply


def settle(
    connection: Connection, reply: Reply, recorder: Recorder, now: int, *, ordered: bool, is_open: bool, counter: int
) -> None:
    """Record what a reply is; `ordered` is the transport's, `counter` the last one that a request was sent with."""
    verdict, request = connection.take(reply, ordered, counter)
    if verdict is Verdict.REORDERED:
        recorder.reordered(now)
        verdict = Verdict.CORRUPT if ordered or not reply.intact else Verdict.ANSWERED
    if request is not None and verdict is Verdict.ANSWERED:
        recorder.answered(request, now, connection.fd, is_open)
    elif request is not None:
        recorder.failed(ErrorKind.CORRUPT, request, connection.number, now)
    elif verdict is Verdict.LATE:
        recorder.late(now)
    else:
        if verdict is Verdict.DUPLICATE:
            recorder.duplicate(now)
        if verdict is Verdict.STRAY or ordered:
            recorder.unasked(now)


def give_up_overdue(connection: Connection, limit_ns: int, recorder: Recorder, now: int) -> None:
    """Record as failed what a connection waits for since before a time, and what it could not send since then."""
    while connection.waits_since(limit_ns):
        recorder.failed(ErrorKind.TIMEOUT, connection.give_up(), connection.number, now)
    while connection.backlog and connection.backlog[0] < limit_ns:
        recorder.never_sent(ErrorKind.TIMEOUT, connection.backlog.popleft(), connection.number, now)
