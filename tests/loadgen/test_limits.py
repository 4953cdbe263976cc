"""Descriptors, CPUs and platform: found wanting before a run, with what to do about it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from loadgen.limits import LimitError, pin, provide_descriptors, require_linux


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    code = (
        "import resource; hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))\n"
        "from loadgen.limits import provide_descriptors; provide_descriptors(100)\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_too_few_descriptors_are_said_with_how_many_there_are_and_how_to_get_more() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with pytest.raises(LimitError, match=rf"{hard} connections need \d+ .* may open {hard}: raise the hard limit"):
        provide_descriptors(hard)


def test_cpus_that_can_not_be_had_are_named() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(LimitError, match="can not run on the CPUs"):
        pin((100_000,))
    assert os.sched_getaffinity(0) == before


def test_pinning_reaches_every_thread() -> None:
    cpu = min(os.sched_getaffinity(0))
    code = (
        "import os, threading; from loadgen.limits import pin\n"
        "stay = threading.Event(); thread = threading.Thread(target=stay.wait); thread.start()\n"
        f"pin(({cpu},))\n"
        f"assert os.sched_getaffinity(0) == os.sched_getaffinity(thread.native_id) == {{{cpu}}}\n"
        "stay.set()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_elsewhere_than_on_linux_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LimitError, match="needs Linux"):
        require_linux()
