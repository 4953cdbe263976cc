"""One table of faults, on every transport, under closed and open load: the record holds what the server did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from harness.schema import ErrorKind
from tests.loadgen.mischief import (
    FIRST_AT,
    ONCE_IN,
    Inside,
    LoadShape,
    Mischief,
    Silencer,
    Swapper,
    corrupt,
    drop,
    twice,
)
from tests.loadgen.peers import TRANSPORTS, answering
from tests.loadgen.runs import Bulletin, Run, carry

RATE_PER_S = 3000
CONNECTIONS = 4
TIMEOUT_S = 0.3
TIMED_OUT = {"tcp": "timeout", "ws": "timeout", "udp": "lost"}
LOADS = {"closed": LoadShape(), "open": LoadShape(rate_per_s=RATE_PER_S)}


@dataclass(frozen=True)
class Fault:
    """What a server does wrong, and what the record must hold for each time, by transport."""

    make: Callable[[Inside], Mischief | Swapper]
    stream: dict[str, int]
    datagram: dict[str, int]
    pipeline: int = 1


FAULTS = {
    "corrupts": Fault(
        lambda inside: Mischief(inside, corrupt),
        stream={"corrupt": 1, "unanswered": 1},
        datagram={"corrupt": 1, "unanswered": 1},
    ),
    "drops": Fault(
        lambda inside: Mischief(inside, drop),
        stream={"timeout": 1, "unanswered": 1},
        datagram={"lost": 1, "unanswered": 1},
    ),
    # A byte stream that says something twice, or in another order, is wrong. Datagrams do so on their way.
    "answers twice": Fault(
        lambda inside: Mischief(inside, twice),
        stream={"duplicates": 1, "corrupt": 1},
        datagram={"duplicates": 1},
    ),
    "swaps two": Fault(
        Swapper,
        stream={"reordered": 1, "corrupt": 1, "unanswered": 1},
        datagram={"reordered": 1},
        pipeline=4,  # a connection that has one request outstanding has nothing to swap
    ),
}


def counts(run: Run, transport: str) -> dict[str, int]:
    """Return everything of a window that is not as it should be and was the server's doing.

    What came late was held up by the machine for longer than the time-out: it was answered, and not by mistake.
    """
    window: Any = run.window
    found = Counter(window["errors"])
    found.update({name: window[name] for name in ("lost", "unanswered", "duplicates", "reordered")})
    found.subtract({TIMED_OUT[transport]: window["late"], "unanswered": window["late"]})
    return {kind: count for kind, count in found.items() if count}


def run_against(server_of: Callable[[Inside, Bulletin], Any], transport: str, load: str, pipeline: int) -> Any:
    """Run a load against a server of the tests; returns what was found and the server."""
    bulletin = Bulletin()
    shape = LOADS[load] if load == "open" else LoadShape(pipeline=pipeline)
    server_side = server_of(Inside(bulletin, shape), bulletin)
    loads = [load if load == "closed" else f"open:{RATE_PER_S}:constant"]
    with answering(transport, server_side) as server:
        changes = {"load": loads, "pipeline": shape.pipeline, "timeout": TIMEOUT_S, "window": 0.4}
        return carry(server.url, CONNECTIONS, bulletin, **changes), server_side


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", FAULTS)
def test_the_record_holds_exactly_what_the_server_did_wrong(name: str, transport: str, load: str) -> None:
    fault = FAULTS[name]
    run, server = run_against(lambda inside, _: fault.make(inside), transport, load, fault.pipeline)
    expected = fault.datagram if transport == "udp" else fault.stream
    assert server.done >= 1
    assert server.done == (server.counted + ONCE_IN - FIRST_AT) // ONCE_IN
    assert counts(run, transport) == {kind: times * server.done for kind, times in expected.items()}
    assert run.window["answered"] == run.window["due"] - run.window["unanswered"]
    assert run.window["fairness"]["stalled_connections"] == 0


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_connection_that_falls_silent_loses_exactly_its_own_requests(transport: str, load: str) -> None:
    run, server = run_against(Silencer, transport, load, 1)
    assert run.life.failures == {ErrorKind.TIMEOUT: server.done + run.window["late"]}
    kind = TIMED_OUT[transport]
    assert counts(run, transport).keys() == {kind, "unanswered"}
    # What the server received after the window had closed was mostly, but not certainly, due after it.
    found = counts(run, transport)
    assert 1 <= server.done_while_open <= found[kind] == found["unanswered"] <= server.done
