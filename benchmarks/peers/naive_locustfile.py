"""A Locust file for an echo over TCP as people write it: a greenlet a connection, an event a request.

By default as Locust's documentation shows it, a task a request. With NAIVE_LOOP=1 the task loops by itself, which
spares Locust's own loop: what someone writes who has profiled the first.

Prints one line of JSON: the requests/s that Locust counted in a window after all users had connected. Every reply is
compared with what was expected, as our engine does.
"""

import json
import os
import socket
import time

import gevent
from locust import User, events, task

WINDOW_S = float(os.environ.get("NAIVE_WINDOW_S", "2"))
LOOP = os.environ.get("NAIVE_LOOP") == "1"
PAYLOAD = bytes(range(64))
LENGTH = len(PAYLOAD).to_bytes(4, "big")


class EchoUser(User):
    """Sends a request, waits for its reply, tells Locust; over and over."""

    def on_start(self) -> None:
        host, port = self.host.removeprefix("tcp://").split(":")
        self.socket = socket.create_connection((host, int(port)))
        self.sequence = 0
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @task
    def echo(self) -> None:
        self.exchange()
        while LOOP:
            self.exchange()

    def exchange(self) -> None:
        self.sequence += 1
        rest = LENGTH + self.sequence.to_bytes(8, "big") + PAYLOAD
        started = time.perf_counter()
        self.socket.sendall(b"\xeb\x01\x01\x01" + rest)
        expected, reply = b"\xeb\x01\x01\x02" + rest, b""
        while len(reply) < len(expected):
            reply += self.socket.recv(65_536)
        wrong = None if reply == expected else ValueError("wrong echo")
        elapsed_ms = (time.perf_counter() - started) * 1000
        fire = self.environment.events.request.fire
        fire(request_type="TCP", name="echo", response_time=elapsed_ms, response_length=len(reply), exception=wrong)


@events.spawning_complete.add_listener
def measure(user_count: int, **_kwargs: object) -> None:
    """Count over a window, print, quit."""
    gevent.spawn(_measure)


@events.init.add_listener
def remember(environment: object, **_kwargs: object) -> None:
    """Keep the environment for the greenlet that measures."""
    globals()["ENVIRONMENT"] = environment


def _measure() -> None:
    environment = globals()["ENVIRONMENT"]
    gevent.sleep(0.5)
    before, started = environment.stats.total.num_requests, time.perf_counter()
    gevent.sleep(WINDOW_S)
    count, elapsed_s = environment.stats.total.num_requests - before, time.perf_counter() - started
    print(
        json.dumps({"throughput_per_s": count / elapsed_s, "failures": environment.stats.total.num_failures}),
        flush=True,
    )
    environment.runner.quit()
