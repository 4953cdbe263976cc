"""Runs checks of a target one after the other on one server that they share, and keeps how each went for its test."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from .catalogue import checks_for
from .server_process import Server
from .targets import Target

END = "ends_as_it_should_after_all_checks"


def names_for(transport: str) -> tuple[str, ...]:
    """Return the names of all checks of a transport, at the end of them that of the shared server's end."""
    return (*checks_for(transport), END)


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
