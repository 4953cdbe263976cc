"""All checks there are: the functions named `check_*` of the modules below, in the order in which they stand there.

A module says by its place which kind of transport its checks are about. Those that are for both talk to the server
through what both kinds of peers can do (`server.client()`).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from . import (
    checks_datagram,
    checks_datagram_drain,
    checks_datagram_life,
    checks_drain,
    checks_echo,
    checks_endings,
    checks_life,
    checks_limits,
    checks_neighbours,
    checks_peers,
    checks_refusals,
    checks_stream,
    checks_stream_life,
)
from .server_process import Server
from .targets import DATAGRAM, STREAM

Check = Callable[[Server], None]

BOTH = (STREAM, DATAGRAM)
MODULES: tuple[tuple[ModuleType, tuple[str, ...]], ...] = (
    (checks_echo, BOTH),
    (checks_stream, (STREAM,)),
    (checks_endings, (STREAM,)),
    (checks_neighbours, (STREAM,)),
    (checks_datagram, (DATAGRAM,)),
    (checks_peers, (DATAGRAM,)),
    (checks_life, BOTH),
    (checks_stream_life, (STREAM,)),
    (checks_datagram_life, (DATAGRAM,)),
    (checks_limits, (STREAM,)),
    (checks_drain, (STREAM,)),
    (checks_datagram_drain, (DATAGRAM,)),
    (checks_refusals, BOTH),
)


def checks_for(kind: str) -> dict[str, Check]:
    """Return every check of a kind of transport by its name without `check_`.

    Raises AssertionError when two have the same name.
    """
    found: dict[str, Check] = {}
    for module, kinds in MODULES:
        if kind in kinds:
            for name, member in vars(module).items():
                if name.startswith("check_") and member.__module__ == module.__name__:
                    short = name.removeprefix("check_")
                    assert short not in found, f"two checks are named {short}"
                    found[short] = member
    return found
