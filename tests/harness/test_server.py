"""One server's life: ready, stopped, or why not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from harness.bench import Bench, Deadlines
from harness.failure import CellFailure, describe_exit
from harness.interpreters import Interpreter
from harness.matrix import ForeignServer
from harness.schema import ServerOutcome
from harness.server import ServerStart, new_outcome, running_server, server_start, stop_server
from tests.harness.programs import ALLOWED_CPUS, is_gone, make_scenario, python

READY = {"event": "ready", "schema": "echobench.server/1", "host": "127.0.0.1", "port": 9}

PYPY = Interpreter("/opt/pypy3.11", (3, 11, 9), "PyPy", "GCC", free_threaded=False, gil=True)


def ours(model: str, bench: Bench) -> ServerStart:
    """Return how one of the fake servers is started."""
    return server_start(make_scenario(model=model), None, bench)


def foreign(source: str) -> ServerStart:
    """Return how a program written on the spot is started as a server that is not ours."""
    return ServerStart(tuple(python(source)), None, ours=False)


def failure(start: ServerStart, bench: Bench, outcome: ServerOutcome | None = None) -> str:
    """Return why a server's life failed."""
    known = outcome or new_outcome(start)
    pids = []

    def live() -> None:
        with running_server(start, ALLOWED_CPUS, bench, known) as child:
            pids.append(child.pid)
            stop_server(child, start, bench, known)

    with pytest.raises(CellFailure) as failed:
        live()
    assert all(is_gone(pid) for pid in pids)
    return str(failed.value)


def test_a_good_server_says_ready_and_stopped(bench: Bench) -> None:
    start = ours("good", bench)
    outcome = new_outcome(start)
    with running_server(start, ALLOWED_CPUS, bench, outcome) as child:
        assert not is_gone(child.pid)
        stop_server(child, start, bench, outcome)
    assert outcome["ready"] is not None
    assert outcome["ready"]["port"] > 0
    assert outcome["stopped"] is not None
    assert outcome["stopped"]["messages"] == 0
    assert outcome["exit_code"] == 0


def test_the_command_holds_what_the_scenario_chose(bench: Bench) -> None:
    scenario = make_scenario(workers=3, options=("--backlog", "7"))
    command = server_start(scenario, None, bench).command[len(bench.tools.servers) :]
    words = "--model good --transport tcp --host 127.0.0.1 --workers 3 --port 0 --backlog 7"
    assert command == tuple(words.split())


def test_a_server_of_many_connections_may_take_longer_to_stop(bench: Bench) -> None:
    start, outcome = ours("stubborn", bench), new_outcome(ours("stubborn", bench))
    hurried = replace(bench, deadlines=Deadlines(ready_s=5, stop_s=0.1, cleanup_s=0.1))
    with running_server(start, ALLOWED_CPUS, hurried, outcome) as child, pytest.raises(CellFailure) as failed:
        stop_server(child, start, hurried, outcome, connections=50)
    assert str(failed.value).startswith("the server did not stop within 0.25 s of SIGTERM and was killed")


def test_work_goes_to_the_server_where_there_is_any(bench: Bench) -> None:
    command = server_start(make_scenario(work="cpu:100us"), None, bench).command
    assert " ".join(command).endswith("--host 127.0.0.1 --work cpu:100us --port 0")
    assert "--work" not in server_start(make_scenario(), None, bench).command


def test_another_interpreter_takes_the_place_of_the_harnesss_own(bench: Bench) -> None:
    own, other = (server_start(make_scenario(), None, bench, choice).command for choice in (None, PYPY))
    assert other == ("/opt/pypy3.11", *own[1:])


def test_the_stored_command_names_no_folder_of_the_interpreter(bench: Bench) -> None:
    command = new_outcome(ours("good", bench))["command"]
    assert command[0] == "python"
    assert command[1] == "tests/harness/fake_servers.py"


def test_a_server_that_is_never_ready_is_told_and_ended(bench: Bench) -> None:
    hurried = replace(bench, deadlines=Deadlines(ready_s=0.3))
    assert failure(ours("silent", bench), hurried) == (
        "the server was not ready within 0.3 s; it wrote nothing to stderr"
    )


