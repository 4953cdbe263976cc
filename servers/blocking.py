"""One connection, served by blocking calls: what a forked child and a thread have in common.

`recv_into` and `sendall` block without a time-out object of Python's, which would cost a `poll` a call; the only
deadline inside the loop, that of an unfinished message, is the kernel's `SO_RCVTIMEO`, set when a message stays
unfinished and cleared when it is whole.

**How it stops.** Whoever owns the process or thread shuts down the receiving side of the connection (`SHUT_RD`). That
wakes a blocked `recv`; what is queued can still be read, then comes an end of file. So everything that had arrived is
answered. What a peer had sent and its own kernel still held back, because this side's queue was full, is not: after
`SHUT_RD` the kernel opens its window no more. The event-driven models, which need no such wake-up, answer that too.

**How it closes.** Send all, shut down the sending side, read and discard until the peer has closed or `LINGER_S` is
over, close. A byte left unread at `close`, or one that arrives after it, would make the kernel send a reset and throw
away the replies that are still queued. After `SHUT_RD` reading can't tell when the peer has closed, and the kernel
resets as soon as the peer sends more; there the loop first waits until the peer has received what was sent.

What breaks first: a peer that sends and never reads blocks its own process or thread in `sendall`, and no one else.
"""

from __future__ import annotations

import fcntl
import logging
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress

from servers.config import LINGER_S
from servers.contract import CLOSING, MESSAGES, OPEN, PARTIAL, RESET, TIMED_OUT, Step, StreamProtocol, Tally
from servers.service import Service
from servers.signals import StopSignal
from servers.stepping import uncounted
from servers.work import Work

log = logging.getLogger(__name__)

_TIMEVAL = struct.Struct("@ll")
_SENT_POLL_MS = 2


def serve_connection(
    connection: socket.socket, service: Service[StreamProtocol], buffer: memoryview, on_finish: Callable[[], object]
) -> None:
    """Serve a connection to its end and close its sending side; the caller closes the socket.

    `on_finish` is called when all replies are made: from then on nobody may shut down the receiving side.
    """
    protocol, stop = service.new_protocol(service.tally), service.stop
    try:
        _converse(connection, protocol, service, buffer)
        farewell = protocol.drain() if stop.requested else protocol.receive_eof()
        if farewell:
            connection.sendall(farewell)
        on_finish()
        _finish(connection, buffer, stop)
    except OSError as error:
        if stop.remaining_s():  # else it was cut off, and counted as that
            service.tally[RESET] += 1
        log.info("connection lost: %s", error)


def _converse(
    connection: socket.socket, protocol: StreamProtocol, service: Service[StreamProtocol], buffer: memoryview
) -> None:
    """Answer until the peer has said all, the protocol wants to close, or a message takes too long."""
    recv_into, sendall, receive, work = connection.recv_into, connection.sendall, protocol.receive, service.work
    deadline_s: float | None = None
    while True:
        try:
            size = recv_into(buffer)
        except BlockingIOError:  # SO_RCVTIMEO
            service.tally[TIMED_OUT] += 1
            return
        if not size:
            return
        if work is not None:
            _work_off(connection, uncounted(protocol.steps(buffer[:size]), service.tally), work, service.tally)
        elif reply := receive(buffer[:size]):
            sendall(reply)
            del reply  # it would be held through the next wait
        if protocol.phase is CLOSING:
            return
        if deadline_s is not None or protocol.phase is PARTIAL:
            deadline_s = _limit_message(connection, protocol, service, None if protocol.begun else deadline_s)
            if deadline_s is not None and deadline_s <= time.monotonic():  # there is always a byte to read
                service.tally[TIMED_OUT] += 1
                return


def _work_off(connection: socket.socket, steps: list[Step], work: Work, tally: Tally) -> None:
    """Do the work of each request, then send its reply."""
    for step in steps:
        if step.is_answer:
            work.do()
            tally[MESSAGES] += 1
        connection.sendall(step.reply)


def _limit_message(
    connection: socket.socket, protocol: StreamProtocol, service: Service[StreamProtocol], deadline_s: float | None
) -> float | None:
    """Limit the next receive to what an unfinished message has left, or lift the limit; return the deadline."""
    timeout_s = service.config.message_timeout_s
    if protocol.phase is OPEN or not timeout_s:
        limit_receive(connection, 0.0)
        return None
    now_s = time.monotonic()
    deadline_s = deadline_s or now_s + timeout_s
    limit_receive(connection, max(0.001, deadline_s - now_s))
    return deadline_s


def limit_receive(connection: socket.socket, seconds: float) -> None:
    """Let a receive fail with BlockingIOError after some seconds; 0 is never."""
    microseconds = int(seconds * 1e6)
    value = _TIMEVAL.pack(microseconds // 1_000_000, microseconds % 1_000_000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)


def _finish(connection: socket.socket, buffer: memoryview, stop: StopSignal) -> None:
    if stop.requested:
        _wait_until_sent(connection, stop)
    deadline_s = time.monotonic() + LINGER_S
    readable = select.poll()  # SO_RCVTIMEO would begin anew whenever a signal comes
    readable.register(connection, select.POLLIN)
    with suppress(OSError):  # the peer went first: everything was sent
        connection.shutdown(socket.SHUT_WR)
        while (left_s := deadline_s - time.monotonic()) > 0:
            if readable.poll(left_s * 1000) and not connection.recv_into(buffer):
                break


def _wait_until_sent(connection: socket.socket, stop: StopSignal) -> None:
    """Wait until the peer's kernel has all replies, or the connection is broken.

    There is no event for the first, so the queue's length is asked every few milliseconds; the second is always told.
    """
    if sys.platform != "linux":
        return
    broken = select.poll()
    broken.register(connection, 0)
    while stop.remaining_s() and _unsent_bytes(connection) and not broken.poll(_SENT_POLL_MS):
        pass


def _unsent_bytes(connection: socket.socket) -> int:
    return int(struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
