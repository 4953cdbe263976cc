"""`TcpUser` in a Locust file written by hand (run by Locust itself, in a subprocess)."""

from __future__ import annotations

import csv
import socket
import subprocess
import sys
from pathlib import Path

from tests.loadgen.peers import Behaviour, echo, requests, response, serving

ROOT = Path(__file__).parents[2]
LOCUST = (sys.executable, "-m", "locust", "-f")
ONE_ECHO = """
from locust import task
from locust.exception import StopTest
from loadgen.users import TcpUser

class One(TcpUser):
    @task
    def ask(self):
        print([self.client.echo(b"first"), self.client.echo(b"", name="second"), self.client.echo(b"third")])
        self.environment.runner.quit()
"""


def run(file: Path, behaviour: Behaviour, *arguments: str) -> tuple[str, dict[str, dict[str, str]]]:
    """Run a Locust file; returns stdout and the rows of its statistics by name."""
    prefix = file.with_suffix("")
    with serving(behaviour) as server:
        done = subprocess.run(
            [*LOCUST, str(file), "--host", server.url, "--headless", "--csv", str(prefix), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            check=False,
        )
    assert "Traceback" not in done.stderr, done.stderr
    with Path(f"{prefix}_stats.csv").open() as rows:
        return done.stdout, {row["Name"]: row for row in csv.DictReader(rows)}


def one_echo(folder: Path) -> Path:
    """Write a scenario that sends three requests and ends."""
    file = folder / "scenario.py"
    file.write_text(ONE_ECHO)
    return file


def test_an_echo_returns_the_payload(tmp_path: Path) -> None:
    out, _ = run(one_echo(tmp_path), echo)
    assert out == "[b'first', b'', b'third']\n"


def test_a_wrong_reply_is_a_failure_and_the_next_request_gets_a_new_connection(tmp_path: Path) -> None:
    def garbles_the_first(peer: socket.socket, number: int) -> None:
        for header, payload in requests(peer):
            peer.sendall(response(header, b"f1rst" if number == 0 else payload))

    out, _ = run(one_echo(tmp_path), garbles_the_first)
    assert out == "[None, b'', b'third']\n"


def test_a_connection_that_ends_is_a_failure(tmp_path: Path) -> None:
    def answers_two(peer: socket.socket, number: int) -> None:
        for count, (header, payload) in enumerate(requests(peer)):
            if count == 2:
                return
            peer.sendall(response(header, payload))

    out, _ = run(one_echo(tmp_path), answers_two)
    assert out == "[b'first', b'', None]\n"


def test_the_example_runs_and_shows_both_requests_in_locust_s_statistics(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text((ROOT / "loadgen" / "examples" / "mixed_payloads.py").read_text())
    _, rows = run(file, echo, "-u", "8", "-r", "8", "-t", "2s")
    assert int(rows["small"]["Request Count"]) > int(rows["large"]["Request Count"]) > 0
    assert float(rows["large"]["Average Content Size"]) == 4096
    assert rows["small"]["Failure Count"] == "0"
