"""The suite is tested itself: a correct server passes every check, and each broken one fails the checks that it should.

Every check is failed by at least one broken server: a check that can't fail is none.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from .catalogue import checks_for
from .checking import check_target, names_for
from .faults_and_checks import BROKEN, Broken
from .server_process import Server
from .targets import TRANSPORTS, Target

FOLDER = Path(__file__).parent / "broken"
# Waiting for what a broken server never does: short, and long compared with what it does.
PATIENCE_S = 1.0
AT_A_TIME = 6
CORRECT = [(transport, name) for transport in TRANSPORTS for name in names_for(transport)]

Correct = tuple[str, str]


def tiny(transport: str, *options: str, patience_s: float = 10.0) -> Target:
    """Return the tiny server of a transport as a target."""
    return Target(
        f"tiny-{transport}",
        "tiny",
        (sys.executable, "-I", str(FOLDER), *options, "--transport", transport),
        patience_s,
        transport,
        choices=frozenset({"--selector"}),
        lacks=((("--selector", "kqueue"), "there is no kqueue here"),),
    )


@pytest.fixture(scope="module")
def passes(request: pytest.FixtureRequest) -> Iterator[dict[Correct, Future[None]]]:
    """Run all selected checks on the correct servers, one after the other on each."""
    selected = selected_by("passes", request)
    found: dict[Correct, Future[None]] = {case: Future() for case in CORRECT if "-".join(case) in selected}
    given_up = threading.Event()
    with ThreadPoolExecutor(len(TRANSPORTS)) as pool:
        for transport in dict.fromkeys(transport for transport, _ in found):
            results = {name: found[transport, name] for of, name in found if of == transport}
            pool.submit(check_target, results, tiny(transport), given_up)
        yield found
        given_up.set()


@pytest.mark.parametrize("case", CORRECT, ids="-".join)
def test_a_correct_server_passes(case: Correct, passes: dict[Correct, Future[None]]) -> None:
    passes[case].result()


def selected_by(fixture: str, request: pytest.FixtureRequest) -> set[str]:
    """Return the ids of the selected tests that use a fixture."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return {function.callspec.id for function in functions if fixture in function.fixturenames}


@pytest.fixture(scope="module")
def failures(request: pytest.FixtureRequest) -> Iterator[dict[Broken, Future[str]]]:
    """Run all selected rows, some at the same time: most of their time goes into waiting for what never comes."""
    selected = selected_by("failures", request)
    rows = [broken for broken in BROKEN if name_of(broken) in selected]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {broken: pool.submit(failure_of, broken) for broken in rows}


def name_of(broken: Broken) -> str:
    """Return what a row is called among the tests."""
    return f"{broken.fault}-{broken.check}"


def failure_of(broken: Broken) -> str:
    """Return with which sentence a check fails a broken server, nothing if it passes."""
    target = tiny(broken.transport, "--fault", broken.fault, patience_s=PATIENCE_S)
    with Server(target) as server:
        try:
            checks_for(broken.transport)[broken.check](server)
        except AssertionError as failure:
            return str(failure)
    return ""


@pytest.mark.parametrize("broken", BROKEN, ids=name_of)
def test_a_broken_server_fails(broken: Broken, failures: dict[Broken, Future[str]]) -> None:
    said = failures[broken].result()
    assert said, f"{broken.check} passes a server that {broken.fault}"
    assert re.search(broken.words, said), f"failed for another reason: {said}"


def test_every_check_is_failed_by_a_broken_server() -> None:
    assert {broken.check for broken in BROKEN} == {name for each in TRANSPORTS for name in checks_for(each)}


def test_every_fault_is_found_by_a_check() -> None:
    listed = subprocess.run([sys.executable, str(FOLDER), "--faults"], check=True, capture_output=True, timeout=30)
    assert {broken.fault for broken in BROKEN} == set(listed.stdout.decode().split())
