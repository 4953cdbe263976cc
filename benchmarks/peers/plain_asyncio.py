"""The asyncio server that most people would write: `asyncio.Protocol`, raw echo, one process.

Its transport reads with `recv(256 KiB)`; see docs/models.md for why that may be slow.
"""

import asyncio
import json
import socket


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    server = await asyncio.get_running_loop().create_server(Echo, sock=listener, backlog=4096)
    print(json.dumps({"event": "ready", "port": listener.getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
