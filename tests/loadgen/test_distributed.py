"""Several processes that carry one load: `--processes`, and Locust's master and workers started by hand."""

from __future__ import annotations

import csv
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

from loadgen.cli import main
from tests.loadgen import ws_bytes
from tests.loadgen.peers import Server, closed_port, response, serving

ROOT = Path(__file__).parents[2]
LOADGEN = (sys.executable, "-m", "loadgen")
LOCUST = (sys.executable, "-m", "locust", "-f", "loadgen/locustfile.py")
DEADLINE_S = 40


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server that echoes."""
    with serving() as running:
        yield running


@contextmanager
def started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a program as the leader of a group of its own; nothing of the group outlives the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run(*command: str) -> tuple[int, str, str]:
    """Run a program to its end; returns exit code, stdout and stderr."""
    with started(command) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out, err


def read_until(stream: IO[str] | None, text: str) -> None:
    """Read lines up to one that holds a text."""
    assert stream is not None
    assert any(text in line for line in stream), f"the output ended without {text!r}"


def workers_of(master: subprocess.Popen[str]) -> list[int]:
    """Return the processes that a master has forked."""
    return [int(pid) for pid in Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()]


@contextmanager
def watched(pids: list[int]) -> Iterator[list[int]]:
    """Hold descriptors of processes, by which their end is seen whoever collects them."""
    descriptors = [os.pidfd_open(pid) for pid in pids]
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def assert_all_end(descriptors: list[int]) -> None:
    """Check that all these processes end soon."""
    deadline = time.monotonic() + 10
    for descriptor in descriptors:
        ended, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert ended, "a worker lives on"


def cpu_lists(record: dict[str, Any]) -> list[list[int]]:
    """Return the CPUs of each worker of a record."""
    return [worker["cpus"] for worker in record["generator"]["workers"]]


@pytest.mark.parametrize("mode", ["persistent", "churn"])
def test_over_websocket_two_processes_make_one_record_with_the_handshakes_of_both(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"

    def echo(peer: socket.socket, number: int) -> None:
        for header, payload in ws_bytes.messages(peer):
            peer.sendall(ws_bytes.frame(response(header, payload)))

    with serving(echo, "ws") as running:
        options = ("--processes", "2", "--connections", "5", "--mode", mode, "--window", "0.3", "--json", str(path))
        code, _, err = run(*LOADGEN, f"{running.url}/path", *options)
    assert (code, err) == (0, "")
    record = json.loads(path.read_text())
    assert (record["windows"][0]["errors"], record["windows"][0]["unanswered"]) == ({}, 0)
    made = 5 if mode == "persistent" else record["requests_total"]
    assert record["connect_time_ns"]["count"] == record["handshake_time_ns"]["count"] == made
    in_window = record["windows"][0]["handshake_time_ns"]
    assert in_window is None if mode == "persistent" else in_window["count"] == record["windows"][0]["due"]


def test_of_handshakes_that_fail_the_master_says_why() -> None:
    def refuse(peer: socket.socket, number: int) -> None:
        ws_bytes.read_request(peer)
        peer.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")

    with serving(refuse, "ws") as running:
        code, _, err = run(*LOADGEN, running.url, "--processes", "2", "--connections", "4", "--window", "0.3")
    assert code == 3
    assert err.splitlines()[-1] == (
        f"python -m loadgen: nothing connected to {running.url} (protocol 4); "
        "the server answered 404 Not Found to the WebSocket handshake"
    )


def test_two_processes_make_one_record_that_agrees_with_the_server_and_with_both(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    cpus = sorted(os.sched_getaffinity(0))[-2:]
    with started((sys.executable, "-m", "servers", "--model", "selectors", "--transport", "tcp")) as ours:
        assert ours.stdout is not None
        port = json.loads(ours.stdout.readline())["port"]
        options = ("--processes", "2", "--connections", "5", "--cpus", ",".join(map(str, cpus)), "--json", str(path))
        loads = ("--load", "closed", "--load", "open:1000:constant", "--window", "0.3", "--warmup", "0.1")
        code, out, err = run(*LOADGEN, f"tcp://127.0.0.1:{port}", *options, *loads)
        ours.send_signal(signal.SIGTERM)
        stopped = json.loads(ours.stdout.readline())
    assert (code, err) == (0, "")
    record = json.loads(path.read_text())
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["connected", "window", "second", "window", "second", "done"]
    assert (events[0]["connections"], record["connections"], record["generator"]["processes"]) == (5, 5, 2)
    workers = record["generator"]["workers"]
    assert sorted(worker["connections"] for worker in workers) == [2, 3]
    assert record["requests_total"] == sum(worker["requests_total"] for worker in workers) == stopped["messages"]
    assert (record["generator"]["cpus"], sorted(cpu_lists(record))) == (cpus, [[cpu] for cpu in cpus])
    for event, second, window in zip(events[1:5:2], events[2:5:2], record["windows"], strict=True):
        assert event["opens_monotonic_ns"] == window["opens_monotonic_ns"]
        assert second["responses"] == window["per_second"][0]["responses"] == window["responses"]
        for name in ("due", "responses", "answered"):
            assert sum(part[name] for part in window["workers"]) == window[name] > 0
        assert window["busy_fraction"] == max(part["busy_fraction"] for part in window["workers"])
    assert record["windows"][1]["due"] == 300


def test_a_master_and_workers_started_by_hand_make_one_record_with_locust_s_totals(
    server: Server, tmp_path: Path
) -> None:
    path, port = tmp_path / "r.json", str(closed_port())
    own = ("--window", "0.3", "--warmup", "0", "--load", "open:400", "--load-record", str(path))
    test = ("--headless", "--expect-workers", "2", "--host", server.url, "-u", "4", "-r", "4", *own)
    files = ("--csv", str(tmp_path / "out"))
    worker = (*LOCUST, "--worker", "--master-port", port)
    with started(worker) as first, started(worker) as second:
        code, out, err = run(*LOCUST, "--master", "--master-bind-port", port, *test, *files)
        for process in (first, second):
            process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 0
    assert code == 0, err
    record = json.loads(path.read_text())
    assert {worker["pid"] for worker in record["generator"]["workers"]} == {first.pid, second.pid}
    assert json.loads(out.splitlines()[-1]) == {
        "event": "done",
        "record": str(path),
        "requests_total": record["requests_total"],
    }
    with (tmp_path / "out_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert int(rows["Aggregated"]["Request Count"]) == int(rows["echo"]["Request Count"]) == record["requests_total"]
    assert record["windows"][0]["answered"] == record["windows"][0]["due"] > 50


SHAPE = """
from locust import LoadTestShape

