"""The models there are, asked from the servers' own list, and one running server a model for the checks to share."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import pytest

from .server_process import ROOT, Server, Target, model_target

# The suite asks Linux what no peer can see: who has read what, who is left. The models themselves run elsewhere too.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]

TRANSPORTS = ("tcp",)  # the stream transports whose messages stand in the stream as they are


@cache
def targets() -> tuple[Target, ...]:
    """Return a target for every model and transport that this machine can have."""
    command = [sys.executable, "-m", "servers", "--list", "--json"]
    found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=30)
    assert found.returncode == 0, f"the servers can't be listed: {found.stderr}"
    listing = json.loads(found.stdout)
    transports = [entry["name"] for entry in listing["transports"] if entry["available"]]
    models = [entry["name"] for entry in listing["models"] if entry["available"]]
    return tuple(
        model_target(model, transport) for model in models for transport in TRANSPORTS if transport in transports
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a `server` once for every model."""
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", targets(), ids=lambda target: target.name, indirect=True, scope="module")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Run one server for all checks of a model; after all that they did to it, it ends as it should."""
    with Server(request.param) as running:
        yield running
        ended = running.stop()
        assert ended.exit_code == 0, f"exit code {ended.exit_code} after all checks, stderr {ended.stderr!r}"
        assert ended.stderr == "", f"said on stderr during all checks: {ended.stderr!r}"
        assert not ended.left, f"left processes {ended.left} after all checks"
