"""Which CPUs each side gets."""

from __future__ import annotations

import os
import threading

import pytest

from harness.pinning import Pinning, allowed_cpus, parse_pin, physical_cores, resolve_pin, running_on


@pytest.mark.parametrize(
    ("cores", "server", "loadgen"),
    [
        ([[0], [1]], (0,), (1,)),
        ([[0]], (0,), (0,)),
        ([[0, 1]], (0,), (1,)),
        ([[0, 4], [1, 5]], (0, 4), (1, 5)),
        ([[0], [1], [2]], (0,), (1, 2)),
        ([[0], [1], [2], [3]], (0, 1), (2, 3)),
        ([[3], [7]], (3,), (7,)),
    ],
)
def test_auto_gives_the_server_the_first_half_of_the_cores(
    cores: list[list[int]], server: tuple[int, ...], loadgen: tuple[int, ...]
) -> None:
    allowed = sorted(cpu for core in cores for cpu in core)
    assert resolve_pin("auto", allowed, cores) == Pinning(server, loadgen, pinned=True)


def test_one_cpu_is_shared() -> None:
    assert resolve_pin("auto", [5], [[5]]).shared
    assert not resolve_pin("auto", [5, 6], [[5], [6]]).shared


@pytest.mark.parametrize(
    ("cores", "server", "loadgen"),
    [
        ([[0], [1]], (0,), (1,)),
        ([[0, 4], [1, 5]], (0,), (1, 5)),
        ([[0], [1], [2], [3]], (0,), (2, 3)),
        ([[3]], (3,), (3,)),
    ],
)
def test_one_gives_the_server_a_single_cpu_away_from_the_load_generator(
    cores: list[list[int]], server: tuple[int, ...], loadgen: tuple[int, ...]
) -> None:
    allowed = sorted(cpu for core in cores for cpu in core)
    assert resolve_pin("one", allowed, cores) == Pinning(server, loadgen, pinned=True)


def test_none_leaves_both_sides_all_cpus() -> None:
    assert resolve_pin("none", [0, 1], [[0], [1]]) == Pinning((0, 1), (0, 1), pinned=False)


def test_cpus_can_be_named() -> None:
    assert resolve_pin("2,0:4-5", range(6)) == Pinning((0, 2), (4, 5), pinned=True)


def test_a_cpu_that_may_not_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pin '0:7' names CPU 7; this process may use 0,1"):
        resolve_pin("0:7", [0, 1])


@pytest.mark.parametrize("text", ["", "0", "a:b", ":1", "1:", "0:1:2", "3-1:0"])
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_pin(text)


def test_the_cores_of_this_machine_hold_every_cpu_once() -> None:
    cpus = [cpu for core in physical_cores(allowed_cpus()) for cpu in core]
    assert sorted(cpus) == list(allowed_cpus())


def test_threads_started_meanwhile_run_there_too_and_afterwards_all_is_as_before() -> None:
    before = os.sched_getaffinity(0)
    last = allowed_cpus()[-1]
    seen: list[set[int]] = []
    with running_on([last]):
        thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        thread.start()
        thread.join()
    assert seen == [{last}]
    assert os.sched_getaffinity(0) == before