class Steps(LoadTestShape):
    def tick(self):
        return (2 if self.get_run_time() < 1 else 4, 10) if self.get_run_time() < 2 else None
"""


@pytest.mark.parametrize("several", [True, False], ids=["processes", "one process"])
def test_a_load_shape_makes_one_window_with_a_record(server: Server, tmp_path: Path, several: bool) -> None:
    shape, path, port = tmp_path / "shape.py", tmp_path / "r.json", str(closed_port())
    own = ("--headless", "--host", server.url, "--warmup", "0", "--load-record", str(path))
    if several:
        shape.write_text(SHAPE)
        forks = ("--processes", "2", "--master-bind-port", port, "--master-port", port)
        code, out, err = run(*LOCUST[:-1], f"loadgen/locustfile.py,{shape}", *forks, *own)
    else:
        shape.write_text("from loadgen.locustfile import *\n" + SHAPE)
        code, out, err = run(*LOCUST[:-1], str(shape), *own)
    assert code == 0, err
    window = json.loads(path.read_text())["windows"][0]
    assert window["window_s"] > 0.5
    assert window["answered"] == window["due"] == sum(part["due"] for part in window.get("workers", [window])) > 0
    assert sum(second["responses"] for second in window["per_second"]) == window["responses"]
    assert json.loads(out.splitlines()[-1])["event"] == "done"


def endless(server: Server, folder: Path) -> tuple[str, ...]:
    """Return the command of a run of two processes that does not end by itself."""
    return (*LOADGEN, server.url, "--processes", "2", "--window", "60", "--json", str(folder / "r.json"))


def test_a_worker_that_dies_ends_the_run_with_a_sentence_that_names_it(server: Server, tmp_path: Path) -> None:
    with started(endless(server, tmp_path)) as master:
        read_until(master.stdout, '"window"')
        killed, other = workers_of(master)
        with watched([other]) as descriptors:
            os.kill(killed, signal.SIGKILL)
            _, err = master.communicate(timeout=DEADLINE_S)
            assert_all_end(descriptors)
    assert master.returncode == 3
    assert err.startswith("python -m loadgen: worker ")
    assert f"(process {killed} on " in err
    assert err.endswith("ended in window 0 (closed), so there is no record\n")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_the_terminal_ends_all_processes_at_once_without_a_word(server: Server, tmp_path: Path) -> None:
    with started(endless(server, tmp_path)) as master:
        read_until(master.stdout, '"window"')
        with watched(workers_of(master)) as descriptors:
            os.killpg(master.pid, signal.SIGINT)
            _, err = master.communicate(timeout=DEADLINE_S)
            assert_all_end(descriptors)
    assert (master.returncode, err) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_workers_do_not_outlive_a_master_that_was_killed(server: Server, tmp_path: Path) -> None:
    with started(endless(server, tmp_path)) as master:
        read_until(master.stdout, '"window"')
        with watched(workers_of(master)) as descriptors:
            assert len(descriptors) == 2
            master.kill()
            assert_all_end(descriptors)


@pytest.mark.parametrize(
    ("processes", "sentence"),
    [
        ("9", "--processes 9 are more than the 4 --connections"),
        ("0", "--processes 0 is not a whole number from 1 to 1024"),
        ("1025", "--processes 1025 is not a whole number from 1 to 1024"),
    ],
)
def test_a_number_of_processes_that_makes_no_sense_is_a_usage_error(
    processes: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tcp://127.0.0.1:1", "--connections", "4", "--processes", processes]) == 2
    assert capsys.readouterr().err.startswith(f"python -m loadgen: {sentence}")
