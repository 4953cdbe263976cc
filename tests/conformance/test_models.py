"""Every model does everything that the checks ask for. A new model is covered by being in the servers' list.

One server a target is shared by all its checks, which run one after the other; several targets at a time, since most of
a check's time goes into waiting.

Variants that two models share, such as the event loops of asyncio and hybrid, are the same code in both: the second
model's are marked `long`, so that `make test` stays short. `make test-long` and `make conformance` run them too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from .catalogue import checks_for
from .server_process import Server
from .targets import Target, targets

AT_A_TIME = 4
END = "ends_as_it_should_after_all_checks"
CASES = [(target, name) for target in targets() for name in (*checks_for(target.transport), END)]

Case = tuple[Target, str]


def name_of(case: Case) -> str:
    """Return what a case is called among the tests."""
    return f"{case[0].name}-{case[1]}"


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[None]]]:
    """Run all selected cases; a target's go to one thread, in their order."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    selected = {function.callspec.id for function in functions if "results" in function.fixturenames}
    found: dict[Case, Future[None]] = {case: Future() for case in CASES if name_of(case) in selected}
    given_up = threading.Event()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for target in dict.fromkeys(target for target, _ in found):
            pool.submit(
                check_target, {name: found[target, name] for of, name in found if of == target}, target, given_up
            )
        yield found
        given_up.set()


def check_target(results: dict[str, Future[None]], target: Target, given_up: threading.Event) -> None:
    """Run some checks on one server of a target, and tell how each went."""
    try:
        with Server(target) as server:
            for name, result in results.items():
                if not given_up.is_set():
                    check_one(name, server, result)
    except BaseException as error:  # noqa: BLE001 - whatever kept the server from being checked is each check's result
        for result in results.values():
            if not result.done():
                result.set_exception(error)


def check_one(name: str, server: Server, result: Future[None]) -> None:
    """Run one check and tell how it went."""
    check = expect_a_good_end if name == END else checks_for(server.target.transport)[name]
    try:
        check(server)
    except BaseException as error:  # noqa: BLE001 - a skipped check is one too; all are raised again in the test
        result.set_exception(error)
    else:
        result.set_result(None)


def expect_a_good_end(server: Server) -> None:
    """Stop the server that all checks shared; whatever they did to it, it ends as it should."""
    ended = server.stop()
    assert ended.exit_code == 0, f"exit code {ended.exit_code} after all checks, stderr {ended.stderr!r}"
    assert ended.stderr == "", f"said on stderr during all checks: {ended.stderr!r}"
    assert not ended.left, f"left processes {ended.left} after all checks"


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name_of(case), marks=[pytest.mark.long] if case[0].is_long else []) for case in CASES],
)
def test_model_passes(case: Case, results: dict[Case, Future[None]]) -> None:
    results[case].result()
