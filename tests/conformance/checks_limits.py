"""Limits of connections: --max-connections, and the descriptors that the system gives.

A connection over a limit is closed at once, so that its peer knows; the others go on as if nothing were; and when some
of them have gone, there is room again. A server that stands at its limit does not spin: it sleeps.
"""

from __future__ import annotations

import contextlib

from .peer import Peer
from .process_tree import sleeps
from .server_process import Server
from .waiting import eventually

LIMIT = 3
KNOCKS = 20
DESCRIPTORS = 40
CONNECTIONS = 100
LOOKS = 20


def check_connections_over_the_limit_are_refused(server: Server) -> None:
    rule = f"with --max-connections {LIMIT} a further connection is closed at once"
    with server.another("--max-connections", str(LIMIT)) as own, own.connected(LIMIT) as peers:
        for peer in peers:
            peer.echo(1, why=f"with --max-connections {LIMIT} as many connections are served")
        for _ in range(KNOCKS):
            with own.knock() as knock:
                knock.expect_end(rule)
        for peer in peers:
            peer.echo(2, why="established connections are served while others are refused")
            peer.close()
        stopped = own.stop().stopped()
    expected = {"connections": LIMIT, "refused": KNOCKS, "messages": 2 * LIMIT}
    found = {name: stopped.get(name) for name in expected}
    assert found == expected, f"{rule} and counted as refused: {expected}, not {found}"


def check_there_is_room_again_when_a_connection_has_ended(server: Server) -> None:
    rule = f"with --max-connections {LIMIT} there is room for another when a connection has ended"
    with server.another("--max-connections", str(LIMIT)) as own, own.connected(LIMIT) as peers:
        for peer in peers:
            peer.echo(1)
        tried: list[Peer] = []

        with contextlib.ExitStack() as stack:

            def another_is_served() -> bool:
                tried.append(stack.enter_context(own.knock()))
                return tried[-1].is_answered(2, rule)

            for peer in peers:
                peer.close()
                eventually(another_is_served, own.patience_s, rule)
        stopped = own.stop().stopped()
    expected = {"connections": 2 * LIMIT, "refused": len(tried) - LIMIT}
    found = {name: stopped.get(name) for name in expected}
    assert found == expected, f"{rule}: counted {expected}, not {found}"


def check_a_rush_does_not_pass_the_limit(server: Server) -> None:
    rule = f"of {KNOCKS} connections that come together --max-connections {LIMIT} lets {LIMIT} in, of all workers"
    with server.another("--max-connections", str(LIMIT)) as own:
        own.freeze()
        with own.knocking(KNOCKS) as peers:
            own.thaw()
            served = [peer for peer in peers if peer.is_answered(1, rule)]
            assert len(served) == LIMIT, f"{rule}, not {len(served)}"
            for peer in served:
                peer.echo(2, why="those who got in are served on")
        stopped = own.stop().stopped()
    expected = {"connections": LIMIT, "refused": KNOCKS - LIMIT}
    found = {name: stopped.get(name) for name in expected}
    assert found == expected, f"{rule}: counted {expected}, not {found}"


def check_a_lack_of_descriptors_refuses_only_new_connections(server: Server) -> None:
    """A model that gives each connection to a process of its own may never run out, and serves them all."""
    with Server(server.target.with_few_descriptors(DESCRIPTORS, hard=True)) as own, contextlib.ExitStack() as stack:
        knocks = [stack.enter_context(own.knock()) for _ in range(CONNECTIONS)]
        rule = f"with {DESCRIPTORS} descriptors each of {CONNECTIONS} connections is answered or closed"
        served = [peer for peer in knocks if peer.is_answered(1, rule)]
        assert served, f"{rule}, some are answered"
        for number in range(3):
            for peer in served:
                peer.echo(number, b"established", "established connections are served when no descriptor is left")
        _expect_sleep(own)
        for peer in knocks:
            peer.close()
        again = _expect_room(own)
        ended = own.stop()
    stopped = ended.stopped()
    assert ended.stderr == "", f"nothing is said on stderr about a lack of descriptors: {ended.stderr!r}"
    expected = {"connections": len(served) + 1, "refused": CONNECTIONS - len(served) + again - 1}
    found = {name: stopped.get(name) for name in expected}
    assert found == expected, f"connections for which there is no descriptor are refused: {expected}, not {found}"


def _expect_room(server: Server) -> int:
    """Wait until a connection is served; return how many were tried."""
    tried: list[Peer] = []
    rule = "a server that lacked descriptors serves new connections when others have gone"

    def another_is_served() -> bool:
        with server.knock() as peer:
            tried.append(peer)
            return peer.is_answered(1, rule)

    eventually(another_is_served, server.patience_s, rule)
    return len(tried)


def _expect_sleep(server: Server) -> None:
    """Wait until the server has been seen asleep many times in a row: one that spins never is."""

    def sleeps_at_every_look() -> bool:
        return all(sleeps(server.pid) for _ in range(LOOKS))

    rule = "a server that has no descriptor left sleeps while nobody asks"
    eventually(sleeps_at_every_look, server.patience_s, rule)
