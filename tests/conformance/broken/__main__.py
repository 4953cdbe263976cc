"""`python tests/conformance/broken [--fault NAME] OPTIONS`: a server with one fault, or none; `--faults` lists them.

A fault brings its transport; a correct server is that of `--transport`.

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
import faults_ws_close
import faults_ws_opening
import faults_ws_wire
from tiny_datagram_server import TinyDatagramServer
from tiny_life import TinyLife
from tiny_server import TinyServer
from tiny_wire import DatagramEcho, Echo
from tiny_ws_opening import Opening
from tiny_ws_server import TinyWsServer
from tiny_ws_wire import WsEcho

MODULES = (
    faults_wire,
    faults_peers,
    faults_life,
    faults_drain,
    faults_limits,
    faults_refusals,
    faults_datagram_wire,
    faults_datagram,
    faults_ws_wire,
    faults_ws_close,
    faults_ws_opening,
)
SERVERS: dict[str, type[TinyLife]] = {"tcp": TinyServer, "udp": TinyDatagramServer, "ws": TinyWsServer}


def faults() -> dict[str, type[TinyLife]]:
    """Return every broken server by the name of its fault."""
    found: dict[str, type[TinyLife]] = {}
    for module in MODULES:
        for name, member in vars(module).items():
            if name.startswith("_") or not isinstance(member, type) or member.__module__ != module.__name__:
                continue
            assert name not in found, f"two faults are named {name}"
            found[name] = server_with(member)
    return found


def server_with(fault: type) -> type[TinyLife]:
    """Return the server that has a fault, which is a server itself or a part of one."""
    if issubclass(fault, Opening):
        return server_with(type(fault.__name__, (WsEcho,), {"opening_class": fault}))
    for wire, server in ((WsEcho, TinyWsServer), (Echo, TinyServer), (DatagramEcho, TinyDatagramServer)):
        if issubclass(fault, wire):
            return type(fault.__name__, (server,), {"echo_class": fault})
    assert issubclass(fault, TinyLife)
    return fault


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    if arguments == ["--faults"]:
        print("\n".join(faults()))
        return 0
    if arguments[:1] == ["--fault"]:
        return faults()[arguments[1]].main(arguments[2:])
    transports = [name for name in SERVERS if name in arguments]
    return SERVERS[transports[0] if transports else "tcp"].main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
