"""All checks there are: the functions named `check_*` of the modules below, in the order in which they stand there."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from . import checks_drain, checks_endings, checks_life, checks_neighbours, checks_refusals, checks_stream
from .server_process import Server

Check = Callable[[Server], None]

MODULES: tuple[ModuleType, ...] = (
    checks_stream,
    checks_endings,
    checks_neighbours,
    checks_life,
    checks_drain,
    checks_refusals,
)


def all_checks() -> dict[str, Check]:
    """Return every check by its name without `check_`; raises AssertionError when two have the same name."""
    found: dict[str, Check] = {}
    for module in MODULES:
        for name, member in vars(module).items():
            if name.startswith("check_") and member.__module__ == module.__name__:
                short = name.removeprefix("check_")
                assert short not in found, f"two checks are named {short}"
                found[short] = member
    return found
