"""From limits to a sentence: what a machine can't have is known before it is tried."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import limits, limits_here
from harness.environment import ROOT
from harness.limits import NEEDS, NO_LIMITS, Limits, Room, describe, needed_bytes, why_not
from harness.limits_here import read_limits
from harness.scenario import Scenario
from loadgen import limits as loadgen_limits
from loadgen.dial import LOOPBACK_SOURCES
from tests.harness.programs import make_scenario

SELECT = ("--selector", "select")
GB = 10**9


def scenario(model: str, connections: int, idle: int = 0, **chosen: Any) -> Scenario:
    """Return a scenario of so many connections."""
    return make_scenario(model=model, connections=connections, idle=idle, **chosen)


def tasks(left: int) -> Limits:
    """Return limits on processes and threads alone."""
    return Limits(tasks=Room(left, "kernel.pid_max"))


def memory(left: float) -> Limits:
    """Return limits on memory alone."""
    return Limits(memory_bytes=Room(int(left), "the machine"))


@pytest.mark.parametrize(
    ("chosen", "known"),
    [
        (scenario("fork", 100_000), NO_LIMITS),
        (scenario("asyncio", 960), Limits(open_files=1_024)),
        (scenario("hybrid", 900, 60, workers=2), Limits(open_files=1_024)),
        (scenario("asyncio", 10_000), Limits(ports=10)),
        (scenario("selectors", 50, 900, options=SELECT), Limits(open_files=20_000)),
        (scenario("selectors", 1_008, options=SELECT), NO_LIMITS),
        (scenario("selectors", 5_000, options=SELECT, transport="udp"), NO_LIMITS),
        (scenario("selectors", 5_000, options=("--selector", "poll")), NO_LIMITS),
        (scenario("fork", 936), tasks(1_000)),
        (scenario("asyncio", 10_000), tasks(100)),
        (scenario("thread", 32_265), Limits(mappings=65_530)),
        (scenario("fork", 40_000), Limits(mappings=65_530)),
        (scenario("hybrid", 40_000, workers=2, options=("--inner", "thread")), Limits(mappings=65_530)),
        (scenario("fork", 2_000), memory(4 * GB)),
        (scenario("asyncio", 10_000), memory(1 * GB)),
    ],
)
def test_nothing_stands_against_what_fits(chosen: Scenario, known: Limits) -> None:
    assert why_not(chosen, known, server_cpus=1) is None


@pytest.mark.parametrize(
    ("chosen", "known", "words"),
    [
        (
            scenario("asyncio", 900, 61),
            Limits(open_files=1_024),
            ["961 connections take 1,025 descriptors of the load generator", "may open 1,024", "ulimit -Hn 1025"],
        ),
        (
            scenario("asyncio", 10_001),
            Limits(ports=10),
            ["10,001 connections", "1,000 loopback addresses have 10 each", "net.ipv4.ip_local_port_range"],
        ),
        (
            scenario("selectors", 1_009, options=SELECT),
            NO_LIMITS,
            ["1,009 connections take 1,025 descriptors of the server", "select() takes none over 1,023"],
        ),
        (
            scenario("selectors", 50, 959, options=("--selector=select",)),
            NO_LIMITS,
            ["1,009 connections", "select()", "use another selector"],
        ),
        (
            scenario("fork", 40_000),
            tasks(32_000),
            ["fork takes a process a connection, 40,000 in all", "kernel.pid_max leaves room for 32,000"],
        ),
        (scenario("thread", 950, transport="udp"), tasks(1_000), ["thread takes a thread a connection, 950 in all"]),
        (scenario("hybrid", 950, options=("--inner", "thread")), tasks(1_000), ["a thread a connection"]),
        (
            scenario("thread", 32_266),
            Limits(mappings=65_530),
            ["the stacks of 32,266 threads take 65,532 mappings", "vm.max_map_count is 65,530"],
        ),
        (
            scenario("fork", 10_000, transport="ws"),
            memory(24 * GB),
            ["10,000 connections of fork over ws take about 27.6 GB of memory (2.8 MB each", "leaves 24.0 GB"],
        ),
        (scenario("fork", 2_000), memory(3.5 * GB), ["2,000 connections of fork over tcp take about 3.5 GB"]),
        (scenario("thread", 10_000), memory(0.8 * GB), ["thread over tcp take about 820.5 MB", "leaves 800.0 MB"]),
        (scenario("asyncio", 10_000, payload="1048576"), memory(8 * GB), ["about 21.2 GB", "and their payloads"]),
    ],
)
def test_what_does_not_fit_is_told_with_both_figures_and_what_to_do(
    chosen: Scenario, known: Limits, words: list[str]
) -> None:
    sentence = why_not(chosen, known, server_cpus=1)
    assert sentence is not None
    assert [word for word in words if word not in sentence] == [], sentence
    assert "ask for fewer connections" in sentence
    assert "\n" not in sentence


def test_the_servers_descriptors_are_looked_at_where_the_generator_has_enough() -> None:
    assert limits._server_descriptors(scenario("asyncio", 1_009), Limits(open_files=1_024), 1) is not None
    assert limits._server_descriptors(scenario("fork", 90_000), Limits(open_files=1_024), 1) is None
    assert limits._server_descriptors(scenario("asyncio", 90_000, transport="udp"), Limits(open_files=1_024), 1) is None
    assert limits._server_descriptors(scenario("thread", 1_009, transport="udp"), Limits(open_files=1_024), 1)


def test_the_connections_of_hybrid_are_spread_over_its_workers() -> None:
    known = Limits(open_files=1_024)
    assert limits._server_descriptors(scenario("hybrid", 2_016), known, server_cpus=1) is None
    assert limits._server_descriptors(scenario("hybrid", 2_017), known, server_cpus=1) is not None
    assert limits._server_descriptors(scenario("hybrid", 4_032), known, server_cpus=4) is None
    assert limits._server_descriptors(scenario("hybrid", 2_016, workers=1), known, server_cpus=4) is not None


def test_of_a_foreign_server_only_the_generators_side_is_known() -> None:
    known = Limits(open_files=2_000, ports=0, tasks=Room(0, "x"), mappings=0, memory_bytes=Room(0, "x"))
    assert why_not(scenario("fork", 1_900), known, 1, ours=False) is None
    assert "of the load generator" in (why_not(scenario("fork", 1_950), known, 1, ours=False) or "")


def test_payloads_under_way_count_for_active_connections_alone() -> None:
    small, idle = scenario("asyncio", 10, payload="64"), scenario("asyncio", 10, 10, payload="1000000")
    assert needed_bytes(idle) == pytest.approx(2 * needed_bytes(small) + 2 * 10 * 1_000_000, rel=1e-3)


def test_the_limits_are_said_in_a_line() -> None:
    known = Limits(20_000, 28_232, Room(32_000, "kernel.pid_max"), 65_530, Room(23 * GB, "the machine"))
    assert describe(known) == (
        "this machine allows 20,000 descriptors a process, 32,000 more processes and threads (kernel.pid_max), "
        "28,232 ports an address, 23.0 GB of memory (the machine)"
    )
    assert describe(NO_LIMITS) == "this machine allows any number of descriptors"


def test_the_figures_of_other_programs_are_theirs() -> None:
    assert limits.GENERATOR_DESCRIPTORS == loadgen_limits.OTHER_DESCRIPTORS
    assert limits.SOURCE_ADDRESSES == LOOPBACK_SOURCES


def test_every_model_with_a_need_of_its_own_is_one_that_there_is() -> None:
    command = [sys.executable, "-m", "servers", "--list", "--json"]
    listing = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert NEEDS.keys() <= {model["name"] for model in listing["models"]}


def test_a_server_that_waits_with_select_takes_as_many_connections_as_are_allowed_for() -> None:
    most = limits.SELECT_DESCRIPTORS - limits.SERVER_DESCRIPTORS
    assert why_not(scenario("selectors", most, options=SELECT), NO_LIMITS, 1) is None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * most:
        pytest.skip(f"no more than {hard} descriptors here")
    command = [sys.executable, "-m", "servers", "--model", "selectors", "--transport", "tcp", *SELECT]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as server:
            assert server.stdout
            address = ("127.0.0.1", json.loads(server.stdout.readline())["port"])
            held = [socket.create_connection(address, timeout=10) for _ in range(most)]
            for connection in held[-1:]:
                connection.sendall(b"\xeb\x01\x01\x01" + bytes(11) + b"\x07")
                assert connection.recv(100) == b"\xeb\x01\x01\x02" + bytes(11) + b"\x07"
            server.terminate()
            stopped = json.loads(server.stdout.readline())
            for connection in held:
                connection.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (stopped["connections"], stopped["refused"]) == (most, 0)


def test_this_machines_limits_can_be_read_and_stored() -> None:
    known = read_limits()
    assert known.tasks is not None
    assert known.memory_bytes is not None
    assert known.memory_bytes.left > 10_000_000
    assert known.ports is not None
    assert json.loads(json.dumps(known.as_dict())) == known.as_dict()


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({"memory.max": "1000000", "memory.current": "400000"}, 600_000),
        ({"memory.max": "max", "memory.current": "400000"}, None),
        ({"memory.max": "1000", "memory.current": "900", "memory.stat": "anon 7\ninactive_file 300"}, 400),
        ({"memory.limit_in_bytes": "1000", "memory.usage_in_bytes": "1200"}, 0),
        ({"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "5"}, None),
        ({}, None),
    ],
)
def test_the_memory_of_a_control_group_is_read_in_both_versions(
    files: dict[str, str], room: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
    found = limits_here._group_memory(tmp_path)
    assert (found and found.left) == room


def test_of_several_limits_the_narrowest_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pids.max").write_text("150\n", encoding="ascii")
    (tmp_path / "pids.current").write_text("30\n", encoding="ascii")
    monkeypatch.setattr(limits_here, "_control_groups", lambda: iter([tmp_path]))
    assert read_limits().tasks == Room(120, "the control group's pids.max")
