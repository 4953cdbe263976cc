"""The Locust file under plain Locust, and what importing it does (in subprocesses: Locust patches its process)."""

from __future__ import annotations

import csv
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

import loadgen
from tests.loadgen.peers import closed_port, requests, response, serving

ROOT = Path(__file__).parents[2]
IMPORTS_LOCUST = {"loadgen.locustfile", "loadgen.users"}
LOCUST = (sys.executable, "-m", "locust", "-f", str(ROOT / "loadgen" / "locustfile.py"))


@contextmanager
def started(*arguments: str, cwd: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    """Start plain Locust; it does not outlive the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    with subprocess.Popen(
        [*LOCUST, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment
    ) as process:
        deadline = threading.Timer(30, process.kill)
        deadline.start()
        try:
            yield process
        finally:
            deadline.cancel()
            process.kill()


def run(*arguments: str, cwd: Path = ROOT) -> tuple[int, str, str]:
    """Run plain Locust to its end; returns exit code, stdout and stderr."""
    with started(*arguments, cwd=cwd) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def csv_rows(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a statistics file by name."""
    with path.open() as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def forgetful(peer: socket.socket, number: int) -> None:
    """Answer all requests but every hundredth."""
    for count, (header, payload) in enumerate(requests(peer), start=1):
        if count % 100:
            peer.sendall(response(header, payload))


def test_a_headless_run_of_locust_ends_with_its_run_time_and_its_totals_are_the_record_s(tmp_path: Path) -> None:
    """It is started from another folder, so the Locust file must find its package by itself."""
    with serving(forgetful) as server:
        arguments = ("--host", server.url, "-u", "4", "-r", "4", "--headless", "-t", "2s", "--timeout", "0.1")
        own = ("--load", "open:800:constant", "--warmup", "0.2", "--load-record", "r.json", "--csv", "out")
        code, out, _ = run(*arguments, *own, cwd=tmp_path)
    record = json.loads((tmp_path / "r.json").read_text())
    total, echo = (csv_rows(tmp_path / "out_stats.csv")[name] for name in ("Aggregated", "echo"))
    failures = csv_rows(tmp_path / "out_failures.csv")["echo"]
    assert code == 1  # as every Locust run with failed requests
    assert int(total["Request Count"]) == int(echo["Request Count"]) == record["requests_total"]
    assert record["requests_total"] > 500  # a busy machine takes its time to start Locust
    assert int(total["Failure Count"]) == int(failures["Occurrences"]) > 5
    assert failures["Error"] == "timeout"
    mean_ms = record["windows"][0]["response_time_ns"]["mean"] / 1e6
    assert float(echo["Average Response Time"]) == pytest.approx(mean_ms, rel=0.5)  # warm-up and tail are in it too
    assert json.loads(out.splitlines()[-1])["event"] == "done"
    assert 0.5 < record["windows"][0]["window_s"] < 2


def test_with_a_window_the_test_ends_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with serving() as server:
        own = ("--window", "0.2", "--warmup", "0", "--load-record", str(path))
        code, _, err = run("--host", server.url, "-u", "3", "-r", "3", "--headless", *own)
    assert code == 0, err
    assert json.loads(path.read_text())["connections"] == 3


def test_ctrl_c_closes_the_window_of_an_endless_run_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    arguments = ("-u", "2", "-r", "2", "--headless", "--warmup", "0", "--load-record", str(path))
    with serving() as server, started("--host", server.url, *arguments) as process:
        _read_until(process.stdout, '"second"')
        process.send_signal(signal.SIGINT)
        out, err = _rest(process)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["event"] == "done"
    window = json.loads(path.read_text())["windows"][0]
    assert window["window_s"] >= 1
    assert window["answered"] == window["due"] > 0


def test_a_window_that_the_run_time_cuts_short_is_no_result() -> None:
    with serving() as server:
        code, out, err = run("--host", server.url, "-u", "1", "--headless", "-t", "1s", "--window", "60")
    assert code == 3
    assert "the test was stopped before its windows were measured, so there is no record" in err
    assert out == ""


def test_a_mistake_on_locust_s_command_line_is_one_sentence_and_exit_code_2() -> None:
    code, _, err = run("--host", "http://127.0.0.1:1", "--headless", "--loglevel", "ERROR")
    assert code == 2
    forms = "tcp://HOST:PORT, udp://HOST:PORT or ws://HOST:PORT/PATH"
    assert err == f"python -m loadgen: URL 'http://127.0.0.1:1' is not {forms}\n"


def test_workers_report_every_request_to_their_master(tmp_path: Path) -> None:
    answered = []

    def counting(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer):
            peer.sendall(response(header, payload))
            answered.append(number)

    port = str(closed_port())
    with serving(counting) as server:
        several = ("--processes", "2", "--master-bind-port", port, "--master-port", port)
        arguments = (
            "--host",
            server.url,
            "-u",
            "4",
            "-r",
            "4",
            "--headless",
            "-t",
            "2s",
            "--csv",
            str(tmp_path / "out"),
        )
        code, _, err = run(*arguments, *several)
    assert code == 0, err
    assert int(csv_rows(tmp_path / "out_stats.csv")["Aggregated"]["Request Count"]) == len(answered)


def post(url: str, **form: object) -> None:
    """Send a form to the web interface."""
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data, timeout=10) as reply:
        assert reply.status == 200


