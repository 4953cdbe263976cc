"""What is left of long messages when they were answered or cut off, and floods of the smallest frames at the drain.

Memory is what the server's processes hold of their own (process_tree.py), compared with what the messages took. That
is no time, and hardly depends on the machine. What the allocator would keep for later is told apart (targets.py).
"""

from __future__ import annotations

import contextlib
import signal

from . import wire_bytes
from .peer import Peer
from .process_tree import own_memory_bytes
from .server_process import Server
from .waiting import Deadline, eventually
from .wire_bytes import payload_of
from .ws_bytes import BINARY, CONTINUATION, PLAIN_ECHO, TEXT, WIRE_MESSAGES, fragments, frame, frame_head, reply
from .ws_floods import Flooder, fill, flood_while

MEBIBYTE = 1 << 20
MAX_PAYLOAD = ("--max-payload", str(8 * MEBIBYTE))
CONNECTIONS, MESSAGE_BYTES = 20, 4 * MEBIBYTE
ROUNDS, RESETS_A_ROUND, HALF_BYTES = 8, 8, 4 * MEBIBYTE
MOST_ROUNDS_LEFT = 3
STRIDE_BYTES = 256 << 10
FLOODS = 8
FLOODED_DRAIN_S = 1


def check_a_long_message_takes_no_memory_once_it_was_answered(server: Server) -> None:
    sent_bytes = CONNECTIONS * MESSAGE_BYTES
    payload = payload_of(1 << 16) * (MESSAGE_BYTES >> 16)
    parts = [payload[at : at + MEBIBYTE] for at in range(0, len(payload), MEBIBYTE)]
    request, response = wire_bytes.request(1, payload), wire_bytes.response(1, payload)
    ways = (
        (PLAIN_ECHO, frame(BINARY, payload), reply(BINARY, payload)),
        (PLAIN_ECHO, frame(TEXT, b"*" * MESSAGE_BYTES), reply(TEXT, b"*" * MESSAGE_BYTES)),
        (PLAIN_ECHO, b"".join(fragments(BINARY, *parts)), reply(BINARY, payload)),
        (WIRE_MESSAGES, frame(BINARY, request), reply(BINARY, response)),
    )
    with Server(server.target.with_exact_memory(), MAX_PAYLOAD) as own, contextlib.ExitStack() as stack:
        chosen = [ways[number % len(ways)] for number in range(CONNECTIONS)]
        peers = [stack.enter_context(own.connect(greeting)) for greeting, _, _ in chosen]
        before_bytes = own_memory_bytes(own.pid)
        for peer, (_, sent, expected) in zip(peers, chosen, strict=True):
            _echo_in_strides(peer, sent, expected)
        rule = f"{CONNECTIONS} connections that are idle hold less than half of the messages that they echoed"
        _expect_growth(own, before_bytes, sent_bytes // 2, rule)


def check_a_reset_inside_a_long_message_leaves_nothing(server: Server) -> None:
    half = frame_head(BINARY, 2 * HALF_BYTES, bytes(4)) + bytes(HALF_BYTES)
    begun = (half, frame(BINARY, bytes(HALF_BYTES), is_last=False) + frame_head(CONTINUATION, HALF_BYTES, bytes(4)))
    rule = f"{ROUNDS * RESETS_A_ROUND} connections that were reset inside a message leave less than it took"
    with Server(server.target.with_exact_memory(), MAX_PAYLOAD) as own:
        with own.connected(1):
            before_bytes = own_memory_bytes(own.pid)
        for number in range(ROUNDS):
            with contextlib.ExitStack() as stack:
                peers = [stack.enter_context(own.connect(PLAIN_ECHO)) for _ in range(RESETS_A_ROUND)]
                for peer in peers:
                    _send_in_strides(peer, begun[number % len(begun)], rule)
                for peer in peers:
                    peer.wait_until_taken(rule)
                    peer.reset()
        _expect_growth(own, before_bytes, MOST_ROUNDS_LEFT * RESETS_A_ROUND * HALF_BYTES, rule)


def check_a_flood_of_the_smallest_frames_does_not_keep_a_server_from_ending(server: Server) -> None:
    rule = "a flood of the smallest frames does not keep a server from ending at --drain-timeout"
    texts, empty = frame(TEXT) * 10_000, frame(CONTINUATION, is_last=False) * 10_000
    with server.another("--drain-timeout", str(FLOODED_DRAIN_S)) as own, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(own.connect(PLAIN_ECHO)) for _ in range(FLOODS)]
        for peer in peers[::2]:
            peer.send(frame(BINARY, is_last=False))
        flooders = [
            Flooder(peer, texts if number % 2 else empty, reads=number != 1) for number, peer in enumerate(peers)
        ]
        own.freeze()
        fill(flooders)
        own.send_signal(signal.SIGTERM)
        own.thaw()
        deadline = Deadline(FLOODED_DRAIN_S + own.patience_s)
        flood_while(flooders, lambda: own.process.poll() is None and deadline.remaining_s() > 0)
        assert own.process.poll() is not None, f"{rule}, but it still runs"
        ended = own.ended()
    aborted = ended.stopped()["aborted"]
    assert ended.exit_code == 0, f"{rule}, exit code 0, not {ended.exit_code}: {ended.stderr!r}"
    assert 0 <= aborted <= FLOODS, f"{rule}, and counts whom it has cut off: {aborted}"
    assert not ended.left, f"{rule}, and leaves no process, found {ended.left}"


def _echo_in_strides(peer: Peer, sent: bytes, expected: bytes) -> None:
    """Send something long and expect its reply, with patience for each stride."""
    rule = f"a message of {MESSAGE_BYTES} bytes is echoed"
    got = bytearray(_send_in_strides(peer, sent, rule))
    while len(got) < len(expected):
        got += peer.read(min(STRIDE_BYTES, len(expected) - len(got)), rule)
    assert got == expected, f"{rule}: the reply differs"


def _send_in_strides(peer: Peer, sent: bytes, rule: str) -> bytes:
    return b"".join(peer.pump(sent[at : at + STRIDE_BYTES], rule) for at in range(0, len(sent), STRIDE_BYTES))


def _expect_growth(server: Server, before_bytes: int, most_bytes: int, rule: str) -> None:
    """Wait until the server has grown by less than a bound; it gives memory back behind the last reply."""
    grown: list[int] = []

    def is_bounded() -> bool:
        grown.append(own_memory_bytes(server.pid) - before_bytes)
        return grown[-1] < most_bytes

    try:
        eventually(is_bounded, server.patience_s, rule)
    except AssertionError as error:
        raise AssertionError(f"{rule}: {grown[-1] / MEBIBYTE:.0f} MiB more are held, not {most_bytes >> 20}") from error
