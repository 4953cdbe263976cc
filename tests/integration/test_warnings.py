"""Each doubt about a window, provoked: a server that gives rise to it is measured as any other, and the cell says so.

A run measures those of one load, a cell each. Not here, since no server can give rise to it: `steal` (the hypervisor's)
and `pauses` (the machine's; `tests/loadgen/test_cli.py` stops the load generator), `near_ceiling` (`tests/harness`). A
server that dies while the load runs fails its cell (`tests/harness/test_cell.py`); `server_died` is what is left to say
about one that dies in the moment between the load's end and SIGTERM.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("troubled_server.py")


class Doubt(NamedTuple):
    """What a server does, the load under which it shows, and the warning that must be there."""

    trouble: str
    load: str
    warning: str
    transport: str = "tcp"


DOUBTS = (
    Doubt("too-slow", "open:200", "schedule_missed"),
    Doubt("closes", "open:200", "errors"),
    Doubt("forgets", "open:200", "unanswered"),
    Doubt("miscounts", "closed", "count_mismatch"),
    Doubt("stalls", "closed", "stalled_connections"),
    Doubt("favours", "closed", "unfair"),
    Doubt("runs-over", "open:2000", "kernel_drops", "udp"),
    Doubt("is-hardly-used", "open:50", "short"),
)
NO_TROUBLE = "none"


@pytest.fixture(scope="module")
def warnings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Measure all of them in one run; return the kinds of warnings by trouble."""
    folder = tmp_path_factory.mktemp("doubts")
    found: dict[str, set[str]] = {}
    for load in sorted({doubt.load for doubt in DOUBTS}):
        plan = folder / f"{load.replace(':', '-')}.toml"
        plan.write_text(_plan(load, [doubt for doubt in DOUBTS if doubt.load == load]))
        command = [sys.executable, "-m", "harness", "run", str(plan), "--results", str(folder / "runs")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode in {0, 1}, done.stderr
    for path in folder.glob("runs/*/cells/*.json"):
        cell: dict[str, Any] = json.loads(path.read_text())
        trouble = cell["scenario"]["model"].removeprefix("server-")
        kinds = {warning["kind"] for window in cell["windows"] for warning in window["warnings"]}
        found[trouble] = found.get(trouble, set()) | kinds
    return found


def _plan(load: str, doubts: list[Doubt]) -> str:
    servers = [(doubt.trouble, doubt.transport) for doubt in doubts]
    if load == "closed":
        servers.append((NO_TROUBLE, "tcp"))
    tables = "".join(
        f"[servers.server-{trouble}]\n"
        f"command = {json.dumps([sys.executable, str(SERVER), trouble, transport])}\n"
        f'transports = ["{transport}"]\n'
        for trouble, transport in servers
    )
    models = json.dumps([f"server-{trouble}" for trouble, _ in servers])
    transports = json.dumps(sorted({transport for _, transport in servers}))
    return f"""
name = "doubts"
rounds = 1
[defaults]
connections = 4
timeout_s = 0.2
warmup_s = 0.2
window_s = 0.6
loads = ["{load}"]
pin = "none"
[matrix]
model = {models}
transport = {transports}
{tables}"""


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: doubt.warning)
def test_a_server_that_gives_rise_to_a_doubt_is_doubted(warnings: dict[str, set[str]], doubt: Doubt) -> None:
    assert doubt.warning in warnings[doubt.trouble]


def test_a_server_without_trouble_is_doubted_for_nothing_that_it_does(warnings: dict[str, set[str]]) -> None:
    assert warnings[NO_TROUBLE] <= {"pauses", "steal"}, "what the machine does is not the server's"
