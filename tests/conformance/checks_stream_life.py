"""The life of a server of streams: its listen queue, its counts, what connections leave behind."""

from __future__ import annotations

import contextlib
import select
import signal
import socket

from .kernel import listeners
from .process_tree import Held, held, zombies
from .server_process import Server, decoded
from .waiting import eventually
from .wire_bytes import payload_of

COUNTS = ("connections", "messages", "protocol_errors", "aborted")


def check_the_listen_queue_is_as_long_as_the_backlog(server: Server) -> None:
    backlog = 3
    with server.another("--backlog", str(backlog)) as own:
        own.freeze()
        # The kernel lets one more in than the backlog says; every listener of the port has a queue of its own.
        room = (backlog + 1) * listeners(own.port)
        entered = _enter_listen_queue(own.address, 8 * room, room, own.patience_s)
        own.thaw()
        assert entered == room, f"with --backlog {backlog} the listen queues hold {room} connections, not {entered}"


def check_connections_are_served_from_the_ready_line_on(server: Server) -> None:
    wire = server.wire
    with server.another() as own, own.connect() as peer:
        assert listeners(own.port) > 0, "at the ready line the port listens"
        peer.send(wire.request(1, b"first"))
        peer.expect(wire.response(1, b"first"), "the first connection after the ready line is served")


def check_nothing_is_said_in_a_normal_life(server: Server) -> None:
    wire = server.wire
    with server.another() as own:
        before = _held_with_one_connection(own)
        with own.connected(4) as peers:
            peers[0].send(wire.bad_headers[0].sent)
            peers[0].read_to_end("a bad header ends the connection")
            peers[1].send(wire.header(1, 10))
            peers[1].wait_until_taken("a header is read")
            peers[1].reset()
            peers[2].send(wire.header(1, 10))
            peers[2].reset()
            peers[3].send(wire.request(1, payload_of(1_000)))
            peers[3].expect(wire.response(1, payload_of(1_000)), "a request is answered")
        eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, "ended connections leave nothing behind")
        ended = own.stop()
        assert ended.stderr == "", f"at the default level nothing is logged per connection or message: {ended.stderr!r}"
        lines = ended.stdout.splitlines()
        assert len(lines) == 2, f"stdout has the ready line and the stopped line, not {len(lines)} lines: {lines}"
        assert decoded(lines[0])["event"] == "ready", f"the first line on stdout is the ready line, not {lines[0]!r}"


def check_the_stopped_line_counts_exactly(server: Server) -> None:
    wire = server.wire
    with server.another() as own:
        with own.connected(7) as peers:
            for peer in peers[:4]:
                peer.send(b"".join(wire.request(number, b"counted") for number in range(5)))
                peer.expect(b"".join(wire.response(number, b"counted") for number in range(5)), "a request is answered")
            peers[0].send(wire.request(9) + wire.bad_headers[0].sent)
            peers[0].read_to_end("a bad header ends the connection")
            peers[4].send(wire.request(9) + wire.foreign_replies[0].sent)
            peers[4].read_to_end("a RESPONSE ends the connection")
            peers[5].send(wire.over_the_limit(1, own.setting("max_payload") + 1).sent)
            peers[5].read_to_end("a length over the limit ends the connection")
            peers[6].send(wire.foreign_replies[2].sent)
            peers[6].read_to_end("an ERROR ends the connection")
        with own.connected(2) as peers:
            peers[0].send(wire.request(1) + wire.request(2, b"half")[:-1])
            peers[0].shut_sending()
            peers[0].read_to_end("a half-close ends the connection")
            peers[1].send(wire.request(1))
            peers[1].expect(wire.response(1), "a request is answered")
            own.send_signal(signal.SIGTERM)
            peers[1].expect_goodbye("an idle connection ends at the drain")
        stopped = own.ended().stopped()
    expected = {"connections": 9, "messages": 24, "protocol_errors": 4, "aborted": 0}
    found = {name: stopped.get(name) for name in COUNTS}
    assert found == expected, f"the stopped line counts {expected}, not {found}"
    assert "served_by_listener" in stopped, f"the stopped line has served_by_listener: {stopped}"
    assert not stopped["served_by_listener"], f"over connections nothing is served by a listener: {stopped}"


def check_ended_connections_leave_no_process_thread_or_descriptor(server: Server) -> None:
    wire = server.wire
    with server.another() as own:
        before = _held_with_one_connection(own)
        for _ in range(4):
            with own.connected(25) as peers:
                for peer in peers:
                    peer.send(wire.request(1))
                    peer.expect(wire.response(1), "a request is answered")
        rule = "after 100 connections have come and gone the server holds no more than with one"
        eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, f"{rule}, {before}")


def check_ended_connections_leave_no_zombie(server: Server) -> None:
    wire = server.wire
    with server.another() as own:
        with own.connected(10) as peers:
            for peer in peers:
                peer.send(wire.request(1))
                peer.expect(wire.response(1), "a request is answered")

        rule = "children that have ended are reaped without another connection to wake the server"
        eventually(lambda: not zombies(own.pid), own.patience_s, rule)


def _held_with_one_connection(server: Server) -> Held:
    """Return what is held while the first connection is served: some servers take a little more with the first."""
    with server.connect() as peer:
        peer.echo(1)
        return held(server.pid)


def _enter_listen_queue(address: tuple[str, int], attempts: int, expected: int, patience_s: float) -> int:
    """Knock at a server that accepts nothing and return how many connections the kernel let into its listen queue.

    The kernel drops the others without an answer, so there is no event to wait for but that of the expected ones.
    """
    with contextlib.ExitStack() as stack:
        knocks = [stack.enter_context(socket.socket()) for _ in range(attempts)]
        poll = select.poll()
        for knock in knocks:
            knock.setblocking(False)
            knock.connect_ex(address)
            poll.register(knock, select.POLLOUT)

        def entered() -> int:
            return sum(events == select.POLLOUT for _, events in poll.poll(0))

        rule = f"the listen queue of a server that accepts nothing holds {expected} connections"
        eventually(lambda: entered() >= expected, patience_s, rule)
        return entered()
