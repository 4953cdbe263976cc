"""UDP peers that a server keeps a process or thread for: made by their first request, ended by silence, never too many.

Which model keeps peers is not asked by name: its ready line says parallelism null, "each its own". From outside a peer
is a socket on the server's port that is connected to it (kernel_datagrams.py). What is said here about replies holds
for every model; what is said about peers is then that those without have no such socket.
"""

from __future__ import annotations

from .kernel_datagrams import peers_of
from .process_tree import held
from .server_process import Server
from .waiting import eventually
from .wire_bytes import BAD_DATAGRAMS, request

IDLE_S = "0.4"
PEERS = 6
LIMIT = 3
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))

# Where no other test has sockets, which would get the replies to those who have gone.
HOSTS_OF_THOSE_WHO_LEAVE = tuple(f"127.0.9.{number}" for number in range(1, 9))


def check_each_peer_has_a_socket_of_its_own_or_none_has(server: Server) -> None:
    with server.another() as own, own.datagram_peers(PEERS, HOSTS) as peers:
        for peer in peers:
            peer.echo(1)
        expected = {peer.address for peer in peers} if own.keeps_peers else set()
        rule = f"a model whose parallelism is {own.ready['parallelism']} has sockets for the peers {expected}"
        eventually(lambda: peers_of(own.address) == expected, own.patience_s, rule)


def check_garbage_makes_no_peer(server: Server) -> None:
    rule = "only an acceptable datagram makes a peer"
    with server.another() as own, own.datagram_peers(len(BAD_DATAGRAMS)) as vandals, own.datagram_peer() as peer:
        before = held(own.pid)
        for (_, bad), vandal in zip(BAD_DATAGRAMS, vandals, strict=True):
            vandal.send(bad)
        peer.echo(1)
        made = peers_of(own.address) - {peer.address}
        assert not made, f"{rule}, found {made}"
        peer.close()
        stopped = own.stop().stopped()
    assert stopped["connections"] in {1, None}, f"{rule}, one was, counted {stopped['connections']}; before {before}"


def check_an_idle_peer_ends_and_can_come_back(server: Server) -> None:
    rule = f"with --peer-timeout {IDLE_S} idle peers end"
    with server.another("--peer-timeout", IDLE_S) as own, own.datagram_peers(PEERS, HOSTS) as peers:
        before = held(own.pid)
        for _ in range(2):
            for number in range(3):
                for peer in peers:
                    peer.echo(number, b"there", "a peer is served, and is again when it comes back after its end")
            eventually(lambda: not peers_of(own.address), own.patience_s, rule)
            holds = f"{rule} and the server holds no process, thread or descriptor more than before"
            eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, holds)
        stopped = own.stop().stopped()
    assert stopped["messages"] == 6 * PEERS, f"every request is answered and counted: {stopped}"


def check_a_busy_peer_is_not_ended(server: Server) -> None:
    rule = f"with --peer-timeout {IDLE_S} a peer that goes on asking keeps its place"
    with server.another("--peer-timeout", IDLE_S) as own, own.datagram_peer() as busy, own.datagram_peers(2) as idlers:
        for idler in idlers:
            idler.echo(1)

            def has_ended(address: tuple[str, int] = idler.address) -> bool:
                busy.echo(2, why=rule)
                return address not in peers_of(own.address)

            eventually(has_ended, own.patience_s, f"with --peer-timeout {IDLE_S} an idle peer ends")
        stopped = own.stop().stopped()
    assert stopped["connections"] in {3, None}, f"{rule}: 3 peers were made, counted {stopped['connections']}"


def check_peers_are_bounded_and_the_newest_is_served(server: Server) -> None:
    rule = f"with --max-peers {LIMIT} there are never more peers"
    with server.another("--max-peers", str(LIMIT)) as own, own.datagram_peers(8, HOSTS) as peers:
        before = held(own.pid)
        for turn in range(2):
            for peer in peers:
                peer.echo(turn, b"newest", "the newest peer is served, also one that was ended for others")
                live = peers_of(own.address)
                assert len(live) <= LIMIT, f"{rule}, found {len(live)}"
            processes = held(own.pid).processes
            assert processes <= before.processes + LIMIT, f"{rule}: {processes} processes, {before} before"
            # A thread that has ended is one of the system's for a moment longer.
            eventually(lambda: held(own.pid).threads <= before.threads + LIMIT, own.patience_s, rule)
        if own.keeps_peers:
            eventually(
                lambda: peers[-1].address in peers_of(own.address), own.patience_s, "the newest peer has a place"
            )
        stopped = own.stop().stopped()
    assert stopped["messages"] == 16, f"{rule} and every request is answered and counted: {stopped}"


def check_the_longest_idle_peer_goes_first(server: Server) -> None:
    rule = f"with --max-peers {LIMIT} a new peer takes the place of the one that was idle longest"
    with server.another("--max-peers", str(LIMIT)) as own, own.datagram_peers(LIMIT + 1) as peers:
        *old, new = peers
        for peer in old:
            peer.echo(1)
        for number in range(2):
            old[0].echo(number)
        new.echo(1, why="a new peer is served")
        expected = {peer.address for peer in (old[0], *old[2:], new)} if own.keeps_peers else set()
        eventually(lambda: peers_of(own.address) == expected, own.patience_s, rule)


def check_a_peer_that_has_gone_ends_and_stops_nobody(server: Server) -> None:
    with server.another() as own, own.datagram_peers(PEERS, HOSTS) as staying:
        before = held(own.pid)
        with own.datagram_peers(PEERS, HOSTS_OF_THOSE_WHO_LEAVE) as leaving:
            for peer in leaving:
                peer.echo(1)
            own.freeze()
            for peer in leaving:
                for number in range(3):
                    peer.send(request(number, b"nobody is there when this is answered"))
                peer.close()
            for peer in leaving:
                peer.wait_until_gone()
            own.thaw()
        rule = "a peer that has gone before its reply came is ended when the reply is refused"
        eventually(lambda: not peers_of(own.address), own.patience_s, rule)
        eventually(lambda: not held(own.pid).exceeds(before), own.patience_s, f"{rule}, and nothing of it is kept")
        for number in range(3):
            for peer in staying:
                peer.echo(number, b"good", "a peer beside others that have gone is answered")
        ended = own.stop()
    assert ended.stderr == "", f"nothing is said on stderr about peers that have gone: {ended.stderr!r}"
    assert ended.exit_code == 0, f"the exit code after peers that have gone is 0, not {ended.exit_code}"


def check_a_lack_of_descriptors_stops_nobody(server: Server) -> None:
    target = server.target.with_few_descriptors(40, hard=True)
    with Server(target) as own, own.datagram_peers(4, HOSTS) as early, own.datagram_peers(60, HOSTS) as many:
        for peer in early:
            peer.echo(1)
        for peer in many:
            peer.send(request(2))
        for number in range(3):
            for peer in early:
                peer.echo(
                    number, b"early", "established peers are answered when the server lacks descriptors for others"
                )
        ended = own.stop()
    assert ended.exit_code == 0, f"the exit code after a lack of descriptors is 0, not {ended.exit_code}"
    assert ended.stderr == "", f"nothing is said on stderr about a lack of descriptors: {ended.stderr!r}"
