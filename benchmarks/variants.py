"""The variants of a model under the C client: asyncio's interfaces and loops, the selectors that wait.

    python -m benchmarks variants [--rounds 7] [--seconds 1.5]

64 connections, 64 bytes, closed load, a fresh server for every figure.

**What is measured of asyncio's receive path.** `Protocol` and streams receive by `recv(256 KiB)`. glibc maps memory of
that size at every call and unmaps it after it, as long as its threshold for doing so is 128 KiB and the heap has no
free piece of that size. Whether a fresh process is in that state is luck: it depends on what start-up has freed, down
to how Python was called. So the state is made: `held` keeps the threshold where glibc starts (a threshold that is set
does not move), `came and went` lets one connection end before the load, whose last, empty read moves it. `as started`
is what this machine happens to give. The cause shows beside the figures: page faults a request.
"""

from __future__ import annotations

import importlib.util
import socket
import statistics
from functools import partial
from pathlib import Path

from benchmarks import pairs, programs
from servers.wire._message import HEADER_BYTES, REQUEST, encode

WENT_LEAST = 1.5
HELD = ("env", "MALLOC_MMAP_THRESHOLD_=131072")
BUFFERED, PROTOCOL, STREAMS = "asyncio", "--api protocol", "--api streams"
FRESH, WENT = "threshold held", "one came and went"

Faults = dict[str, list[float]]


def run(rounds: int, seconds: float) -> str:
    """Measure and return the tables as Markdown."""
    header = programs.header("Variants under the reference client, 64 connections, 64 bytes")
    return "\n".join([header, _asyncio(rounds, seconds), "", _selectors(rounds, seconds)])


def _asyncio(rounds: int, seconds: float) -> str:
    faults: Faults = {}
    commands = {
        BUFFERED: (programs.our_server("asyncio"), False),
        f"{PROTOCOL}, as started": (programs.our_server("asyncio", "--api", "protocol"), False),
        f"{PROTOCOL}, {FRESH}": ([*HELD, *programs.our_server("asyncio", "--api", "protocol")], False),
        f"{PROTOCOL}, {WENT}": (programs.our_server("asyncio", "--api", "protocol"), True),
        f"{STREAMS}, {FRESH}": ([*HELD, *programs.our_server("asyncio", "--api", "streams")], False),
        f"{STREAMS}, {WENT}": (programs.our_server("asyncio", "--api", "streams"), True),
    }
    if importlib.util.find_spec("uvloop"):
        commands["--loop uvloop"] = (programs.our_server("asyncio", "--loop", "uvloop"), False)
    figures = pairs.alternate(
        {
            name: partial(_measure, name, command, seconds, faults, came=came)
            for name, (command, came) in commands.items()
        },
        rounds,
    )
    ratios: list[tuple[pairs.Ratio, float | None]] = [
        (pairs.ratio(figures, name, BUFFERED), None) for name in commands if name != BUFFERED
    ]
    for api, least in ((PROTOCOL, WENT_LEAST), (STREAMS, None)):
        ratios.append((pairs.ratio(figures, f"{api}, {WENT}", f"{api}, {FRESH}"), least))
    return pairs.table(figures, ratios) + "\n\n" + _faults_table({name: faults[name] for name in commands})


def _selectors(rounds: int, seconds: float) -> str:
    faults: Faults = {}
    names = [f"--selector {name}" for name in ("epoll", "poll", "select")]
    figures = pairs.alternate(
        {
            name: partial(_measure, name, programs.our_server("selectors", *name.split()), seconds, faults, came=False)
            for name in names
        },
        rounds,
    )
    return pairs.table(figures, [(pairs.ratio(figures, name, names[0]), None) for name in names[1:]])


def _measure(name: str, command: list[str], seconds: float, faults: Faults, *, came: bool) -> float:
    """Return the requests/s of one server; add its page faults a request to `faults`."""
    with programs.running(command) as server:
        if came:
            _come_and_go(server.ready["port"])
        before = _page_faults(server.pid)
        load = programs.reference_load(server.ready["port"], seconds)
        faults.setdefault(name, []).append((_page_faults(server.pid) - before) / load["responses"])
    return float(load["throughput_per_s"])


def _come_and_go(port: int) -> None:
    """Be one connection that asks once, ends, and has seen the server end too: its last read was an empty one."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(encode(REQUEST, 1))
        connection.recv(HEADER_BYTES, socket.MSG_WAITALL)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(HEADER_BYTES):
            pass


def _page_faults(pid: int) -> int:
    """Return the page faults of a process that needed no disk."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def _faults_table(faults: Faults) -> str:
    lines = ["| variant | page faults a request, median |", "|---|---:|"]
    return "\n".join(lines + [f"| {name} | {statistics.median(each):.2f} |" for name, each in faults.items()])
