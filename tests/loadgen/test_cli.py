"""`python -m loadgen` from outside: stdout, exit codes, sentences."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.schema import LoadRecord
from loadgen.cli import main
from tests.loadgen.peers import Server, serving

ROOT = Path(__file__).parents[2]
SHORT = ("--window", "0.2", "--warmup", "0", "--connections", "4")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server that echoes."""
    with serving() as running:
        yield running


def command(*arguments: str) -> list[str]:
    """Return the command line of the load generator."""
    return [sys.executable, "-m", "loadgen", *arguments]


def run(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the load generator to its end."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, cwd=cwd, check=False, env=environment
    )


def test_with_a_record_stdout_carries_the_events_in_order_and_nothing_else(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    loads = ("--load", "open:500:constant", "--load", "closed")
    done = run(server.url, *SHORT, *loads, "--json", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["connected", "window", "second", "window", "second", "done"]
    record: LoadRecord = json.loads(path.read_text())
    assert record["schema"] == "echobench.load/1"
    assert record.keys() == LoadRecord.__annotations__.keys()
    assert [window["load"] for window in record["windows"]] == ["open:500:constant", "closed"]
    for event, window in zip(events[1:5:2], record["windows"], strict=True):
        assert event["opens_monotonic_ns"] == window["opens_monotonic_ns"]
        assert event["closes_monotonic_ns"] == window["closes_monotonic_ns"]
    assert [event["index"] for event in events[1:5]] == [0, 0, 1, 1]
    assert record["windows"][0]["due"] == 100
    assert (record["connections"], record["generator"]["processes"]) == (4, 1)


def test_without_a_record_stdout_carries_a_summary(server: Server) -> None:
    done = run(server.url, *SHORT, "--load", "open:200")
    assert (done.returncode, done.stderr) == (0, "")
    assert "response time" in done.stdout
    assert "Warning: short" in done.stdout


def test_pinned_and_spinning_the_record_names_the_cpu(server: Server, tmp_path: Path) -> None:
    cpu = str(max(os.sched_getaffinity(0)))
    done = run(server.url, *SHORT, "--cpus", cpu, "--spin", "--json", str(tmp_path / "r.json"))
    assert done.returncode == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert (record["generator"]["cpus"], record["spin"]) == ([int(cpu)], True)


def test_settings_of_locust_that_lie_about_change_nothing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "locust.conf").write_text("run-time = 1\nusers = 9\nload = open:1\n")
    done = run(server.url, *SHORT, "--json", "r.json", cwd=tmp_path, LOCUST_USERS="8", LOCUST_RUN_TIME="1")
    assert done.returncode == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert (record["connections"], record["windows"][0]["load"]) == (4, "closed")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: URL"),
        (["tcp://127.0.0.1"], "URL 'tcp://127.0.0.1' is not tcp://HOST:PORT"),
        (["tcp://127.0.0.1:1", "--mode", "often"], "argument --mode: invalid choice: 'often'"),
        (["tcp://127.0.0.1:1", "--conn", "3"], "unrecognized arguments: --conn 3"),
        (["tcp://127.0.0.1:1", "--connections", "0"], "--connections 0 is not a whole number from 1"),
        (["tcp://127.0.0.1:1", "--window", ""], "--window none is not a number"),
        (["tcp://127.0.0.1:1", "--cpus", "99999"], "can not run on the CPUs 99999"),
        (["tcp://127.0.0.1:1", "--json", "/nowhere/r.json"], "can not write the record to /nowhere/r.json"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Locust would patch the process of the tests.
    monkeypatch.setattr("loadgen.cli._run_locust", lambda _: pytest.fail("no mistake was seen"))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"python -m loadgen: {sentence}")
    assert err.count("\n") == 1


def test_too_few_descriptors_are_said_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert main(["tcp://127.0.0.1:1", "--connections", str(min(hard, (1 << 24) - 1))]) == 2
    assert f"this process may open {hard}" in capsys.readouterr().err


def test_elsewhere_than_on_linux_it_exits_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["tcp://127.0.0.1:1"]) == 3
    assert "needs Linux" in capsys.readouterr().err


def assert_no_result(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    """Check that a run ended with exit code 3 and one sentence."""
    assert done.returncode == 3
    assert done.stderr.startswith(f"python -m loadgen: {sentence}")
    assert done.stderr.count("\n") == 1


def test_a_host_without_an_address_exits_3() -> None:
    assert_no_result(run("tcp://nobody.invalid:1", *SHORT), "no address for nobody.invalid: ")


def test_a_record_that_can_not_be_written_in_the_end_exits_3(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with subprocess.Popen(
        command(server.url, *SHORT, "--json", str(path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # connected: the run goes on
        path.mkdir()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert err.startswith(f"python -m loadgen: can not write the record to {path}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once_without_record_and_traceback(
    server: Server, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    arguments = (server.url, "--window", "60", "--json", str(tmp_path / "r.json"))
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        while '"window"' not in process.stdout.readline():
            pass
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, "")
    assert list(tmp_path.iterdir()) == []


def test_when_nobody_reads_the_events_the_run_ends(server: Server, tmp_path: Path) -> None:
    arguments = (server.url, "--window", "60", "--json", str(tmp_path / "r.json"))
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(20)
        assert process.stderr is not None
        assert process.stderr.read() == "python -m loadgen: nobody reads the events on stdout any more\n"
    assert process.returncode == 3


@pytest.mark.parametrize("waiting", [(), ("--spin",)], ids=["sleeping", "spinning"])
def test_a_generator_that_did_not_run_for_a_while_says_so(
    server: Server, tmp_path: Path, waiting: tuple[str, ...]
) -> None:
    path = tmp_path / "r.json"
    arguments = (server.url, "--load", "open:200:constant", "--warmup", "0", "--window", "0.4", *waiting)
    with subprocess.Popen(
        command(*arguments, "--json", str(path)), stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        opens_ns = next(json.loads(line)["opens_monotonic_ns"] for line in process.stdout if '"window"' in line)
        threading.Event().wait((opens_ns - time.monotonic_ns()) / 1e9 + 0.1)
        process.send_signal(signal.SIGSTOP)
        threading.Event().wait(0.1)
        process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 0
    window = json.loads(path.read_text())["windows"][0]
    assert window["pauses"]["max_ns"] >= 90_000_000
    assert "pauses" in {warning["kind"] for warning in window["warnings"]}
    assert window["due"] == 80
