"""The sampler: both ends of a window, memory outside of windows, a time series that keeps to its budget."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from harness import sampler as module
from harness.accounts import Accounts
from harness.cputime import TreeClock
from harness.sampler import Sampler
from tests.harness.programs import Program, eventually

BUSY = "print('there', flush=True)\nwhile True: pass"
GROWING = """
print("there", flush=True)
input()
hoard = bytearray(b"x") * 20_000_000
print("grown", flush=True)
input()
"""
IDLE = "print('there', flush=True); input()"


@pytest.fixture
def busy() -> Iterator[Program]:
    """Run a program that uses a CPU."""
    with Program(BUSY) as program:
        yield program


@pytest.fixture
def idle() -> Iterator[Program]:
    """Run a program that uses none."""
    with Program(IDLE) as program:
        yield program


def read_window(sampler: Sampler, opens_in_s: float = 0.06, window_s: float = 0.1) -> tuple[int, int]:
    """Announce a window, wait until it has passed, and return its ends."""
    opens_ns = time.monotonic_ns() + int(opens_in_s * 1e9)
    closes_ns = opens_ns + int(window_s * 1e9)
    sampler.announce(0, opens_ns, closes_ns)
    return opens_ns, closes_ns


def closed(accounts: Accounts) -> bool:
    """Tell whether the first window's closing was read."""
    return 0 in accounts.closings


def test_both_ends_are_read_at_their_instants_for_both_sides(busy: Program, idle: Program) -> None:
    with Sampler(busy.pid, idle.pid) as sampler:
        opens_ns, closes_ns = read_window(sampler)
        eventually(lambda: closed(sampler.accounts), "the closing is read")
        accounts = sampler.stop()
    opening, closing = accounts.openings[0], accounts.closings[0]
    assert (opening.due_monotonic_ns, closing.due_monotonic_ns) == (opens_ns, closes_ns)
    assert opening.server.at_monotonic_ns >= opens_ns
    assert closing.server.at_monotonic_ns >= closes_ns
    assert closing.server.total_ns > opening.server.total_ns
    assert closing.loadgen.total_ns == opening.loadgen.total_ns
    assert opening.threads_at_ns < opening.server.at_monotonic_ns
    assert closing.threads_at_ns > closing.server.at_monotonic_ns
    assert [len(end.server_threads) for end in (opening, closing)] == [1, 1]
    assert [len(end.loadgen_threads) for end in (opening, closing)] == [1, 1]


def test_what_reading_costs_is_kept_with_every_window_and_for_the_whole(busy: Program, idle: Program) -> None:
    with Sampler(busy.pid, idle.pid) as sampler:
        read_window(sampler)
        eventually(lambda: closed(sampler.accounts), "the closing is read")
        accounts = sampler.stop()
    spent_s = accounts.closings[0].spent_s - accounts.openings[0].spent_s
    assert 0 < spent_s <= accounts.spent_s < accounts.lived_s


def test_a_window_that_is_announced_too_late_is_read_all_the_same(busy: Program, idle: Program) -> None:
    with Sampler(busy.pid, idle.pid) as sampler:
        opens_ns, _ = read_window(sampler, opens_in_s=-0.05, window_s=0.1)
        eventually(lambda: closed(sampler.accounts), "the closing is read")
        accounts = sampler.stop()
    assert accounts.openings[0].server.at_monotonic_ns - opens_ns >= 50_000_000


def test_memory_is_read_when_all_connections_are_up_and_again_before_a_window(idle: Program) -> None:
    with Program(GROWING) as server, Sampler(server.pid, idle.pid) as sampler:
        sampler.connected()
        eventually(lambda: sampler.accounts.memory.server is not None, "memory is read")
        first = sampler.accounts.memory
        assert server.tell() == "grown"
        read_window(sampler, opens_in_s=0.3)
        eventually(lambda: closed(sampler.accounts), "the closing is read")
        accounts = sampler.stop()
    last = accounts.memory
    assert accounts.window_memory == {0: last}
    assert first.server is not None
    assert first.server.own_pss_bytes is not None
    assert last.server is not None
    assert last.server.own_pss_bytes is not None
    assert last.server.own_pss_bytes - first.server.own_pss_bytes > 19_000_000
    assert last.loadgen is not None
    assert last.loadgen.processes == 1


