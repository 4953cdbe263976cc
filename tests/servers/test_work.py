"""`--work`: what it may say, what it is refused for, and that the CPU is really used."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers.work import FORMS, Work, parse_work

ROOT = Path(__file__).resolve().parents[2]


def test_echo_is_no_work() -> None:
    assert parse_work("echo") is None


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("cpu:100us", Work(cpu_ns=100_000)),
        ("cpu:1.5ms", Work(cpu_ns=1_500_000)),
        ("wait:5ms", Work(wait_s=0.005)),
        ("wait:2s", Work(wait_s=2.0)),
        ("cpu:100us+wait:5ms", Work(cpu_ns=100_000, wait_s=0.005)),
        ("cpu:60s+wait:60s", Work(cpu_ns=60_000_000_000, wait_s=60.0)),
        ("cpu:0.001us", Work(cpu_ns=1)),
    ],
)
def test_what_a_request_costs_is_said_in_a_word(text: str, work: Work) -> None:
    assert parse_work(text) == work


BAD = [
    "",
    "Echo",
    "cpu",
    "cpu:",
    "cpu:5",
    "cpu:ms",
    "cpu:5 ms",
    "cpu:5min",
    "cpu:5ns",
    "cpu:-5ms",
    "cpu:.5ms",
    "cpu:5.ms",
    "cpu:1e3us",
    "cpu:nans",
    "cpu:infs",
    "cpu:5ms\n",
    "cpu:٣ms",
    "cpu:0ms",
    "cpu:0.0001us",
    "wait:61s",
    "wait:60.1s",
    "wait:" + "9" * 400 + "s",
    "sleep:5ms",
    "echo+wait:5ms",
    "wait:5ms+cpu:5ms",
    "cpu:5ms+cpu:5ms",
    "wait:5ms+wait:5ms",
    "cpu:5ms+wait:5ms+wait:5ms",
    "cpu:5ms+",
    "+wait:5ms",
    "cpu:0ms+wait:5ms",
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_work_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(ValueError, match="is not echo, cpu:TIME") as refused:
        parse_work(text)
    assert str(refused.value) == f"{text!r} is not {FORMS}"


@pytest.mark.parametrize("text", ["cpu:5", "wait:61s", "wait:5ms+cpu:5ms", "wait:" + "9" * 400 + "s"])
def test_a_server_with_a_work_that_makes_no_sense_ends_with_one_sentence_and_2(text: str) -> None:
    command = [sys.executable, "-m", "servers", "--model", "fork", "--transport", "tcp", "--work", text]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        f"python -m servers: argument --work: {text!r} is not {FORMS}; see python -m servers --help"
    ]


def test_cpu_work_uses_the_threads_cpu_for_as_long() -> None:
    before_ns = time.thread_time_ns()
    Work(cpu_ns=3_000_000).do()
    assert time.thread_time_ns() - before_ns >= 3_000_000


def test_waiting_comes_after_the_cpu_and_lasts_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []
    monkeypatch.setattr("servers.work.Work.spin", lambda _work: events.append("cpu"))
    monkeypatch.setattr("time.sleep", events.append)
    Work(cpu_ns=1, wait_s=7.0).do()
    assert events == ["cpu", 7.0]
