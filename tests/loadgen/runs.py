"""A run of the load generator inside the test process: everything but Locust."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram

from harness.schema import LoadRecord, LoadWindow
from loadgen.conductor import Conductor
from loadgen.dial import DialError, resolve
from loadgen.engine import Engine, make_epoll
from loadgen.options import Options
from loadgen.record import load_record, window_record
from loadgen.tally import Life
from loadgen.traffic import Door, make_traffic
from loadgen.wire import socket_type_of

DEFAULTS = {
    "load": ["closed"],
    "warmup": 0,
    "window": 0.2,
    "payload": "64",
    "mode": "persistent",
    "idle": 0,
    "pipeline": 1,
    "timeout": 1,
    "spin": False,
    "seed": 1,
    "cpus": "",
}


class Bulletin:
    """What a run announced; peers read from it when the window at hand is open."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.announced = threading.Event()
        self.connected_ns = self.opens_ns = self.closes_ns = 1 << 62
        self.announced_ahead_ns = 0

    def say(self, event: str, **fields: Any) -> None:
        """Keep an event."""
        self.events.append({"event": event, **fields})
        if event == "connected":
            self.connected_ns = time.monotonic_ns()
        if event == "window":
            self.opens_ns, self.closes_ns = fields["opens_monotonic_ns"], fields["closes_monotonic_ns"]
            self.announced_ahead_ns = self.opens_ns - time.monotonic_ns()
            self.announced.set()

    def is_open(self) -> bool:
        """Tell whether a window is open now."""
        return self.opens_ns <= time.monotonic_ns() < self.closes_ns


@dataclass
class Run:
    """What a run found."""

    record: LoadRecord
    life: Life
    bulletin: Bulletin

    @property
    def window(self) -> LoadWindow:
        """The first window."""
        return self.record["windows"][0]


@dataclass
class Rig:
    """An engine with its connections, before it runs."""

    engine: Engine
    conductor: Conductor
    options: Options
    bulletin: Bulletin = field(default_factory=Bulletin)


def options_for(url: str, **changes: Any) -> Options:
    """Return options as the command line would give them."""
    return Options.read(url, argparse.Namespace(**(DEFAULTS | changes)), "")


@contextmanager
def rigged(url: str, connections: int, bulletin: Bulletin | None = None, **changes: Any) -> Iterator[Rig]:
    """Make an engine and connect it."""
    options, bulletin = options_for(url, **changes), bulletin or Bulletin()
    address = resolve(options.target.host, options.target.port, socket_type_of(options.target.transport))
    traffic = make_traffic(options, address, make_epoll())
    door = Door(traffic, address, options.idle)
    engine = Engine(traffic, options.spin)
    conductor = Conductor(engine, options, bulletin)
    for _ in range(connections + options.idle):
        try:
            member, took = door.enter()
        except DialError as error:
            conductor.connect_failed(error.kind, error.because)
            continue
        conductor.connected(took)
        engine.arrivals.append(member)
    conductor.users_expected = connections + options.idle
    try:
        yield Rig(engine, conductor, options, bulletin)
    finally:
        engine.close()


def carry(url: str, connections: int = 1, bulletin: Bulletin | None = None, **changes: Any) -> Run:
    """Carry out a run and return what it found."""
    with rigged(url, connections, bulletin, **changes) as rig:
        measured = rig.conductor.run()
        exchange = rig.engine.exchange
        windows = [window_record(one, rig.options.timeout_s) for one in measured]
        life = exchange.recorder.life
        times, users = rig.conductor.all_connect_times(), rig.conductor.users_seen
        record = load_record(rig.options, users, times, life.requests_total, windows)
        return Run(record, life, rig.bulletin)


def longer_than(window: LoadWindow, histogram: str, least_ns: int) -> int:
    """Return how many values of a window's histogram are at least so long."""
    decoded = HdrHistogram.decode(window["histograms"][histogram])
    counts = np.ctypeslib.as_array(decoded.counts)
    return sum(int(counts[i]) for i in np.flatnonzero(counts) if decoded.get_value_from_index(int(i)) >= least_ns)
