"""The drain: after SIGTERM what was received is answered, and the server ends, at the latest at its deadline.

"Received" has to be exact for a check that never fails by chance: the server is stopped in its tracks (SIGSTOP) while
requests arrive in its sockets and its listen queue, gets SIGTERM, and goes on. All that is then in the kernel's hands
was sent before the signal. Connections that can't end by themselves are those of peers that never read.
"""

from __future__ import annotations

import signal
import time

from .peer import Peer
from .server_process import Server
from .waiting import eventually
from .wire_bytes import difference, payload_of

ESTABLISHED = 8
QUEUED = 20
REQUESTS = 100
LONG_DRAIN_S = "60"
SHORT_DRAIN_S = "0.3"
# For a peer whose connection need not end before: long enough to answer what is there.
FLOODED_DRAIN_S = "1"


def check_idle_connections_end_in_order(server: Server) -> None:
    wire = server.wire
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.connected(ESTABLISHED) as peers:
        for peer in peers[1:]:
            peer.send(wire.request(1))
            peer.expect(wire.response(1), "a request is answered")
        own.send_signal(signal.SIGTERM)
        for peer in peers:
            peer.expect_goodbye("an idle connection ends in order at the drain")
            peer.close()
        stopped = own.ended().stopped()
        assert stopped["aborted"] == 0, f"a drain without hindrance aborts nothing: {stopped}"


def check_requests_that_were_received_are_answered(server: Server) -> None:
    wire = server.wire
    rule = "requests that a server has received before SIGTERM are answered"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.connected(ESTABLISHED) as peers:
        for peer in peers:
            peer.send(wire.request(0))
            peer.expect(wire.response(0), "a request is answered")
        own.freeze()
        for peer in peers:
            peer.send(b"".join(wire.request(number, b"in time") for number in range(REQUESTS)))
        own.send_signal(signal.SIGTERM)
        own.thaw()
        for peer in peers:
            peer.expect(b"".join(wire.response(number, b"in time") for number in range(REQUESTS)), rule)
            peer.expect_goodbye(f"{rule}, then the connection ends in order")
            peer.close()
        found = own.ended()
    stopped = found.stopped()
    assert found.exit_code == 0, f"the exit code after a drain under load is 0, not {found.exit_code}: {found.stderr!r}"
    assert stopped["messages"] == ESTABLISHED * (REQUESTS + 1), f"{rule} and counted: {stopped}"


def check_requests_that_were_held_up_are_answered(server: Server) -> None:
    wire = server.wire
    rule = "requests that a server has received and holds up, as nobody reads its replies, are answered in the drain"
    payload = payload_of(9_000)
    size, reply_size = len(wire.request(0, payload)), len(wire.response(0, payload))
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, own.connect() as peer:
        begun, rest = peer.fill(lambda number: wire.request(number, payload), rule)
        received = (begun * size - len(rest) - peer.bytes_on_their_way()) // size
        own.send_signal(signal.SIGTERM)
        # What reaches it while it drains it may answer or not; what it answers has to come in order and whole.
        got = peer.read_what_comes(rule)
        peer.close()
        stopped = own.ended().stopped()
    came = len(got) // reply_size
    assert came >= received, f"{rule}: {came} of {received} came"
    expected = b"".join(wire.response(number, payload) for number in range(came))
    assert got[: len(expected)] == expected, f"{rule}, in order and whole: {difference(got, expected)}"
    assert stopped["messages"] == came, f"{rule} and counted: {came} came, counted {stopped['messages']}"
    assert stopped["aborted"] == 0, f"a peer that reads is not aborted: {stopped}"
    wire.judge_goodbye(got[came * reply_size :])


def check_connections_in_the_listen_queue_are_answered(server: Server) -> None:
    wire = server.wire
    rule = "connections that wait in the listen queue at SIGTERM are accepted and answered"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own:
        own.freeze()
        with own.knocking(QUEUED) as peers:
            for peer in peers:
                peer.send(wire.greeting.hello + b"".join(wire.request(number, b"queued") for number in range(3)))
            own.send_signal(signal.SIGTERM)
            own.thaw()
            for peer in peers:
                peer.expect_welcome(rule)
                peer.expect(b"".join(wire.response(number, b"queued") for number in range(3)), rule)
                peer.expect_goodbye(f"{rule}, then they end in order")
                peer.close()
        stopped = own.ended().stopped()
    expected = {"connections": QUEUED, "messages": 3 * QUEUED, "aborted": 0}
    found = {name: stopped[name] for name in expected}
    assert found == expected, f"{rule} and counted as {expected}, not {found}"


