"""The drain over UDP: what has been received before SIGTERM is answered, then nothing is left.

As in checks_drain.py "received before" is exact: the server stands still while the requests arrive, the kernel tells
when all of them wait at its sockets, then comes the signal, then it goes on.
"""

from __future__ import annotations

import signal

from .datagram_peer import DatagramPeer
from .kernel_datagrams import waiting
from .server_process import Server
from .waiting import eventually
from .wire_bytes import request, response

PEERS = 4
REQUESTS = 50
NEW_PEERS = 20
LONG_DRAIN_S = "60"
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))
PAYLOAD = b"in time"


def check_requests_received_of_known_peers_are_answered(server: Server) -> None:
    rule = "requests of known peers that were received before SIGTERM are answered"
    for number in (signal.SIGTERM, signal.SIGINT):
        with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.datagram_peers(PEERS, HOSTS) as peers:
            for peer in peers:
                peer.echo(0)
                peer.echo(1)
            _drain_with_requests(own, peers, REQUESTS, number, rule)
            _expect_all_answered(own, peers, REQUESTS, 2 * PEERS, rule)


def check_requests_received_of_new_peers_are_answered(server: Server) -> None:
    rule = "requests of new peers that were received before SIGTERM are answered"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.datagram_peers(NEW_PEERS, HOSTS) as peers:
        _drain_with_requests(own, peers, 3, signal.SIGTERM, rule)
        _expect_all_answered(own, peers, 3, 0, rule)


def check_requests_are_answered_when_a_terminal_signals_the_whole_group(server: Server) -> None:
    rule = "requests that were received before SIGINT to the whole group are answered"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.datagram_peers(PEERS, HOSTS) as peers:
        for peer in peers[:2]:
            peer.echo(0)
            peer.echo(1)
        _drain_with_requests(own, peers, 10, signal.SIGINT, rule, group=True)
        _expect_all_answered(own, peers, 10, 4, rule)


def check_a_flood_of_datagrams_does_not_hold_the_drain(server: Server) -> None:
    rule = "a peer that goes on sending does not hold the drain"
    with server.another("--drain-timeout", "1") as own, own.datagram_peer() as peer:
        peer.echo(0)
        own.send_signal(signal.SIGTERM)
        peer.flood(lambda: own.process.poll() is not None, rule)
        ended = own.ended()
    assert ended.exit_code == 0, f"{rule}, exit code 0, not {ended.exit_code}: {ended.stderr!r}"
    assert not ended.left, f"{rule}, no process is left, found {ended.left}"


def check_two_signals_that_come_together_end_everything_at_once(server: Server) -> None:
    rule = "a second signal (SIGTERM and SIGINT at the same time) ends the server at once"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.datagram_peers(PEERS, HOSTS) as peers:
        for peer in peers:
            peer.echo(0)
        own.freeze()
        own.send_signal(signal.SIGTERM)
        own.send_signal(signal.SIGINT)
        own.thaw()
        ended = own.ended("SIGTERM and SIGINT")
        assert ended.exit_code == 130, f"{rule} with exit code 130, not {ended.exit_code}"
        eventually(lambda: not own.marked(), own.patience_s, f"{rule} and leaves no process")
        assert "Traceback" not in ended.stderr, f"{rule} without a traceback: {ended.stderr!r}"


def _drain_with_requests(
    server: Server, peers: list[DatagramPeer], each: int, number: signal.Signals, rule: str, *, group: bool = False
) -> None:
    """Let requests arrive at a server that stands still, send it a signal, and let it go on."""
    server.freeze()
    for peer in peers:
        for sequence in range(each):
            peer.send(request(sequence, PAYLOAD))
    size, count = len(request(0, PAYLOAD)), each * len(peers)
    eventually(lambda: waiting(server.address, size) >= count, server.patience_s, f"{rule}: they arrive")
    server.send_signal(number, group=group)
    server.thaw()


def _expect_all_answered(server: Server, peers: list[DatagramPeer], each: int, before: int, rule: str) -> None:
    for peer in peers:
        peer.expect_in_any_order([response(sequence, PAYLOAD) for sequence in range(each)], rule)
    ended = server.ended()
    assert ended.exit_code == 0, f"the exit code after a drain is 0, not {ended.exit_code}: {ended.stderr!r}"
    assert not ended.left, f"no process is left after a drain, found {ended.left}"
    stopped, expected = ended.stopped(), each * len(peers) + before
    assert stopped["messages"] == expected, f"{rule} and counted, {expected}: {stopped}"
    eventually(server.refuses_connections, server.patience_s, "the port is free after a drain")
    for peer in peers:
        peer.expect_nothing_more(f"{rule}, each once")
