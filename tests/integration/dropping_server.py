"""`python tests/integration/dropping_server.py`: a UDP server that is right but for its drain.

At SIGTERM it closes its socket with what it has received and not answered, as a server does that only ends its loop.
"""

import json
import select
import signal
import socket

WANTED_BYTES = 4 << 20


def main() -> None:
    """Serve until SIGTERM."""
    wake, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WANTED_BYTES)
        server.bind(("127.0.0.1", 0))
        print(json.dumps({"event": "ready", "port": server.getsockname()[1]}), flush=True)
        messages = 0
        while wake not in select.select([server, wake], [], [])[0]:
            datagram, peer = server.recvfrom(65_536)
            messages += 1
            server.sendto(datagram[:3] + b"\2" + datagram[4:], peer)
    counts = {"connections": None, "messages": messages, "protocol_errors": 0, "aborted": 0, "undelivered": 0}
    print(json.dumps({"event": "stopped", **counts}))


if __name__ == "__main__":
    main()
