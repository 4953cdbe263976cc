"""Many connections at once, and peers that behave badly beside peers that don't.

A bad peer may cost its own connection, never another one's answer. There are several bad and several good peers in each
check, so that every worker of a server with several has some of both.
"""

from __future__ import annotations

from .peer import Peer
from .server_process import Server
from .wire_bytes import payload_of

MANY = 200
BAD_PEERS = 8
GOOD_PEERS = 6


def check_many_connections_at_once_are_all_answered(server: Server) -> None:
    wire = server.wire
    with server.connected(MANY) as peers:
        for turn in range(3):
            for number, peer in enumerate(peers):
                peer.send(wire.request(number, b"%d" % turn))
            for number, peer in enumerate(peers):
                peer.expect(wire.response(number, b"%d" % turn), f"each of {MANY} connections is answered")


def check_an_idle_peer_stops_nobody(server: Server) -> None:
    with server.connected(GOOD_PEERS) as good, server.connected(BAD_PEERS):
        _expect_answers(server, good, "idle")


def check_a_peer_that_sends_half_a_message_stops_nobody(server: Server) -> None:
    wire = server.wire
    with server.connected(GOOD_PEERS) as good, server.connected(BAD_PEERS) as bad:
        for number, peer in enumerate(bad):
            peer.send(wire.request(1, b"only a part of it")[: 1 + 4 * number])
        _expect_answers(server, good, "half-sent")


def check_a_dribbling_peer_stops_nobody_and_is_answered(server: Server) -> None:
    wire = server.wire
    message = wire.request(6, b"dribbled")
    with server.connected(GOOD_PEERS) as good, server.connected(BAD_PEERS) as bad:
        for at in range(0, len(message), 6):
            for peer in bad:
                peer.send(message[at : at + 6])
            _expect_answers(server, good, "dribbling")
        for peer in bad:
            peer.expect(wire.response(6, b"dribbled"), "a dribbled message is answered in the end")


def check_a_peer_that_never_reads_stops_nobody(server: Server) -> None:
    wire = server.wire
    payload = payload_of(30_000)
    with server.connected(GOOD_PEERS) as good, server.connected(3) as bad:
        for peer in bad:
            peer.fill(lambda number: wire.request(number, payload), "a peer that never reads is at some point not read")
        _expect_answers(server, good, "never-reading")


def check_a_peer_that_resets_stops_nobody(server: Server) -> None:
    wire = server.wire
    large = wire.request(1, payload_of(100_000))
    with server.connected(GOOD_PEERS) as good:
        for sent in (b"", wire.request(1)[:7], wire.request(1, b"whole"), wire.header(1, 100), large, large * 20):
            with server.connected(BAD_PEERS) as bad:
                for peer in bad:
                    peer.send_what_is_taken(sent)
                    peer.reset()
            _expect_answers(server, good, "reset")


def check_a_peer_that_resets_in_the_listen_queue_stops_nobody(server: Server) -> None:
    wire = server.wire
    with server.another() as own, own.connected(GOOD_PEERS) as good:
        own.freeze()
        for _ in range(BAD_PEERS):
            with own.knock() as peer:
                peer.send(wire.greeting.hello + wire.request(1, b"never read"))
                peer.reset()
        own.thaw()
        _expect_answers(own, good, "reset in the listen queue")


def _expect_answers(server: Server, early: list[Peer], kind: str) -> None:
    """Check that good peers are answered, those that were there before the bad ones and new ones."""
    wire = server.wire
    with server.connected(GOOD_PEERS) as late:
        for peer in (*early, *late):
            for number in range(3):
                peer.send(wire.request(number, b"neighbour"))
                peer.expect(wire.response(number, b"neighbour"), f"a peer beside others that are {kind} is answered")
