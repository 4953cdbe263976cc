"""One of our models with a protocol that echoes without parsing: `python -m benchmarks.peers.unparsed MODEL`.

Its figure beside the model's own tells what the wire protocol costs.
"""

import sys
from collections.abc import Iterator

from servers.config import ServerConfig
from servers.contract import Octets, Phase, Step
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


if __name__ == "__main__":
    name = sys.argv[1]
    sys.exit(serve(load_model(name), lambda _tally: RawEcho(), ServerConfig(name)))
