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

from .checking import check_target, names_for
from .targets import Target, targets

AT_A_TIME = 4
CASES = [(target, name) for target in targets() for name in names_for(target.transport)]

Case = tuple[Target, str]


def name_of(case: Case) -> str:
    """Return what a case is called among the tests."""
    return f"{case[0].name}-{case[1]}"


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[None]]]:
    """Run all selected cases; a target's go to one thread, in their order."""
    here = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    selected = {function.callspec.id for function in here if "results" in function.fixturenames}
    found: dict[Case, Future[None]] = {case: Future() for case in CASES if name_of(case) in selected}
    given_up = threading.Event()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for target in dict.fromkeys(target for target, _ in found):
            pool.submit(
                check_target, {name: found[target, name] for of, name in found if of == target}, target, given_up
            )
        yield found
        given_up.set()


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name_of(case), marks=[pytest.mark.long] if case[0].is_long else []) for case in CASES],
)
def test_model_passes(case: Case, results: dict[Case, Future[None]]) -> None:
    results[case].result()
