"""Datagrams: one message each, answered or dropped, never anything else, and always from the address that was asked.

What is dropped is counted and never answered, not even by an ERROR: a source address can be forged. That no answer came
is told by the next datagram being the reply to something later, and by what is there when the server has ended.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from .datagram_peer import DatagramPeer
from .forging import forge
from .server_process import Server
from .wire_bytes import BAD_DATAGRAMS, CORPUS, HEADER_BYTES, payload_of, request, response

LONGEST_PAYLOAD_BYTES = 65_507 - HEADER_BYTES
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 10))
MANY = 100


def check_every_size_up_to_the_longest_is_echoed(server: Server) -> None:
    sizes = [0, 1, 15, 16, 17, 64, 1_400, 1_456, 1_457, 9_000, LONGEST_PAYLOAD_BYTES - 1, LONGEST_PAYLOAD_BYTES]
    with server.datagram_peer() as peer:
        for size in sizes:
            peer.echo(size, payload_of(size), f"a payload of {size} bytes is echoed")


def check_a_reply_comes_from_the_address_that_was_asked(server: Server) -> None:
    with server.another("--host", "127.0.0.77") as own, own.datagram_peers(len(HOSTS), HOSTS) as peers:
        for number in range(3):
            for peer in peers:
                peer.echo(number, b"asked", f"a request from {peer.address[0]} to 127.0.0.77 is answered")


def check_many_peers_at_once_get_their_own_replies(server: Server) -> None:
    rule = f"each of {MANY} peers gets the replies to its own requests"
    with server.another() as own, own.datagram_peers(MANY, HOSTS) as peers:
        for turn in range(3):
            for number, peer in enumerate(peers):
                peer.send(request(number, b"%d from %d" % (turn, number)))
            for number, peer in enumerate(peers):
                peer.expect(response(number, b"%d from %d" % (turn, number)), rule)
        stopped = own.stop().stopped()
        for peer in peers:
            peer.expect_nothing_more(f"{rule} and no others")
    assert stopped["messages"] == 3 * MANY, f"{rule} and they are counted, {3 * MANY}: {stopped}"


def check_peers_with_the_same_port_are_told_apart(server: Server) -> None:
    rule = "peers of different hosts with the same port get their own replies"
    with _peers_of_one_port(server) as peers:
        for number in range(3):
            for peer in peers:
                peer.echo(number, peer.address[0].encode(), rule)


def check_a_bad_datagram_of_a_stranger_is_dropped_and_never_answered(server: Server) -> None:
    count = len(BAD_DATAGRAMS)
    with server.another() as own, own.datagram_peers(count) as peers:
        for (name, bad), peer in zip(BAD_DATAGRAMS, peers, strict=True):
            peer.send(bad)
            peer.echo(1, b"good", f"{name} from a new address is dropped, the request behind it is answered")
        _expect_drops(own, count, count)
        for (name, _), peer in zip(BAD_DATAGRAMS, peers, strict=True):
            peer.expect_nothing_more(f"{name} from a new address is never answered")


def check_a_bad_datagram_of_a_known_peer_is_dropped_and_never_answered(server: Server) -> None:
    with server.another() as own, own.datagram_peer() as peer:
        peer.echo(0)
        for name, bad in BAD_DATAGRAMS:
            peer.send(bad)
            peer.echo(1, b"good", f"{name} from a known peer is dropped, the request behind it is answered")
        _expect_drops(own, len(BAD_DATAGRAMS), len(BAD_DATAGRAMS) + 1)
        peer.expect_nothing_more("a bad datagram from a known peer is never answered")


def check_random_bytes_are_dropped_and_stop_nobody(server: Server) -> None:
    rng = random.Random(7)
    garbage = [rng.randbytes(rng.choice((1, 16, 17, 80, 1_400))) for _ in range(60)]
    with server.another() as own, own.datagram_peers(6) as peers:
        for number, datagram in enumerate(garbage):
            peers[number % 3].send(datagram)
        for peer in peers:
            peer.echo(5, b"unharmed", "a peer beside others that send garbage is answered, and so are these")
        _expect_drops(own, len(garbage), len(peers))


def check_a_payload_over_the_limit_is_dropped(server: Server) -> None:
    rule = "with --max-payload 100 a payload of 101 bytes is dropped"
    with server.another("--max-payload", "100") as own, own.datagram_peer() as peer:
        for bad in (101, 102, 1_000, LONGEST_PAYLOAD_BYTES):
            peer.send(request(1, bytes(bad)))
            peer.echo(2, bytes(100), f"{rule}, one of 100 bytes is echoed")
        _expect_drops(own, 4, 4)
        peer.expect_nothing_more(rule)


def check_a_datagram_over_the_receive_size_is_dropped(server: Server) -> None:
    rule = "with --recv-bytes 1000 a datagram of 1001 bytes is dropped"
    whole = payload_of(1_000 - HEADER_BYTES)
    with server.another("--recv-bytes", "1000") as own, own.datagram_peer() as peer:
        for size in (1_001, 1_002, 5_000, 65_507):
            peer.send(request(1, payload_of(size - HEADER_BYTES)))
            peer.echo(2, whole, f"{rule}, one of 1000 bytes is echoed")
        _expect_drops(own, 4, 4)
        peer.expect_nothing_more(rule)


def check_a_cut_datagram_is_not_taken_for_what_is_left_of_it(server: Server) -> None:
    # The first 1000 bytes alone are a request: only the length of the datagram tells that it is none.
    rule = "with --recv-bytes 1000 a request of 1000 bytes with more behind it in the same datagram is dropped"
    whole = payload_of(1_000 - HEADER_BYTES)
    with server.another("--recv-bytes", "1000") as own, own.datagram_peer() as peer:
        for behind in (b"x", request(2), bytes(9_000)):
            peer.send(request(1, whole) + behind)
            peer.echo(3, whole, rule)
        _expect_drops(own, 3, 3)
        peer.expect_nothing_more(rule)


def check_the_stopped_line_counts_datagrams_exactly(server: Server) -> None:
    with server.another() as own:
        with own.datagram_peers(4) as peers, own.datagram_peers(3) as vandals:
            for number, (_, sent, expected) in enumerate(CORPUS):
                peers[number % 4].send(sent)
                peers[number % 4].expect(expected, "a request is answered")
            for vandal in vandals:
                vandal.send(BAD_DATAGRAMS[0][1])
        stopped = own.stop().stopped()
    expected_counts = {"messages": len(CORPUS), "protocol_errors": 3, "aborted": 0, "undelivered": 0}
    found = {name: stopped.get(name) for name in expected_counts}
    assert found == expected_counts, f"the stopped line counts {expected_counts}, not {found}"
    peers_made = 4 if server.keeps_peers else None
    assert stopped["connections"] == peers_made, (
        f"connections over UDP are the peers that were made ({peers_made}), null where none are kept: {stopped}"
    )
    assert "served_by_listener" in stopped, f"the stopped line has served_by_listener: {stopped}"


def check_two_servers_never_talk_to_each_other(server: Server) -> None:
    rule = "two servers that a forged request points at each other exchange one datagram"
    with server.another() as first, server.another() as second:
        forge(second.address, first.address, request(1, b"forged"))
        # A server that stops answers what it has received: when the first has ended, its reply is at the second.
        asked, answered = first.stop().stopped(), second.stop().stopped()
    counts = ("messages", "protocol_errors")
    found = [{name: stopped[name] for name in counts} for stopped in (asked, answered)]
    expected = [{"messages": 1, "protocol_errors": 0}, {"messages": 0, "protocol_errors": 1}]
    assert found == expected, f"{rule}, counted as {expected}, not {found}"


def check_a_request_from_port_0_stops_nobody(server: Server) -> None:
    with server.another() as own, own.datagram_peers(len(HOSTS), HOSTS) as peers:
        for turn in range(2):
            for peer in peers:
                forge((peer.address[0], 0), own.address, request(1, b"nobody can be answered there"))
            for peer in peers:
                peer.echo(turn, b"good", "a peer beside requests from port 0 is answered")
        ended = own.stop()
    assert ended.exit_code == 0, f"the exit code after requests from port 0 is 0, not {ended.exit_code}"
    assert ended.stderr == "", f"nothing is said on stderr about requests from port 0: {ended.stderr!r}"
    expected = {"messages": 2 * len(HOSTS), "undelivered": 2 * len(HOSTS)}
    found = {name: ended.stopped().get(name) for name in expected}
    assert found == expected, f"requests from port 0 are undelivered, not answered: counted {expected}, not {found}"


@contextlib.contextmanager
def _peers_of_one_port(server: Server) -> Iterator[list[DatagramPeer]]:
    """Hold a peer on each host, all with a port that was free on all of them."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(server.datagram_peer(HOSTS[0]))]
            with contextlib.suppress(OSError):  # another program has the port on one of the hosts
                for host in HOSTS[1:]:
                    peers.append(stack.enter_context(server.datagram_peer(host, port=peers[0].address[1])))
            if len(peers) == len(HOSTS):
                yield peers
                return
    raise AssertionError("some port is free on all hosts of this machine")


def _expect_drops(server: Server, dropped: int, answered: int) -> None:
    """Stop the server and check its counts."""
    stopped = server.stop().stopped()
    expected = {"messages": answered, "protocol_errors": dropped}
    found = {name: stopped[name] for name in expected}
    assert found == expected, f"datagrams that are dropped are counted: {expected}, not {found}"
