"""Many peers over UDP: none loses a request, two servers can't be made to talk, and floods of new ones are bounded.

The load is closed, so there are never more datagrams on their way than peers: that fits into the buffers, and whatever
is missing was lost by the server.
"""

import contextlib
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.proctree import read_tree
from tests.integration.messages import request, response
from tests.integration.running import KEEP_PEERS, MODELS, PATIENCE_S, Running, command, started
from tests.integration.udp_load import UdpLoad

PEERS = 200
LOOPBACK_HOSTS = [f"127.0.0.{number}" for number in range(1, 21)]
IN_FLIGHT = 32  # new peers that wait for their first reply
BESIDE_PEERS = 8  # the root, and those that have ended and are about to disappear
BYSTANDERS = 20


@contextlib.contextmanager
def udp_server(model: str, *options: str) -> Iterator[Running]:
    with started(command(model, "udp", *options)) as server:
        yield server


def check_that_none_is_lost(model: str, requests_each: int) -> None:
    with udp_server(model) as server, contextlib.closing(UdpLoad(server.port, requests_each)) as load:
        for _ in range(PEERS):
            load.add()
        load.run_while(lambda: load.replies < PEERS * requests_each)
        stopped = server.stop()
    assert (load.replies, load.outstanding()) == (PEERS * requests_each, 0)
    assert [peer.sent for peer in load.peers] == [requests_each] * PEERS
    assert stopped["messages"] == PEERS * requests_each
    assert (stopped["protocol_errors"], stopped["undelivered"]) == (0, 0)
    assert stopped["connections"] == (PEERS if model in KEEP_PEERS else None)


@pytest.mark.parametrize("model", MODELS)
def test_none_of_200_peers_loses_one_of_50_requests(model: str) -> None:
    check_that_none_is_lost(model, requests_each=50)


@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_none_of_200_peers_loses_one_of_500_requests(model: str) -> None:
    check_that_none_is_lost(model, requests_each=500)


def forge(source_port: int, target_port: int, message: bytes) -> None:
    """Send a datagram that seems to come from another port of this host."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("forging a source address takes CAP_NET_RAW")
    with raw:
        no_checksum = 0
        udp_header = struct.pack("!4H", source_port, target_port, 8 + len(message), no_checksum)
        raw.bind(("127.0.0.1", 0))
        raw.sendto(udp_header + message, ("127.0.0.1", 0))


def ask_from_new_addresses(server: Running, count: int) -> None:
    """Ask once from so many addresses, so that every worker of a server has been asked."""
    for sequence in range(1, count + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bystander:
            bystander.settimeout(PATIENCE_S)
            bystander.connect(("127.0.0.1", server.port))
            bystander.send(request(sequence))
            assert bystander.recv(4096) == response(sequence)


@pytest.mark.parametrize("model", MODELS)
def test_two_servers_that_are_pointed_at_each_other_exchange_one_datagram(model: str) -> None:
    with udp_server(model) as one, udp_server(model) as other:
        forge(other.port, one.port, request(1))
        for server in (one, other, one, other):  # while they answer these they could answer each other, again and again
            ask_from_new_addresses(server, BYSTANDERS)
        of_one, of_other = one.stop(), other.stop()
    of_bystanders = 2 * BYSTANDERS
    assert (of_one["messages"] - of_bystanders, of_one["protocol_errors"]) == (1, 0)
    assert (of_other["messages"] - of_bystanders, of_other["protocol_errors"]) == (0, 1)


def alive(server: Running) -> int:
    """Return how many processes or threads a server has, whichever there are more of."""
    tree = read_tree(server.pid).values()
    return max(len(tree), sum(process.threads for process in tree))


def peers_of(server: Running) -> set[tuple[str, int]]:
    """Return the addresses that the server's sockets are connected to, as the kernel lists them."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]]
    found = {address_of(row[2]) for row in rows if address_of(row[1]) == ("127.0.0.1", server.port)}
    return found - {("0.0.0.0", 0)}


def address_of(text: str) -> tuple[str, int]:
    """Return an address as /proc/net writes it."""
    host, port = text.split(":")
    return socket.inet_ntoa(int(host, 16).to_bytes(4, sys.byteorder)), int(port, 16)


def check_flood(model: str, peers: int, max_peers: int) -> None:
    """Let many peers ask once, the last of them one after the other; those must be the peers that are left."""
    options = ("--max-peers", str(max_peers), "--peer-timeout", "0")
    with udp_server(model, *options) as server, contextlib.closing(UdpLoad(server.port, requests_each=1)) as load:
        most_alive = most_peers = 0
        for number in range(peers):
            load.add(LOOPBACK_HOSTS[number * len(LOOPBACK_HOSTS) // peers])
            if number % IN_FLIGHT == 0:
                most_alive = max(most_alive, alive(server))  # while it makes peers
            if number % IN_FLIGHT == IN_FLIGHT - 1 or number >= peers - max_peers - 1:
                load.run_while(lambda: load.outstanding() > 0)
            if number % IN_FLIGHT == IN_FLIGHT - 1:
                most_peers = max(most_peers, len(peers_of(server)))  # the list is right while nothing changes
        left = peers_of(server)
        newest = load.peers[-max_peers:]
        for peer in newest:
            load.ask(peer)
        load.run_while(lambda: load.outstanding() > 0)
        stopped = server.stop()
    assert max_peers < most_alive <= max_peers + BESIDE_PEERS
    assert most_peers == max_peers
    assert left == {peer.address for peer in newest}
    assert load.replies == stopped["messages"] == peers + max_peers
    assert stopped["connections"] <= peers  # one that asked while another's socket was made may be answered there
    assert (stopped["refused"], stopped["undelivered"], stopped["aborted"]) == (0, 0, 0)


@pytest.mark.parametrize("model", KEEP_PEERS)
def test_a_flood_of_new_peers_is_bounded_and_the_newest_are_served(model: str) -> None:
    check_flood(model, peers=600, max_peers=50)


@pytest.mark.long
@pytest.mark.parametrize("model", KEEP_PEERS)
def test_a_flood_of_10000_new_peers_is_bounded_and_the_newest_are_served(model: str) -> None:
    check_flood(model, peers=10_000, max_peers=500)
