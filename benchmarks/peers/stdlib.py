"""The standard library's servers with a raw echo handler: `python -m benchmarks.peers.stdlib thread|fork`.

The same options as ours: backlog 4096, TCP_NODELAY, reads of 65,536 bytes; `max_children` raised, since at 40 children
the fork server stops accepting.
"""

import json
import os
import socket
import socketserver
import sys

RECV_BYTES = 65_536


class EchoHandler(socketserver.BaseRequestHandler):
    """Sends back what it receives."""

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        connection: socket.socket = self.request
        try:
            while data := connection.recv(RECV_BYTES):
                connection.sendall(data)
        except ConnectionResetError:
            return


class ThreadServer(socketserver.ThreadingTCPServer):
    """A thread per connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 4096


class ForkServer(socketserver.ForkingTCPServer):
    """A process per connection."""

    allow_reuse_address = True
    block_on_close = False
    max_children = 100_000
    request_queue_size = 4096


if __name__ == "__main__":
    kind = {"thread": ThreadServer, "fork": ForkServer}[sys.argv[1]]
    with kind(("127.0.0.1", 0), EchoHandler) as server:
        print(json.dumps({"event": "ready", "port": server.server_address[1], "pid": os.getpid()}), flush=True)
        server.serve_forever()
