"""A server that gives rise to one doubt about its figures: `python troubled_server.py TROUBLE TRANSPORT`.

It speaks the wire protocol and the contract of a foreign server, and is written down here from their descriptions.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from typing import Any

HEADER_BYTES = 16
RARELY = 40
SLOW_S, ALMOST_FAST_ENOUGH_S, HOLD_UP_S = 0.02, 0.006, 0.05
SMALL_BUFFER_BYTES = 4096


class Server:
    """Answers, and counts, but for its trouble."""

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble
        self.messages = self.connections = 0
        self.stopping = asyncio.Event()

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        number, self.connections = self.connections, self.connections + 1
        try:
            while True:
                header = await reader.readexactly(HEADER_BYTES)
                payload = await reader.readexactly(int.from_bytes(header[4:8], "big"))
                if self.trouble == "stalls" and number == 0:
                    continue
                if self.trouble == "favours" and number:
                    await asyncio.sleep(SLOW_S)
                if self.trouble == "too-slow":
                    time.sleep(ALMOST_FAST_ENOUGH_S)  # one request at a time, whoever waits
                self.messages += 1
                if self.messages % RARELY == 0 and self.trouble == "closes":
                    break
                if self.messages % RARELY == 0 and self.trouble == "forgets":
                    continue
                writer.write(header[:3] + b"\x02" + header[4:] + payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def answer_datagrams(self, bound: socket.socket) -> None:
        """Answer what waits, after a pause in which the receive buffer runs over."""
        time.sleep(HOLD_UP_S)
        while True:
            try:
                datagram, address = bound.recvfrom(65_536)
            except BlockingIOError:
                return
            self.messages += 1
            bound.sendto(datagram[:3] + b"\x02" + datagram[4:], address)

    def last_words(self) -> dict[str, Any]:
        """Return the stopped line."""
        more = 1 if self.trouble == "miscounts" else 0
        return {"event": "stopped", "messages": self.messages + more}


async def main(trouble: str, transport: str) -> None:
    """Serve until SIGTERM."""
    server, loop = Server(trouble), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.stopping.set)
    if transport == "udp":
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        bound.setblocking(False)
        bound.bind(("127.0.0.1", 0))
        loop.add_reader(bound, server.answer_datagrams, bound)
        port = bound.getsockname()[1]
    else:
        listener = await asyncio.start_server(server.serve_stream, "127.0.0.1", 0, backlog=512)
        port = listener.sockets[0].getsockname()[1]
    print(json.dumps({"event": "ready", "host": "127.0.0.1", "port": port}), flush=True)
    await server.stopping.wait()
    print(json.dumps(server.last_words()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
