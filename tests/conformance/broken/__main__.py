"""`python tests/conformance/broken [--fault NAME] OPTIONS`: a server with one fault or none; `--faults` lists them.

The fault modules are the list: every class in them is a fault, but those whose name begins with an underscore.
"""

from __future__ import annotations

import sys

import faults_drain
import faults_life
import faults_peers
import faults_refusals
import faults_wire
from tiny_server import TinyServer
from tiny_wire import Echo

MODULES = (faults_wire, faults_peers, faults_life, faults_drain, faults_refusals)


def faults() -> dict[str, type[TinyServer]]:
    """Return every broken server by the name of its fault."""
    found: dict[str, type[TinyServer]] = {}
    for module in MODULES:
        for name, member in vars(module).items():
            if name.startswith("_") or not isinstance(member, type) or member.__module__ != module.__name__:
                continue
            is_wire = issubclass(member, Echo)
            found[name] = type(name, (TinyServer,), {"echo_class": member}) if is_wire else member
    return found


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    if arguments == ["--faults"]:
        print("\n".join(faults()))
        return 0
    if arguments[:1] == ["--fault"]:
        return faults()[arguments[1]].main(arguments[2:])
    return TinyServer.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