def test_memory_is_not_read_in_a_window_nor_after_the_last(busy: Program, idle: Program) -> None:
    with Sampler(busy.pid, idle.pid) as sampler:
        read_window(sampler, opens_in_s=0.03)
        sampler.connected()
        eventually(lambda: closed(sampler.accounts), "the closing is read")
        samples = len(sampler.accounts.series.monotonic_ns)
        eventually(lambda: len(sampler.accounts.series.monotonic_ns) >= samples + 3, "some time has passed")
        assert sampler.stop().memory.server is None


def test_memory_is_read_again_between_two_windows(busy: Program, idle: Program) -> None:
    with Sampler(busy.pid, idle.pid) as sampler:
        read_window(sampler, opens_in_s=0.03)
        sampler.connected()
        eventually(lambda: closed(sampler.accounts), "the closing is read")
        assert sampler.accounts.memory.server is None
        sampler.announce(1, time.monotonic_ns() + 200_000_000, time.monotonic_ns() + 600_000_000_000)
        eventually(lambda: 1 in sampler.accounts.window_memory, "the second window's opening is read")
        read = sampler.stop().window_memory[1].server
        assert read is not None
        assert read.pss_bytes


def test_the_series_has_one_value_a_column_and_sample(busy: Program, idle: Program) -> None:
    with Sampler(busy.pid, idle.pid) as sampler:
        eventually(lambda: len(sampler.accounts.series.monotonic_ns) >= 3, "three samples are taken")
        series = sampler.stop().series.as_dict()
    assert list(series) == [
        "every_s",
        "monotonic_ns",
        "server_cpu_s",
        "loadgen_cpu_s",
        "processes",
        "threads",
        "server_rss_bytes",
        "loadgen_rss_bytes",
    ]
    columns = [column for name, column in series.items() if name != "every_s"]
    assert {len(column) for column in columns} == {len(series["monotonic_ns"])}
    assert series["server_cpu_s"] == sorted(series["server_cpu_s"])
    assert series["server_cpu_s"][-1] > series["server_cpu_s"][0]
    assert set(series["processes"]) == {1}
    assert all(rss_bytes > 1_000_000 for rss_bytes in series["server_rss_bytes"] + series["loadgen_rss_bytes"])


def test_the_series_has_no_memory_of_large_trees(busy: Program, idle: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RSS_PROCESSES_MOST", 0)
    with Sampler(busy.pid, idle.pid) as sampler:
        eventually(lambda: len(sampler.accounts.series.monotonic_ns) >= 1, "a sample is taken")
        series = sampler.stop().series
    assert set(series.server_rss_bytes) == {None}


def test_a_series_that_costs_more_is_taken_less_often(
    busy: Program, idle: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1_000))
    monkeypatch.setattr(time, "thread_time", lambda: next(seconds) / 50)  # a sample costs 20 ms
    with Sampler(busy.pid, idle.pid) as sampler:
        eventually(lambda: len(sampler.accounts.series.monotonic_ns) == 1, "a sample is taken")
        series = sampler.stop().series
    assert series.slowest_every_s == pytest.approx(0.02 / module.BUDGET, abs=0.001)


def test_what_goes_wrong_in_the_thread_is_raised_where_it_is_stopped(
    busy: Program, idle: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor_left(clock: TreeClock, at_monotonic_ns: int = 0, *, split: bool = True) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(TreeClock, "read", no_descriptor_left)
    with Sampler(busy.pid, idle.pid) as sampler:
        eventually(lambda: not sampler.is_reading, "the thread has ended")
        with pytest.raises(OSError, match="Too many open files"):
            sampler.stop()


def test_stopping_does_not_wait_for_windows_that_were_announced(busy: Program, idle: Program) -> None:
    with Sampler(busy.pid, idle.pid) as sampler:
        read_window(sampler, opens_in_s=600)
        accounts = sampler.stop()
    assert accounts.openings == {}