def test_garbage_in_place_of_the_ready_line_is_quoted(bench: Bench) -> None:
    assert failure(ours("garbage", bench), bench) == (
        "the server printed 'Segmentation fault? Not quite.' where its ready line was expected: "
        'one line of JSON with "event": "ready", "host" and "port"'
    )


def test_one_of_our_servers_that_is_another_than_the_scenarios_is_refused(bench: Bench) -> None:
    start = replace(ours("good", bench), model="asyncio")
    assert "do the plan's options change it?" in failure(start, bench)


def test_a_server_that_ends_before_it_is_ready_is_told_with_its_own_words(bench: Bench) -> None:
    start = ours("refuses", bench)
    outcome = new_outcome(start)
    sentence = failure(start, bench, outcome)
    assert sentence.startswith("the server ended with exit code 2 before it was ready; its stderr ends with: servers: ")
    assert "127.0.0.1:9000 is in use" in sentence
    assert outcome["exit_code"] == 2
    assert "in use" in outcome["stderr_tail"]


def test_a_server_that_ignores_the_signal_is_killed(bench: Bench) -> None:
    hurried = replace(bench, deadlines=Deadlines(ready_s=5, stop_s=0.2))
    assert "did not stop within 0.2 s of SIGTERM and was killed" in failure(ours("stubborn", bench), hurried)


def test_an_exit_code_after_the_signal_is_a_failure(bench: Bench) -> None:
    assert "the server ended with exit code 5 after SIGTERM" in failure(ours("failing", bench), bench)


def test_a_missing_stopped_line_is_a_failure(bench: Bench) -> None:
    assert "the server ended without its stopped line" in failure(ours("careless", bench), bench)


def test_a_server_that_writes_a_megabyte_before_it_is_ready_gets_ready(bench: Bench) -> None:
    start = ours("noisy", bench)
    outcome = new_outcome(start)
    with running_server(start, ALLOWED_CPUS, bench, outcome) as child:
        stop_server(child, start, bench, outcome)
    assert outcome["exit_code"] == 0
    assert set(outcome["stderr_tail"]) == {"x"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({**READY, "schema": "echobench.server/9"}, "is of schema 'echobench.server/9'"),
        ({**READY, "port": 0}, "names no host and port"),
        ({**READY, "port": "9"}, "names no host and port"),
        ({"event": "ready", "port": 9}, "names no host and port"),
        ({"event": "started"}, "where its ready line was expected"),
        ([1, 2], "where its ready line was expected"),
    ],
)
def test_a_ready_line_that_can_not_be_used_is_told(bench: Bench, line: Any, words: str) -> None:
    assert words in failure(foreign(f"import time; print({json.dumps(line)!r}); time.sleep(600)"), bench)


def test_a_foreign_server_need_only_say_where_it_is_and_end_on_the_signal(bench: Bench) -> None:
    line = json.dumps({"event": "ready", "host": "127.0.0.1", "port": 9})
    start = foreign(f"import time; print({line!r}); time.sleep(600)")
    outcome = new_outcome(start)
    with running_server(start, ALLOWED_CPUS, bench, outcome) as child:
        stop_server(child, start, bench, outcome)
    assert outcome["exit_code"] == -15
    assert outcome["stopped"] is None


def test_a_foreign_command_has_places_for_host_port_and_transport(bench: Bench) -> None:
    server = ForeignServer(("serve", "--at={host}:{port}", "{transport}", "{other}"), ("tcp",))
    command = server_start(make_scenario(), server, bench).command
    assert command[0] == "serve"
    host, _, port = command[1].removeprefix("--at=").partition(":")
    assert host == "127.0.0.1"
    assert 1_024 < int(port) < 65_536
    assert command[2:] == ("tcp", "{other}")


def test_a_foreign_server_that_is_not_there_is_told(bench: Bench) -> None:
    start = ServerStart(("/no/such/server",), None, ours=False)
    assert "can't start /no/such/server: No such file or directory" in failure(start, bench)


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (-9, "signal SIGKILL"), (-40, "signal 40"), (None, "no exit code")]
)
def test_an_exit_is_told_in_words(code: int | None, words: str) -> None:
    assert describe_exit(code) == words