@pytest.mark.parametrize("processes", [0, pytest.param(2, marks=pytest.mark.long)])
def test_the_web_interface_starts_and_stops_tests_with_changed_options(processes: int) -> None:
    port, master_port = closed_port(), str(closed_port())
    ui = f"http://127.0.0.1:{port}"
    several = ("--processes", str(processes), "--master-bind-port", master_port, "--master-port", master_port)
    arguments = ("--web-host", "127.0.0.1", "--web-port", str(port), *(several if processes else ()))
    with serving() as server, started(*arguments) as process:
        common = {"host": server.url, "user_count": 2, "spawn_rate": 2, "warmup": 0}
        _wait_for_stats(ui, lambda stats: len(stats.get("workers", [])) == processes)
        post(f"{ui}/swarm", **common, load="nonsense")
        _wait_for_stats(ui, lambda stats: stats["state"] == "stopped")
        post(f"{ui}/swarm", **common, load="closed", window="", payload=7)
        _wait_for_stats(ui, lambda stats: any(row["num_requests"] for row in stats["stats"]))
        post(f"{ui}/stop")
        _read_until(process.stdout, ", 7 bytes, pipeline 1")
        post(f"{ui}/swarm", **common, load="open:100,closed", window=0.2, payload=9)
        _read_until(process.stdout, ", 9 bytes, pipeline 1")
        process.send_signal(signal.SIGINT)
        out, err = _rest(process)
    assert "open:100 for 0.2 s" in out
    assert "closed for 0.2 s" in out
    assert "load 'nonsense' is not one of" in err
    assert "Traceback" not in err


def _rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what a process still writes until it ends; `communicate` would miss what was read ahead."""
    assert process.stdout is not None
    assert process.stderr is not None
    rest = process.stdout.read(), process.stderr.read()
    process.wait()
    return rest


def _read_until(stream: IO[str] | None, text: str) -> None:
    assert stream is not None
    assert any(text in line for line in stream), f"the output ended without {text!r}"


def _wait_for_stats(ui: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until the web interface is up and its figures fulfil a condition."""
    deadline, stats = time.monotonic() + 20, None
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{ui}/stats/requests", timeout=10) as reply:
                stats = json.load(reply)
            if condition(stats):
                return
        except urllib.error.URLError:  # it is not up yet
            stats = None
        time.sleep(0.05)
    pytest.fail(f"the web interface does not get there: {stats}")


def test_only_the_locust_file_and_its_users_patch_the_process() -> None:
    modules = {module.name for module in pkgutil.walk_packages(loadgen.__path__, "loadgen.")} - IMPORTS_LOCUST
    assert len(modules) > 15
    wanted = [name for name in sorted(modules) if not name.startswith(("loadgen.__main__", "loadgen.examples"))]
    code = (
        f"import importlib, select, socket, sys\nplain = select.epoll, socket.socket\n"
        f"for name in {wanted}: importlib.import_module(name)\n"
        f"assert (select.epoll, socket.socket) == plain\nassert 'locust' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_the_locust_file_opens_nothing_that_a_fork_would_share() -> None:
    code = (
        "import locust, os\nbefore = set(os.listdir('/proc/self/fd'))\n"
        "import loadgen.locustfile\nassert set(os.listdir('/proc/self/fd')) == before"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
