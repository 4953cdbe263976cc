"""`python tests/conformance/broken [--fault NAME] OPTIONS`: a server with one fault, or none; `--faults` lists them.

A fault brings its transport; a correct server is one of datagrams with `--transport udp`.

The fault modules are the list: every class in them is a fault, but those whose name begins with an underscore.
"""

from __future__ import annotations

import sys

import faults_datagram
import faults_datagram_wire
import faults_drain
import faults_life
import faults_limits
import faults_peers
import faults_refusals
import faults_wire
from tiny_datagram_server import TinyDatagramServer
from tiny_life import TinyLife
from tiny_server import TinyServer
from tiny_wire import DatagramEcho, Echo

MODULES = (
    faults_wire,
    faults_peers,
    faults_life,
    faults_drain,
    faults_limits,
    faults_refusals,
    faults_datagram_wire,
    faults_datagram,
)


def faults() -> dict[str, type[TinyLife]]:
    """Return every broken server by the name of its fault."""
    found: dict[str, type[TinyLife]] = {}
    for module in MODULES:
        for name, member in vars(module).items():
            if name.startswith("_") or not isinstance(member, type) or member.__module__ != module.__name__:
                continue
            found[name] = member
            for wire, server in ((Echo, TinyServer), (DatagramEcho, TinyDatagramServer)):
                if issubclass(member, wire):
                    found[name] = type(name, (server,), {"echo_class": member})
    return found


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    if arguments == ["--faults"]:
        print("\n".join(faults()))
        return 0
    if arguments[:1] == ["--fault"]:
        return faults()[arguments[1]].main(arguments[2:])
    return (TinyDatagramServer if "udp" in arguments else TinyServer).main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
