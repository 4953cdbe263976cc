"""The fast path: closed load, one request outstanding on a connection. Almost every request of such a run goes here.

A round trip costs two system calls and a few hundred nanoseconds of Python, so every line below is paid for 100,000
times a second. What is there, and what is not:

* One epoll call brings up to `BATCH` readable connections. Not more: while a batch is worked off, due times, pauses
  and the clock of the slice wait.
* `os.read` and `os.write` on the descriptor: a socket object's methods do the same after more work (argument
  parsing, time-out handling). The read asks for exactly a reply's length: the bytes object is right at once, and
  anything beyond it is reported again by epoll. (Of a datagram one byte more: what is beyond it would be cut off.)
* **One comparison verifies everything**: the received bytes are equal to the bytes that the reply must be, or they are
  not (part of a reply, several, a wrong one, an end of file, the engine's alarm). What is not goes to `Exchange`, where
  it is taken apart. No header is parsed here, and no connection object is looked up.
* Request and expected reply are one concatenation each: a head that belongs to the connection and a tail (counter and
  payload) that is made once for the batch. Heads differ between connections, so no two connections ever expect the
  same bytes.
* **One clock reading a reply.** It ends this round trip and begins the next: it is taken after the reply was verified
  and before the next request is written. Service time therefore holds the write, as the peer's wait does, and misses
  nothing in between.
* Where the protocol wants requests masked, the tail is, by one call into C. Everywhere else that costs the test whether
  it does.
* Three appends to lists of plain numbers. No subtraction, no histogram, no counting: that is done for thousands at a
  time in `loadgen.recorder`, which also looks for replies after the time-out. (An `array("q")` takes 55 ns an append,
  a list 8 ns, and 14 ns later for the conversion to numpy.)
* `try` costs nothing until it raises (Python 3.11 and later), and locals are found by index: they are bound once a
  slice, which is some milliseconds.

What the fast path must not do: switch greenlets inside a batch, keep a connection object, or send on a connection that
`expected` does not describe.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic_ns

from loadgen.exchange import Exchange

BATCH = 32


def exchange_until(
    exchange: Exchange,
    until_ns: int,
    idle: Callable[[int, int], int],
    after_batch: Callable[[int, int, int], None],
    pause_ns: int,
) -> None:
    """Answer every reply with the next request until the clock (monotonic, ns) passes `until_ns`.

    `idle(now, until)` is called when nothing is readable and returns the time when it is worth looking again;
    `after_batch(began, ended, replies)` when a batch took longer than `pause_ns`.
    """
    read, write, clock, poll = os.read, os.write, monotonic_ns, exchange.epoll.poll
    lanes = exchange.lanes
    expected, sent_ns, request_head, reply_head = lanes.expected, lanes.sent_ns, lanes.request_head, lanes.reply_head
    codec, next_counter, mask_key = exchange.codec, exchange.next_counter, lanes.mask_key
    make_tail, mask, request_bytes, read_bytes = codec.tail, codec.mask, codec.request_bytes, codec.read_bytes
    columns = exchange.recorder.columns
    add_received, add_sent, add_descriptor = columns.received.append, columns.sent.append, columns.descriptors.append

    before = clock()
    while before < until_ns:
        events = poll(0, BATCH)
        if not events:
            before = idle(before, until_ns)
            continue
        tail = make_tail(next_counter())
        for fd, _ in events:
            try:
                data = read(fd, read_bytes)
            except OSError as error:
                exchange.read_failed(fd, error)
                continue
            if data != expected[fd]:
                exchange.handle(fd, data)
                continue
            now = clock()
            add_received(now)
            add_sent(sent_ns[fd])
            add_descriptor(fd)
            sent_ns[fd] = now
            expected[fd] = reply_head[fd] + tail
            request = request_head[fd] + (tail if mask is None else mask(tail, mask_key[fd]))
            try:
                written = write(fd, request)
            except OSError as error:
                written = exchange.write_failed(fd, error)
            if written != request_bytes:
                exchange.written_in_part(fd, request, written)
        after = clock()
        if after - before > pause_ns:
            after_batch(before, after, len(events))
        before = after
