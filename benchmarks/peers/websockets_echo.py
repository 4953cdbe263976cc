"""The `websockets` package's own asyncio server with the echo handler of its documentation, compression off.

Its keepalive pings are off too: a load of seconds would hardly see one, and they are no part of an echo.
"""

import asyncio
import json
import socket

from websockets.asyncio.server import ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    """Send back what comes."""
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    options = {"compression": None, "ping_interval": None, "backlog": 4096}
    async with serve(echo, sock=listener, **options) as server:
        print(json.dumps({"event": "ready", "port": listener.getsockname()[1]}), flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
