"""From readings to figures, and why one is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.accounting import Reaped, cell_unavailable, cell_windows, memory_figures
from harness.accounts import Accounts, End, HeldMemory
from harness.cputime import TreeCpu
from harness.figures import window_figures
from harness.machine import CpuTicks, MachineState
from harness.memory import TreeMemory
from harness.pinning import Pinning
from harness.procfs import TICKS_PER_S
from harness.schema import LoadWindow
from harness.threads import Thread
from harness.verdict import ServerLife
from tests.harness.fake_loadgen import record, window_record

SECOND_NS = 1_000_000_000
APART = Pinning((0,), (1,), pinned=True)
LIFE = ServerLife("tcp", 100, 100, died=False)


def tree(at_ns: int, cpu_ns: int, user: int = 0, system: int = 0, processes: int = 1) -> TreeCpu:
    """Return what a tree had used; `user` and `system` are samples."""
    return TreeCpu(at_ns, cpu_ns, user, system, processes, threads=1, settled=True)


def machine(at_ns: int, idle_s: tuple[float, float], stolen_s: float = 0.0, drops: int = 0) -> MachineState:
    """Return a machine of two CPUs; the hypervisor takes from the first."""
    stolen = (int(stolen_s * TICKS_PER_S), 0)
    ticks = {cpu: CpuTicks(int(idle * TICKS_PER_S), stolen[cpu]) for cpu, idle in enumerate(idle_s)}
    return MachineState(at_ns, ticks, {"listen_drops": drops})


def ends() -> tuple[End, End]:
    """Return both ends of a window of 1 s: the server used 0.5 s, three quarters of it in the system."""
    key, born = (10, 1, 10), (11, 1, 11)
    opening = End(
        0,
        tree(0, 5 * SECOND_NS, 10, 30),
        tree(0, 0),
        machine(0, (7.0, 7.0)),
        {key: Thread(0, 100, 10)},
        {key: Thread(0, 3, 3)},
        threads_at_ns=0,
        spent_s=0.5,
    )
    closing = End(
        SECOND_NS,
        tree(SECOND_NS, 5 * SECOND_NS + SECOND_NS // 2, 20, 60),
        tree(SECOND_NS, 200_000_000, 5, 5),
        machine(SECOND_NS, (7.3, 7.8), drops=3),
        {key: Thread(400_000_000, 150, 11), born: Thread(450_000_000, 7, 2)},
        {key: Thread(200_000_000, 4, 5)},
        threads_at_ns=SECOND_NS,
        spent_s=0.52,
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
    assert (server["read_late_ns"], server["unsettled_ends"]) == (0, 0)


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


def test_switches_are_counted_over_threads_that_stayed_and_that_came() -> None:
    figures = window_figures(window(), *ends(), APART)
    assert (figures.server["voluntary_switches"], figures.server["involuntary_switches"]) == (57, 3)
    assert (figures.loadgen["voluntary_switches"], figures.loadgen["involuntary_switches"]) == (1, 2)


def test_switches_are_unknown_where_a_thread_ended_and_took_its_count_with_it() -> None:
    opening, closing = ends()
    gone = replace(opening, server_threads={**opening.server_threads, (12, 1, 12): Thread(1, 1, 1)})
    figures = window_figures(window(), gone, closing, APART)
    assert (figures.server["voluntary_switches"], figures.server["involuntary_switches"]) == (None, None)
    assert figures.unavailable["server.voluntary_switches"] == "a thread ended in the window: the count went with it"
    assert figures.loadgen["voluntary_switches"] == 1


def test_a_number_that_was_given_again_is_not_the_thread_that_had_it() -> None:
    opening, closing = ends()
    again = replace(closing, server_threads={(10, 99, 10): Thread(5, 1, 1)})
    figures = window_figures(window(), opening, again, APART)
    assert figures.server["voluntary_switches"] is None
    assert figures.server["busiest_thread_share"] == pytest.approx(5 / SECOND_NS)


def test_switches_that_were_not_read_are_unknown_with_their_reason() -> None:
    opening, closing = ends()
    unread = {key: Thread(thread.ran_ns) for key, thread in closing.server_threads.items()}
    figures = window_figures(window(), opening, replace(closing, server_threads=unread), APART)
    assert figures.server["voluntary_switches"] is None
    assert "more than 500 threads" in figures.unavailable["server.voluntary_switches"]
    assert figures.server["busiest_thread_share"] == pytest.approx(0.45)


def test_what_the_readings_cost_stands_beside_the_figures() -> None:
    accounting = window_figures(window(), *ends(), APART).accounting
    assert accounting == {"cpu_s": pytest.approx(0.02), "cores_used": pytest.approx(0.02)}


def test_steal_is_told_by_side() -> None:
    opening, closing = ends()
    figures = window_figures(
        window(), opening, replace(closing, machine=machine(SECOND_NS, (7.3, 7.8), stolen_s=0.4)), APART
    )
    assert (figures.server["stolen_s"], figures.loadgen["stolen_s"]) == (pytest.approx(0.4), 0.0)


def test_an_end_that_never_held_still_is_counted() -> None:
    opening, closing = ends()
    restless = replace(closing, server=replace(closing.server, settled=False))
    assert window_figures(window(), opening, restless, APART).server["unsettled_ends"] == 1


def test_without_responses_there_is_no_cost_of_a_request() -> None:
    figures = window_figures(window(responses=0), *ends(), APART)
    assert figures.server["cpu_us_per_request"] is None
    assert figures.unavailable["server.cpu_us_per_request"] == "no reply was received in the window"
    assert figures.server["cpu_s"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("gone", "the process tree was gone, or not to be seen, at the closing of the window"),
        ("less", "processes left the tree in the window with the time that they had used"),
    ],
)
def test_a_tree_that_was_gone_or_lost_a_part_has_no_figures(change: str, why: str) -> None:
    opening, closing = ends()
    gone = tree(SECOND_NS, 0, processes=0) if change == "gone" else tree(SECOND_NS, 4 * SECOND_NS)
    figures = window_figures(window(), opening, replace(closing, server=gone), APART)
    server = figures.server
    assert (server["cpu_s"], server["cores_used"], server["cpu_us_per_request"]) == (None, None, None)
    assert figures.unavailable["server.cpu_s"].startswith(why)
    assert figures.loadgen["cpu_s"] == pytest.approx(0.2)


def test_without_ticks_the_split_is_unknown_and_the_whole_is_not() -> None:
    opening, closing = ends()
    few = replace(closing, server=tree(SECOND_NS, 5 * SECOND_NS + 1_000_000, 10, 30))
    figures = window_figures(window(), opening, few, APART)
    assert (figures.server["cpu_user_s"], figures.server["cpu_system_s"]) == (None, None)
    assert figures.server["cpu_s"] == pytest.approx(0.001)
    assert set(figures.unavailable) == {"server.cpu_user_s", "server.cpu_system_s"}


def test_every_figure_that_is_missing_has_its_reason() -> None:
    opening, closing = ends()
    nothing = End(SECOND_NS, tree(0, 0, processes=0), tree(0, 0, processes=0), MachineState(0, {}, {}), {}, {}, 0)
    for pair in ((None, closing), (opening, None), (opening, nothing), (replace(nothing, due_monotonic_ns=0), closing)):
        figures = window_figures(window(), *pair, APART)
        sides = {"server": figures.server, "loadgen": figures.loadgen}
        missing = {f"{side}.{name}" for side, values in sides.items() for name in values if values[name] is None}
        assert missing
        assert missing <= figures.unavailable.keys()
        assert all(figures.unavailable[name] for name in missing)


def test_an_end_that_was_not_read_leaves_figures_empty() -> None:
    opening, closing = ends()
    for pair in ((None, closing), (opening, None)):
        figures = window_figures(window(), *pair, APART)
        assert set(figures.server.values()) == {None}
        assert set(figures.loadgen.values()) == {None}
        assert (figures.steal_s, figures.accounting) == (None, None)
        assert figures.server.keys() == window_figures(window(), opening, closing, APART).server.keys()
        assert figures.loadgen.keys() == window_figures(window(), opening, closing, APART).loadgen.keys()


def test_a_window_that_was_not_where_it_was_announced_has_no_figures() -> None:
    figures = window_figures(window(opens_monotonic_ns=500_000_000), *ends(), APART)
    assert figures.server["cpu_s"] is None
    assert figures.unavailable["server.cpu_s"] == "the window was not where it had been announced"


def held(unavailable: dict[str, str] | None = None, **sizes: int | None) -> TreeMemory:
    """Return a memory."""
    zero = dict.fromkeys(
        ("pss_bytes", "own_pss_bytes", "rss_bytes", "uss_bytes", "processes", "threads", "open_files"), 0
    )
    made: Any = {**zero, **sizes}
    return TreeMemory(**made, unavailable=unavailable or {})


def test_the_memory_of_a_connection_is_the_growth_of_what_no_stranger_shares() -> None:
    before, after = held(pss_bytes=9_000, own_pss_bytes=5_000), held(pss_bytes=8_500, own_pss_bytes=6_000)
    figures = memory_figures(before, after, connections=10)
    assert figures["baseline_pss_bytes"] == 9_000
    assert figures["connected_pss_bytes"] == 8_500
    assert (figures["baseline_own_pss_bytes"], figures["connected_own_pss_bytes"]) == (5_000, 6_000)
    assert (figures["baseline_rss_bytes"], figures["connected_uss_bytes"]) == (0, 0)
    assert figures["bytes_per_connection"] == 100
    assert cell_unavailable(before, Accounts(memory=HeldMemory(after, after)), 10, {}) == {}


def test_memory_that_was_not_read_is_null() -> None:
    figures = memory_figures(held(pss_bytes=9_000), None, connections=10)
    assert figures["baseline_pss_bytes"] == 9_000
    assert figures["connected_pss_bytes"] is None
    assert figures["bytes_per_connection"] is None
    reasons = cell_unavailable(held(), Accounts(), 10, {"server": None})
    assert {name for name in reasons if name.startswith("memory.connected")} == {
        "memory.connected_pss_bytes",
        "memory.connected_own_pss_bytes",
        "memory.connected_rss_bytes",
        "memory.connected_uss_bytes",
    }
    assert reasons["memory.bytes_per_connection"] == "memory.connected_own_pss_bytes is not known"
    assert reasons["usage.server"] == "it did not end as it should"


def test_memory_that_may_not_be_read_is_null_with_its_reason() -> None:
    secret = held({"pss_bytes": "it is secret", "own_pss_bytes": "it is secret"}, pss_bytes=None, own_pss_bytes=None)
    accounts = Accounts(memory=HeldMemory(secret, held()))
    figures = memory_figures(secret, secret, connections=10)
    assert figures["connected_pss_bytes"] is None
    assert figures["connected_rss_bytes"] == 0
    assert figures["bytes_per_connection"] is None
    reasons = cell_unavailable(secret, accounts, 10, {})
    assert reasons["memory.connected_pss_bytes"] == "it is secret"
    assert reasons["memory.bytes_per_connection"] == "memory.baseline_own_pss_bytes is not known"
    made: Any = record_of([dict(window())])
    (stored,) = cell_windows(made, accounts, APART, LIFE)
    assert stored["server"]["pss_bytes"] is None
    assert stored["unavailable"]["server.pss_bytes"] == "it is secret"
    assert "loadgen.pss_bytes" not in stored["unavailable"]


def test_under_churn_no_connection_is_held_so_none_has_a_size() -> None:
    accounts = Accounts(memory=HeldMemory(held(), held()))
    assert memory_figures(held(), held(), connections=0)["bytes_per_connection"] is None
    assert list(cell_unavailable(held(), accounts, 0, {})) == ["memory.bytes_per_connection"]


def test_gaps_in_the_series_have_their_reason() -> None:
    accounts = Accounts(memory=HeldMemory(held(), held()))
    accounts.series.add(tree(0, 0), tree(0, 0), None, 5)
    reasons = cell_unavailable(held(), accounts, 1, {})
    assert list(reasons) == ["series.server_rss_bytes"]
    assert "more than 100 processes" in reasons["series.server_rss_bytes"]


def test_what_ended_children_had_used_is_a_difference() -> None:
    assert Reaped(2.5, 1.25, 20, 3).since(Reaped(2.0, 1.0, 10, 1)) == {
        "cpu_user_s": 0.5,
        "cpu_system_s": 0.25,
        "voluntary_switches": 10,
        "involuntary_switches": 2,
    }


def test_each_window_has_the_memory_that_was_read_before_it() -> None:
    last = HeldMemory(held(pss_bytes=2), held())
    accounts = Accounts(memory=last, window_memory={0: HeldMemory(held(pss_bytes=1), held()), 1: last})
    made: Any = record_of([dict(window()), dict(window())])
    first, second = cell_windows(made, accounts, APART, LIFE)
    assert (first["server"]["pss_bytes"], second["server"]["pss_bytes"]) == (1, 2)


def test_a_cells_windows_carry_cpus_memory_verdict_and_warnings() -> None:
    opening, closing = ends()
    memory = HeldMemory(held(pss_bytes=9_000, processes=3), held(rss_bytes=70))
    accounts = Accounts({0: opening}, {0: closing}, memory=memory)
    made: Any = record_of([dict(window())])
    (stored,) = cell_windows(made, accounts, APART, LIFE)
    assert stored["server"]["cpus"] == [0]
    assert stored["server"]["pss_bytes"] == 9_000
    assert stored["server"]["processes"] == 3
    assert stored["loadgen"]["cpus"] == [1]
    assert stored["loadgen"]["rss_bytes"] == 70
    assert stored["unavailable"] == {}
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
