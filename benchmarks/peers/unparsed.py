"""One of our models with a protocol that only echoes: `python -m benchmarks.peers.unparsed MODEL [TRANSPORT]`.

Its figure beside the model's own tells what the wire protocol costs. TRANSPORT is tcp (the default) or udp.
"""

import sys
from collections.abc import Iterator

from servers.config import ServerConfig
from servers.contract import Octets, Phase, ProtocolFactory, Step
from servers.lifecycle import serve
from servers.registry import load_model


class RawEcho:
    """Sends back what it receives."""

    def __init__(self) -> None:
        self.phase = Phase.OPEN

    def receive(self, data: Octets) -> bytes:
        return b"" if self.phase is Phase.CLOSING else bytes(data)

    def steps(self, data: Octets) -> Iterator[Step]:
        yield Step(self.receive(data))

    def receive_eof(self) -> bytes:
        self.phase = Phase.CLOSING
        return b""

    def drain(self) -> bytes:
        return self.receive_eof()


class RawDatagramEcho:
    """Sends back each datagram."""

    def receive(self, datagram: Octets) -> bytes | None:
        return bytes(datagram)


ECHOES: dict[str, ProtocolFactory] = {"tcp": lambda _tally: RawEcho(), "udp": lambda _tally: RawDatagramEcho()}

if __name__ == "__main__":
    name = sys.argv[1]
    transport = sys.argv[2] if len(sys.argv) > 2 else "tcp"
    sys.exit(serve(load_model(name), ECHOES[transport], ServerConfig(name, transport=transport)))
