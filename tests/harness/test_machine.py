"""The machine's counters."""

from __future__ import annotations

import os
import socket

from harness.machine import parse_counters, parse_udp_drops, read_machine

NETSTAT = b"""TcpExt: SyncookiesSent ListenOverflows ListenDrops
TcpExt: 0 17 18
IpExt: InOctets
IpExt: 123456789012
"""


def test_counters_are_pairs_of_lines() -> None:
    counters = parse_counters(NETSTAT)
    assert counters["TcpExt", "ListenOverflows"] == 17
    assert counters["TcpExt", "ListenDrops"] == 18
    assert counters["IpExt", "InOctets"] == 123_456_789_012


def test_a_file_that_is_not_there_holds_no_counters() -> None:
    assert parse_counters(b"") == {}


UDP = b"""   sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops
  125: 0100007F:2328 00000000:0000 07 00000000:00000340 00:00000000 00000000     0        0 3326319 2 00000000ae9b2c8a 5
 1421: 0100007F:2328 0100007F:9357 01 00000000:00000340 00:00000000 00000000     0        0 3326326 2 00000000974dafeb 2
 1422: 0100007F:9357 0100007F:2328 01 00000000:00000340 00:00000000 00000000     0        0 3326326 2 00000000974dafeb 1
 1423: 0100007F:0035 00000000:0000 07 00000000:00000340 00:00000000 00000000     0        0 3326326 2 00000000974dafeb 9
"""


def test_datagrams_dropped_at_the_server_s_port_are_told_from_those_of_its_clients() -> None:
    assert parse_udp_drops(UDP, 0x2328) == {"udp_drops_server": 7, "udp_drops_loadgen": 1}
    assert parse_udp_drops(b"", 0x2328) == {"udp_drops_server": 0, "udp_drops_loadgen": 0}


def test_what_a_full_receive_buffer_drops_is_counted() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        full.bind(("127.0.0.1", 0))
        client.connect(full.getsockname())
        port = full.getsockname()[1]
        before = read_machine(port).counters["udp_drops_server"]
        for _ in range(100):
            client.send(b"x" * 1000)
        dropped = read_machine(port).counters["udp_drops_server"] - before
        full.setblocking(False)
        received = 0
        while True:
            try:
                full.recv(2000)
            except BlockingIOError:
                break
            received += 1
        assert received + dropped == 100
        assert 0 < dropped < 100


def test_every_cpu_and_every_counter_is_read_and_only_grows() -> None:
    before, now = read_machine(), read_machine()
    assert set(before.cpus) >= os.sched_getaffinity(0)
    names = {"listen_overflows", "listen_drops", "retransmitted_segments", "namespace_udp_drops"}
    assert set(before.counters) == names
    assert all(now.cpus[cpu].idle >= ticks.idle for cpu, ticks in before.cpus.items())
    assert now.at_monotonic_ns > before.at_monotonic_ns
