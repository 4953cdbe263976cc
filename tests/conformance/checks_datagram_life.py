"""The life of a server of datagrams: its receive buffers, bursts, and what it says."""

from __future__ import annotations

import contextlib

from .kernel_datagrams import memory_bytes, sockets_of, waiting
from .process_tree import held
from .server_process import Server, decoded
from .waiting import eventually
from .wire_bytes import BAD_DATAGRAMS, payload_of, request, response

BURST_PAYLOAD = b"burst" * 10
MOST_OF_A_BURST = 2_000
IMMENSE_BYTES = 1 << 30


def check_the_receive_buffer_is_what_the_ready_line_says(server: Server) -> None:
    for asked in (16_384, 200_000, IMMENSE_BYTES):
        with server.another("--recv-buffer", str(asked)) as own, own.datagram_peers(4) as peers:
            for peer in peers:
                peer.echo(1, payload_of(100))
            told = own.setting("recv_buffer")
            assert told <= asked, f"the ready line tells the receive buffer that the system allowed, not {told}"
            assert asked in {told, IMMENSE_BYTES}, f"--recv-buffer {asked} is had, the ready line tells {told}"
            # The kernel counts its own costs in, so it accounts with twice what was asked for.
            found = {one.buffer_bytes for one in sockets_of(own.address)}
            assert found == {2 * told}, f"every socket of the server has a receive buffer of {told}, twice, not {found}"


def check_a_burst_that_the_buffer_holds_is_answered_completely(server: Server) -> None:
    """A peer's burst arrives while the server does nothing, as in any stall; it fills nine tenths of the buffer."""
    room = 2 * server.setting("recv_buffer") // memory_bytes(len(request(0, BURST_PAYLOAD)))
    count = min(MOST_OF_A_BURST, room * 9 // 10)
    rule = f"a burst of {count} requests, which the receive buffer holds, is answered completely"
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(server.another())
        # Both sides ask for the same, so what the server's buffer holds the peer's does.
        strangers, known = (
            stack.enter_context(own.datagram_peer(buffer_bytes=own.setting("recv_buffer"))) for _ in range(2)
        )
        known.echo(0)
        for peer in (known, strangers):
            own.freeze()
            for number in range(count):
                peer.send(request(number, BURST_PAYLOAD))
            eventually(lambda: waiting(own.address, len(request(0, BURST_PAYLOAD))) >= count, own.patience_s, rule)
            own.thaw()
            peer.expect_in_any_order([response(number, BURST_PAYLOAD) for number in range(count)], rule)
        stopped = own.stop().stopped()
    assert stopped["messages"] == 2 * count + 1, f"{rule} and counted, {2 * count + 1}: {stopped}"


def check_nothing_is_said_in_a_normal_life_over_udp(server: Server) -> None:
    with server.another() as own, own.datagram_peers(3) as peers:
        for _, bad in BAD_DATAGRAMS:
            peers[0].send(bad)
        for peer in peers:
            peer.echo(1, payload_of(1_000))
        ended = own.stop()
    assert ended.stderr == "", f"at the default level nothing is logged per peer or datagram: {ended.stderr!r}"
    lines = ended.stdout.splitlines()
    assert len(lines) == 2, f"stdout has the ready line and the stopped line, not {len(lines)} lines: {lines}"
    assert decoded(lines[0])["event"] == "ready", f"the first line on stdout is the ready line, not {lines[0]!r}"


def check_the_datagrams_of_one_peer_take_nothing_more(server: Server) -> None:
    with server.another() as own, own.datagram_peer() as peer:
        for number in range(50):
            peer.echo(number)
        before = held(own.pid)
        for number in range(200):
            peer.send(BAD_DATAGRAMS[number % len(BAD_DATAGRAMS)][1])
            peer.echo(number)
        rule = f"after more datagrams of one peer the server holds what it held before, {before}"
        eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, rule)
