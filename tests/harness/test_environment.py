"""What is recorded of the machine, and what must not be."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from pathlib import Path

from harness import environment
from harness.environment import (
    anonymous,
    code_hash,
    malloc_and_python_variables,
    read_environment,
    what_must_not_change,
)


def test_an_environment_says_what_the_figures_depend_on() -> None:
    known = read_environment()
    assert known["cpu"]["count"] == os.cpu_count()
    assert known["cpu"]["allowed"] == sorted(os.sched_getaffinity(0))
    assert known["kernel"].startswith("Linux ")
    assert known["python"] == ".".join(map(str, sys.version_info[:3]))
    assert known["packages"]["locust"]
    assert known["limits"]["open_files"][0] > 0
    assert known["sysctl"]["net.core.somaxconn"].isdecimal()
    assert known["started"].endswith("Z")
    assert json.loads(json.dumps(known)) == known


def test_an_environment_names_no_host_no_home_and_no_folder() -> None:
    text = json.dumps(read_environment())
    home = str(Path.home())
    assert [word for word in (socket.gethostname(), home, str(environment.ROOT)) if f'"{word}' in text] == []
    assert f"/{getpass.getuser()}/" not in text


def test_commit_and_dirty_flag_are_only_known_in_a_checkout() -> None:
    git = read_environment()["git"]
    if (environment.ROOT / ".git").exists():
        assert len(git["commit"]) == 40
        assert isinstance(git["dirty"], bool)
    else:
        assert git is None


def test_the_hash_of_a_program_changes_with_its_code() -> None:
    assert code_hash("harness") == code_hash("harness")
    assert code_hash("harness") != code_hash("servers")


def test_runs_are_compared_by_machine_system_interpreter_and_code() -> None:
    known = read_environment()
    later = {**known, "started": "later", "load_average": [9.0, 9.0, 9.0], "git": None}
    assert what_must_not_change(later) == what_must_not_change(known)
    for change in (
        {"kernel": "Linux 99"},
        {"python": "3.99"},
        {"code": {}},
        {"interpreters": {"3.13": {}}},
        {"cpu": {**known["cpu"], "allowed": [7]}},
    ):
        assert what_must_not_change({**known, **change}) != what_must_not_change(known)


def test_variables_of_malloc_and_python_are_kept_without_folders() -> None:
    variables = {
        "MALLOC_ARENA_MAX": "1",
        "LD_PRELOAD": "/home/someone/lib/libjemalloc.so:/usr/lib/other.so",
        "PYTHONPATH": "/home/someone/src",
        "HOME": "/home/someone",
        "AWS_SECRET": "x",
    }
    assert malloc_and_python_variables(variables) == {
        "LD_PRELOAD": "libjemalloc.so:other.so",
        "MALLOC_ARENA_MAX": "1",
        "PYTHONPATH": "src",
    }


def test_stored_texts_do_not_tell_where_things_are_installed() -> None:
    home = Path.home()
    text = f"{sys.executable} {environment.ROOT}/servers/x.py {environment.ROOT} {home}/echo.js"
    assert anonymous(text) == "python servers/x.py . ~/echo.js"
