"""What every server does with a stream of requests, however it is split, glued, sized and hurried.

A check is a plain function that takes a running server and asserts. Pieces are sent one after the other only when the
server has read the one before (the kernel tells), so "byte by byte" means that the server really sees single bytes.
"""

from __future__ import annotations

import random

from .server_process import Server
from .wire import Wire
from .wire_bytes import payload_of, pieces

SPLIT_SEED = 20


def check_messages_that_arrive_byte_by_byte_are_answered(server: Server) -> None:
    wire = server.wire
    rule = "messages that arrive byte by byte are answered"
    with server.connect() as peer:
        for _, sent, expected in wire.corpus[3:7]:
            peer.send_apart([sent[at : at + 1] for at in range(len(sent))], rule)
            peer.expect(expected, rule)


def check_messages_split_at_random_places_are_answered(server: Server) -> None:
    wire = server.wire
    rng = random.Random(SPLIT_SEED)
    sent, expected = _glued(wire)
    for attempt in range(6):
        rule = f"glued messages that are split at random (seed {SPLIT_SEED}, attempt {attempt}) are answered"
        with server.connect() as peer:
            peer.send_apart(pieces(sent, rng, 12), rule)
            peer.expect(expected, rule)


def check_messages_glued_into_one_send_are_answered_each(server: Server) -> None:
    wire = server.wire
    sent, expected = _glued(wire)
    with server.connect() as peer:
        for _ in range(3):
            peer.send(sent)
            peer.expect(expected, "messages that arrive glued are answered each")


def check_every_size_around_the_limits_is_echoed(server: Server) -> None:
    wire = server.wire
    read_bytes, most_bytes = server.setting("recv_bytes"), server.setting("max_payload")
    overhead_bytes = len(wire.request(0, bytes(read_bytes))) - read_bytes
    near_a_read = range(read_bytes - overhead_bytes - 1, read_bytes + 2)
    sizes = [0, 1, 15, 16, 17, 64, *near_a_read, most_bytes - 1, most_bytes]
    with server.connect() as peer:
        for size in sizes:
            payload = payload_of(size)
            # The message behind it starts at every offset from a read's end, so its header is split everywhere.
            rule = f"a payload of {size} bytes is echoed, and so is the message behind it"
            expected = wire.response(size, payload) + wire.response(1, b"next")
            early = peer.pump(wire.request(size, payload) + wire.request(1, b"next"), rule)
            assert early == expected[: len(early)], f"{rule}: other bytes came while it was being sent"
            peer.expect(expected[len(early) :], rule)


def check_a_thousand_pipelined_requests_are_answered_in_order(server: Server) -> None:
    wire = server.wire
    payloads = [payload_of(number % 40, number) for number in range(1_000)]
    sent = b"".join(wire.request(number, payload) for number, payload in enumerate(payloads))
    expected = b"".join(wire.response(number, payload) for number, payload in enumerate(payloads))
    with server.connect() as peer:
        peer.send(sent)
        peer.expect(expected, "pipelined requests are answered in their order")


def check_megabytes_pass_in_both_directions_at_the_same_time(server: Server) -> None:
    wire = server.wire
    rule = "megabytes pass in both directions at the same time"
    payloads = [payload_of(size, number) for number, size in enumerate([3, 200_000, 0, 70_000, 1_500, 65_536] * 12)]
    sent = b"".join(wire.request(number, payload) for number, payload in enumerate(payloads))
    expected = b"".join(wire.response(number, payload) for number, payload in enumerate(payloads))
    with server.connect() as peer:
        got = peer.pump(sent, rule)
        got += peer.read(len(expected) - len(got), rule)
        assert got == expected, f"{rule}: the replies differ from what was sent"


def check_a_pipeliner_that_reads_late_gets_every_reply(server: Server) -> None:
    wire = server.wire
    rule = "a pipeliner that does not read for a while gets every reply afterwards"
    payload = payload_of(5_000)
    with server.connect() as peer:
        begun, rest = peer.fill(lambda number: wire.request(number, payload), rule)
        got = peer.pump(rest + wire.request(begun, b"last"), rule)
        expected = b"".join(wire.response(number, payload) for number in range(begun)) + wire.response(begun, b"last")
        got += peer.read(len(expected) - len(got), rule)
        assert got == expected, f"{rule}: the replies differ from what was sent"


def check_a_peer_that_reads_nothing_is_at_some_point_not_read_either(server: Server) -> None:
    wire = server.wire
    payload = payload_of(60_000)
    with server.connect() as peer:
        peer.fill(
            lambda number: wire.request(number, payload), "a peer that reads nothing is at some point not read either"
        )


def check_a_small_receive_size_changes_nothing(server: Server) -> None:
    wire = server.wire
    rule = "with --recv-bytes 24 everything is answered as ever"
    sent, expected = _glued(wire)
    large = payload_of(20_000)
    with server.another("--recv-bytes", "24") as own, own.connect() as peer:
        peer.send(sent + wire.request(5, large))
        peer.expect(expected + wire.response(5, large), rule)


def check_the_longest_payload_is_what_the_option_says(server: Server) -> None:
    wire = server.wire
    with server.another("--max-payload", "1000") as own, own.connect() as peer:
        refused = wire.over_the_limit(2, 1_001)
        peer.send(wire.request(1, bytes(1_000)) + refused.sent)
        peer.expect(wire.response(1, bytes(1_000)), "with --max-payload 1000 a payload of 1,000 bytes is echoed")
        refused.judge(peer.read_to_end("with --max-payload 1000 a length of 1,001 ends the connection"))


def _glued(wire: Wire) -> tuple[bytes, bytes]:
    """Return the whole corpus in one piece, and its replies."""
    return b"".join(sent for _, sent, _ in wire.corpus), b"".join(expected for _, _, expected in wire.corpus)