def check_a_peer_that_goes_on_sending_loses_no_reply(server: Server) -> None:
    wire = server.wire
    rule = "a peer that goes on sending after SIGTERM gets the replies to what it had sent before"
    due = b"".join(wire.response(number, b"in time") for number in range(REQUESTS))
    with server.another("--drain-timeout", FLOODED_DRAIN_S) as own, own.connect() as peer:
        own.freeze()
        peer.send(b"".join(wire.request(number, b"in time") for number in range(REQUESTS)))
        own.send_signal(signal.SIGTERM)
        own.thaw()
        got = peer.flood(wire.request(REQUESTS, b"too late"), rule, keep_bytes=len(due))
        assert got == due, f"{rule}: {difference(got, due)}"
        peer.close()
        own.ended()


def check_a_flood_does_not_hold_the_drain(server: Server) -> None:
    wire = server.wire
    rule = "a peer that sends and reads as fast as it can does not hold the drain beyond its deadline"
    many = b"".join(wire.request(number) for number in range(20_000))
    with server.another("--drain-timeout", SHORT_DRAIN_S) as own, own.connect() as peer, own.connect() as idle:
        peer.send(many)
        own.send_signal(signal.SIGTERM)
        peer.flood(many, rule)
        peer.close()
        idle.expect_goodbye("an idle connection beside a flood ends in order at the drain")
        idle.close()
        ended = own.ended()
    assert ended.exit_code == 0, f"{rule}, exit code 0, not {ended.exit_code}: {ended.stderr!r}"


def check_nobody_gets_in_during_a_drain(server: Server) -> None:
    rule = "a server that drains refuses new connections"
    with server.another("--drain-timeout", LONG_DRAIN_S) as own, _stuck_peer(own):
        own.send_signal(signal.SIGTERM)
        eventually(own.refuses_connections, own.patience_s, rule)


def check_a_half_sent_message_does_not_hold_the_drain(server: Server) -> None:
    wire = server.wire
    rule = "a half-sent message does not hold the drain beyond its deadline"
    with server.another("--drain-timeout", SHORT_DRAIN_S) as own, own.connected(4) as peers:
        for peer in peers:
            peer.send(wire.request(1) + wire.header(2, 100) + b"a beginning")
            peer.expect(wire.response(1), "the request before a half-sent one is answered")
        own.send_signal(signal.SIGTERM)
        for peer in peers:
            peer.expect_goodbye(rule)
            peer.close()
        ended = own.ended()
    stopped = ended.stopped()
    assert ended.exit_code == 0, f"{rule}, exit code 0, not {ended.exit_code}"
    assert stopped["messages"] == 4, f"a half-sent message is not counted: {stopped}"


def check_a_peer_that_never_reads_is_aborted_at_the_deadline(server: Server) -> None:
    rule = "a peer that never reads is cut off at the drain deadline"
    with server.another("--drain-timeout", SHORT_DRAIN_S) as own, _stuck_peer(own), own.connect() as idle:
        begun_s = time.monotonic()
        own.send_signal(signal.SIGTERM)
        idle.expect_goodbye("an idle connection ends in order at the drain")
        idle.close()
        ended = own.ended()
        took_s = time.monotonic() - begun_s
        assert not ended.left, f"{rule} and leaves no process, found {ended.left}"
    stopped = ended.stopped()
    assert ended.exit_code == 0, f"{rule}, exit code 0, not {ended.exit_code}"
    assert took_s >= float(SHORT_DRAIN_S), f"a peer is not cut off before the deadline; it took {took_s:.2f} s"
    found = {name: stopped[name] for name in ("connections", "aborted")}
    assert found == {"connections": 2, "aborted": 1}, f"{rule} and is counted as aborted: {stopped}"


def check_a_second_signal_ends_everything_at_once(server: Server) -> None:
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)):
        rule = f"a second signal ({first.name}, then {second.name}) ends the server at once"
        with server.another("--drain-timeout", LONG_DRAIN_S) as own, _stuck_peer(own):
            own.send_signal(first)
            eventually(own.refuses_connections, own.patience_s, "a server that drains refuses new connections")
            own.send_signal(second)
            ended = own.ended(f"a second {second.name}")
            assert ended.exit_code == 130, f"{rule} with exit code 130, not {ended.exit_code}"
            eventually(lambda: not own.marked(), own.patience_s, f"{rule} and leaves no process")
            assert "Traceback" not in ended.stderr, f"{rule} without a traceback: {ended.stderr!r}"


def _stuck_peer(server: Server) -> Peer:
    """Return a peer that has sent as much as it could and never reads, so that its connection can't end.

    The kernels find a little more room between them now and then. So the server has several messages left to read; and
    it is stopped and goes on once, as the kernel wakes who waits in a blocking call for room only when there is much.
    """
    wire, peer, payload = server.wire, server.connect(), payload_of(1_000)
    rule = "a peer that never reads is at some point not read"
    rest = peer.fill(lambda number: wire.request(number, payload), rule)[1]
    server.freeze()
    server.thaw()
    peer.fill(
        lambda number: wire.request(number, payload) if number else rest or wire.request(0, payload),
        rule,
        least_unread_bytes=5 * len(payload),
    )
    return peer
