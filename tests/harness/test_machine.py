"""The machine's counters."""

from __future__ import annotations

import os

from harness.machine import parse_counters, read_machine

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


def test_every_cpu_and_every_counter_is_read_and_only_grows() -> None:
    before, now = read_machine(), read_machine()
    assert set(before.cpus) >= os.sched_getaffinity(0)
    assert set(before.counters) == {"listen_overflows", "listen_drops", "retransmitted_segments"}
    assert all(now.cpus[cpu].idle >= ticks.idle for cpu, ticks in before.cpus.items())
    assert now.at_monotonic_ns > before.at_monotonic_ns
