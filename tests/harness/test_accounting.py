"""From readings to figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.accounting import cell_windows, memory_figures, window_figures
from harness.machine import CpuTicks, MachineState
from harness.memory import TreeMemory
from harness.pinning import Pinning
from harness.procfs import TICKS_PER_S
from harness.proctree import TreeCpu
from harness.sampler import Accounts, End
from harness.schema import LoadWindow
from harness.verdict import ServerLife
from tests.harness.fake_loadgen import record, window_record

SECOND_NS = 1_000_000_000
APART = Pinning((0,), (1,), pinned=True)
LIFE = ServerLife("tcp", 100, 100, died=False)


def tree(at_ns: int, cpu_ns: int, user: int = 0, system: int = 0, processes: int = 1) -> TreeCpu:
    """Return what a tree had used."""
    return TreeCpu(at_ns, cpu_ns, user, system, processes, threads=1, settled=True)


def machine(at_ns: int, idle_s: tuple[float, float], stolen_s: float = 0.0, drops: int = 0) -> MachineState:
    """Return a machine of two CPUs; the hypervisor takes from the first."""
    stolen = (int(stolen_s * TICKS_PER_S), 0)
    ticks = {cpu: CpuTicks(int(idle * TICKS_PER_S), stolen[cpu]) for cpu, idle in enumerate(idle_s)}
    return MachineState(at_ns, ticks, {"listen_drops": drops})


def ends() -> tuple[End, End]:
    """Return both ends of a window of 1 s: the server used 0.5 s, three quarters of it in the system."""
    key = (10, 1, 10)
    opening = End(0, tree(0, 5 * SECOND_NS, 10, 30), tree(0, 0), machine(0, (7.0, 7.0)), {key: 0}, 0)
    closing = End(
        SECOND_NS,
        tree(SECOND_NS, 5 * SECOND_NS + SECOND_NS // 2, 20, 60),
        tree(SECOND_NS, 200_000_000, 5, 5),
        machine(SECOND_NS, (7.3, 7.8), drops=3),
        {key: 400_000_000, (11, 1, 11): 450_000_000},
        SECOND_NS,
    )
    return opening, closing


def window(**changes: Any) -> LoadWindow:
    """Return a window of 1 s with 5,000 responses."""
    made: Any = {**window_record("closed", 0, SECOND_NS, 1.0), **changes}
    return made


def test_cpu_time_is_that_between_the_ends() -> None:
    server = window_figures(window(), *ends(), APART).server
    assert server["cpu_s"] == pytest.approx(0.5)
    assert server["cpu_user_s"] == pytest.approx(0.125)
    assert server["cpu_system_s"] == pytest.approx(0.375)
    assert server["cores_used"] == pytest.approx(0.5)
    assert server["cpu_us_per_request"] == pytest.approx(100)
    assert server["read_late_ns"] == 0


def test_the_load_generators_cpu_is_its_own_figure() -> None:
    loadgen = window_figures(window(), *ends(), APART).loadgen
    assert loadgen["cpu_s"] == pytest.approx(0.2)
    assert loadgen["cpu_us_per_request"] == pytest.approx(40)
    assert loadgen["idle_fraction"] == pytest.approx(0.8)


def test_a_late_reading_does_not_make_a_request_dearer() -> None:
    opening, closing = ends()
    late_ns = 2 * SECOND_NS
    late = replace(closing, server=tree(late_ns, 6 * SECOND_NS))
    server = window_figures(window(), opening, late, APART).server
    assert server["cpu_us_per_request"] == pytest.approx(100)
    assert server["cores_used"] == pytest.approx(0.5)
    assert server["read_late_ns"] == SECOND_NS


def test_idle_time_is_of_the_servers_cpus_and_of_what_was_not_stolen() -> None:
    opening, closing = ends()
    assert window_figures(window(), opening, closing, APART).server["idle_fraction"] == pytest.approx(0.3)
    robbed = replace(closing, machine=machine(SECOND_NS, (7.3, 7.8), stolen_s=0.4))
    figures = window_figures(window(), opening, robbed, APART)
    assert figures.server["idle_fraction"] == pytest.approx(0.5)
    assert figures.server["busiest_thread_share"] == pytest.approx(0.75)
    assert figures.steal_s == pytest.approx(0.4)
    assert figures.resources.steal_fraction == pytest.approx(0.4)
    both = window_figures(window(), opening, robbed, Pinning((0, 1), (0, 1), pinned=False))
    assert both.server["idle_fraction"] == pytest.approx(1.1 / 1.6)
    assert both.resources.steal_fraction == pytest.approx(0.2)


def test_the_busiest_thread_may_have_started_inside_the_window() -> None:
    assert window_figures(window(), *ends(), APART).server["busiest_thread_share"] == pytest.approx(0.45)


def test_the_kernels_counters_are_differences() -> None:
    figures = window_figures(window(), *ends(), APART)
    assert figures.kernel == {"listen_drops": 3}


def test_without_responses_there_is_no_cost_of_a_request() -> None:
    server = window_figures(window(responses=0), *ends(), APART).server
    assert server["cpu_us_per_request"] is None
    assert server["cpu_s"] == pytest.approx(0.5)


@pytest.mark.parametrize("change", ["gone", "less"])
def test_a_tree_that_was_gone_or_lost_a_part_has_no_figures(change: str) -> None:
    opening, closing = ends()
    gone = tree(SECOND_NS, 0, processes=0) if change == "gone" else tree(SECOND_NS, 4 * SECOND_NS)
    server = window_figures(window(), opening, replace(closing, server=gone), APART).server
    assert (server["cpu_s"], server["cores_used"], server["cpu_us_per_request"]) == (None, None, None)


def test_without_ticks_the_split_is_unknown_and_the_whole_is_not() -> None:
    opening, closing = ends()
    few = replace(closing, server=tree(SECOND_NS, 5 * SECOND_NS + 1_000_000, 10, 30))
    server = window_figures(window(), opening, few, APART).server
    assert (server["cpu_user_s"], server["cpu_system_s"]) == (None, None)
    assert server["cpu_s"] == pytest.approx(0.001)


def test_an_end_that_was_not_read_leaves_figures_empty() -> None:
    opening, closing = ends()
    for pair in ((None, closing), (opening, None)):
        figures = window_figures(window(), *pair, APART)
        assert set(figures.server.values()) == {None}
        assert set(figures.loadgen.values()) == {None}
        assert figures.steal_s is None
        assert figures.server.keys() == window_figures(window(), opening, closing, APART).server.keys()
        assert figures.loadgen.keys() == window_figures(window(), opening, closing, APART).loadgen.keys()


def test_a_window_that_was_not_where_it_was_announced_has_no_figures() -> None:
    moved = window(opens_monotonic_ns=500_000_000)
    assert window_figures(moved, *ends(), APART).server["cpu_s"] is None


def held(**sizes: int) -> TreeMemory:
    """Return a memory."""
    zero = dict.fromkeys(
        ("pss_bytes", "own_pss_bytes", "rss_bytes", "uss_bytes", "processes", "threads", "open_files"), 0
    )
    return TreeMemory(**{**zero, **sizes})


def test_the_memory_of_a_connection_is_the_growth_of_what_no_stranger_shares() -> None:
    before, after = held(pss_bytes=9_000, own_pss_bytes=5_000), held(pss_bytes=8_500, own_pss_bytes=6_000)
    figures = memory_figures(before, after, connections=10)
    assert figures["baseline_pss_bytes"] == 9_000
    assert figures["connected_pss_bytes"] == 8_500
    assert figures["bytes_per_connection"] == 100


def test_memory_that_was_not_read_is_null() -> None:
    figures = memory_figures(held(pss_bytes=9_000), None, connections=10)
    assert figures["baseline_pss_bytes"] == 9_000
    assert figures["connected_pss_bytes"] is None
    assert figures["bytes_per_connection"] is None


def test_a_cells_windows_carry_cpus_memory_verdict_and_warnings() -> None:
    opening, closing = ends()
    accounts = Accounts({0: opening}, {0: closing}, connected_memory=held(pss_bytes=9_000, processes=3))
    made: Any = record_of([dict(window())])
    (stored,) = cell_windows(made, accounts, APART, LIFE)
    assert stored["server"]["cpus"] == [0]
    assert stored["server"]["pss_bytes"] == 9_000
    assert stored["server"]["processes"] == 3
    assert stored["loadgen"]["cpus"] == [1]
    assert stored["limited_by"] == "concurrency"
    assert [warned["kind"] for warned in stored["warnings"]] == ["kernel_drops"]


def test_what_was_lost_while_connections_came_up_is_told_with_the_first_window() -> None:
    opening, closing = ends()
    before = MachineState(-SECOND_NS, {}, {"listen_drops": -7})
    accounts = Accounts({0: opening, 1: opening}, {0: closing, 1: closing}, machine_before=before)
    made: Any = record_of([dict(window()), dict(window())])
    first, second = cell_windows(made, accounts, APART, LIFE)
    assert first["kernel"] == {"listen_drops": 3, "listen_drops_connecting": 7}
    assert second["kernel"] == {"listen_drops": 3}
    assert first["warnings"][0]["figures"] == {"listen_drops": 3, "listen_drops_connecting": 7}


def test_segments_that_were_sent_again_are_context_and_no_doubt() -> None:
    opening, closing = ends()
    opening = replace(opening, machine=replace(opening.machine, counters={"retransmitted_segments": 1}))
    closing = replace(closing, machine=replace(closing.machine, counters={"retransmitted_segments": 9}))
    made: Any = record_of([dict(window())])
    (stored,) = cell_windows(made, Accounts({0: opening}, {0: closing}), APART, LIFE)
    assert stored["kernel"] == {"retransmitted_segments": 8}
    assert stored["warnings"] == []


def record_of(windows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a record that holds these windows."""

    class Options:
        url = "tcp://127.0.0.1:9"
        connections = pipeline = seed = 1
        payload = "64"
        timeout = 1.0
        spin = False

    options: Any = Options
    return record(options, windows, requests=100)
