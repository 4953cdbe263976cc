"""A conductor under orders: what one of several processes does, between its master's messages.

It measures exactly as a single process does, with the same code; only that others decide when. It tells of its
connections until the first order comes. An order names the load, this worker's portion of it and three times: when the
load begins, when the window opens and when it closes. The order comes a while ahead of the first of them, and in the
meantime the engine waits, with nothing to do; an order that was held up begins at once, late, as a process that was
held up would.

The garbage collector has run before the worker says that it is ready, not between the order and the load.

A test whose window has no length begins with the first user, as users of Locust expect: each worker then begins by
itself, open load with an even part of the rate, and the order for the window corrects the parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic_ns as clock

from harness.schema import Load, Second
from loadgen.announce import Silence
from loadgen.conductor import Conductor, Measured, collector_resting
from loadgen.engine import Engine
from loadgen.histogram import Distribution
from loadgen.merge import pack, report
from loadgen.messages import (
    Close,
    Connected,
    Finish,
    Greeting,
    Message,
    SecondReport,
    WindowOrder,
    behind_ns,
    here,
)
from loadgen.options import Options
from loadgen.schedule import Portion, Schedule
from loadgen.tally import FOREVER_NS


class Worker(Conductor):
    """Carries out the orders of a master; `send` takes a message to it."""

    def __init__(self, engine: Engine, options: Options, greeting: Greeting, send: Callable[[Message], None]) -> None:
        super().__init__(engine, options, Silence())
        self._send = send
        self._greeting = greeting
        self._orders: deque[tuple[WindowOrder, int]] = deque()
        self._window = 0
        self._finished = self._ramping = False
        self._told: tuple[int, int, int] | None = None
        self.on_second = self._send_second

    def hear(self, message: Message) -> None:
        """Take a message from the master."""
        match message:
            case WindowOrder():
                self._orders.append((message, behind_ns(message)))
            case Close():
                if self._recorder.window is not None:
                    self._recorder.window.closes_ns = max(message.closes_ns + behind_ns(message), clock())
            case Finish():
                self.finish()
            case _:
                raise ValueError(f"a master does not say {message}")

    def finish(self) -> None:
        """Carry out no further order."""
        self._finished = True

    def run(self) -> list[Measured]:
        """Carry out orders until there will be no further one; raises StoppedError."""
        self._send(here())
        if self._options.window_s is None:
            self._wait_until(lambda: bool(self._engine.exchange.live or self._orders or self._finished))
            if self._engine.exchange.live:
                self._ramp()
        while True:
            with collector_resting():
                self._wait_until(self._has_orders)
                if not self._orders:
                    return []
                order, behind = self._orders.popleft()
                self._carry_out(order, behind)

    def _has_orders(self) -> bool:
        self._tell_connections()
        return bool(self._orders) or self._finished

    def _tell_connections(self) -> None:
        """Tell the master once all users that it gave are there, and when it turns out that there are more."""
        active = len(self._engine.exchange.live)
        state = (self.users_seen, self.users_connected, active)
        if self._all_users_seen() and not self._engine.arrivals and state != self._told:
            self._told = state
            errors = {kind.value: count for kind, count in self.connect_errors.items()}
            self._send(Connected(*state, errors, self._recorder.why_ended))

    def _ramp(self) -> None:
        load = self._options.loads[0]
        self._ramping = True
        self._begin(load, 0, clock(), Portion((1,) * self._greeting.workers, self._greeting.place))

    def _begin(self, load: Load, index: int, starts_ns: int, portion: Portion) -> None:
        if load.kind == "closed":
            self._engine.start_closed(self._options.pipeline)
        elif portion.own:
            self._engine.start_open(Schedule(load, self._options.seed, index, starts_ns, portion))
        else:
            self._engine.stop_load()  # none of its connections came up

    def _carry_out(self, order: WindowOrder, behind: int) -> None:
        load = Load(**order.load)
        starts_ns, opens_ns = order.starts_ns + behind, order.opens_ns + behind
        closes_ns = FOREVER_NS if order.closes_ns == FOREVER_NS else order.closes_ns + behind
        self._window = order.index
        self._drive(starts_ns)
        if not (self._ramping and load.kind == "closed"):  # else it runs
            self._begin(load, order.index, starts_ns, Portion(tuple(order.connections), self._greeting.place))
        measured = self.measure(order.index, load, opens_ns, closes_ns)
        said = self._recorder.why_ended
        self._send(report(order.index, measured, bool(self._engine.exchange.live), said))

    def _send_second(self, second: Second, responses: Distribution) -> None:
        self._send(SecondReport(self._window, second["index"], second["errors"], pack(responses)))
