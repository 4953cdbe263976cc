"""The work of requests in an event loop: nobody may block it, and nobody's requests may overtake each other.

`Stepper` is for a connection. A chunk's requests become steps; the first one's CPU work is done at once, its wait is
left to the loop, its reply is sent when that is over, and only then comes the next. While steps are left the connection
is not read (its model sees to that), and between two that cost CPU time the loop serves others.

`Errands` is the same for a datagram socket, whose clients have no connections: those of one address are served one
after the other, those of different ones at the same time. The socket itself can't stop being read on account of one
address, so what waits is bounded: beyond that a request is dropped, and counted as undelivered.

All waits of a server are equally long. So whoever began first ends first, and one queue with one timer serves them all
(`Later`, which each loop provides).

A protocol counts a request when it makes the reply; here that is taken back, and the request is counted when its work
is done: what is cut off in the middle of it was not answered.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from servers.contract import MESSAGES, UNDELIVERED, DatagramProtocol, Octets, Step, Tally
from servers.datagrams import A_TURN, Responder, send_or_count
from servers.listener import Address
from servers.service import Service
from servers.signals import StopSignal
from servers.work import Work

MOST_WAITING_BYTES = 64 << 20  # of datagrams, with what Python takes for each and for each address
_BYTES_A_DATAGRAM = 128
_BYTES_AN_ADDRESS = 1_536


class Later(Protocol):
    """An event loop, as what is to be done later sees it."""

    def wait(self, then: Callable[[], None]) -> None:
        """Call when the work's wait is over."""

    def soon(self, then: Callable[[], None]) -> None:
        """Call after the loop has looked at everybody else."""

    def void(self, then: Callable[[], None]) -> None:
        """Don't call after a wait any more."""


class Stepper:
    """Works off the steps of one connection.

    `send` takes a reply; `rested` is called when nothing is left to do, if that was not so at once.
    """

    __slots__ = ("_later", "_rested", "_send", "_steps", "_tally", "_work")

    def __init__(
        self,
        work: Work,
        later: Later,
        tally: Tally,
        send: Callable[[Octets], object],
        rested: Callable[[], object],
    ) -> None:
        self._work = work
        self._later = later
        self._tally = tally
        self._send = send
        self._rested = rested
        self._steps: deque[Step] = deque()

    @property
    def is_busy(self) -> bool:
        """Whether there is something left to do."""
        return bool(self._steps)

    def take(self, steps: Iterable[Step]) -> None:
        """Begin with further steps, or put them behind those there are."""
        was_busy = self.is_busy
        self._steps.extend(uncounted(steps, self._tally))
        if not was_busy:
            self._begin()

    def drop(self) -> None:
        """Forget what is left: there is nobody to send it to."""
        self._steps.clear()
        self._later.void(self._finish)

    def _begin(self) -> None:
        """Do what can be done without waiting; leave the rest to the loop."""
        while self._steps:
            step = self._steps[0]
            if step.is_answer:
                if self._work.cpu_ns:
                    self._work.spin()
                if self._work.wait_s:
                    self._later.wait(self._finish)
                    return
            self._send_first()
            if step.is_answer and self._steps:
                self._later.soon(self._go_on)
                return

    def _send_first(self) -> None:
        step = self._steps.popleft()
        self._tally[MESSAGES] += step.is_answer
        self._send(step.reply)

    def _finish(self) -> None:
        """Send the reply whose wait is over, and go on."""
        self._send_first()
        self._go_on()

    def _go_on(self) -> None:
        if self._steps:
            self._begin()
        if not self._steps:
            self._rested()


def uncounted(steps: Iterable[Step], tally: Tally) -> list[Step]:
    """Return steps whose requests are not counted any more: each is to be counted again when its work is done."""
    taken = list(steps)
    for step in taken:
        if step.is_answer:
            tally[MESSAGES] -= 1
    return taken


class Errands:
    """Works off the requests of one datagram socket; `send` takes a reply and its address."""

    def __init__(self, work: Work, later: Later, tally: Tally, send: Callable[[Octets, Address], object]) -> None:
        self._work = work
        self._later = later
        self._tally = tally
        self._send = send
        self._queues: dict[Address, deque[Octets]] = {}  # of every address: first what is worked on, then what waits
        self._waiting_bytes = 0

    @property
    def use_cpu(self) -> bool:
        """Whether a request holds up whoever hands it over."""
        return self._work.cpu_ns > 0

    @property
    def is_busy(self) -> bool:
        """Whether a reply has still to be sent."""
        return bool(self._queues)

    def take(self, reply: Octets, address: Address) -> None:
        """Begin with a request, or put it behind the others of its address."""
        queue = self._queues.get(address)
        size = len(reply) + _BYTES_A_DATAGRAM + (_BYTES_AN_ADDRESS if queue is None else 0)
        self._tally[MESSAGES] -= 1
        if self._waiting_bytes + size > MOST_WAITING_BYTES:
            self._tally[UNDELIVERED] += 1
            return
        if not self._work.wait_s:
            self._work.spin()
            self._finish(reply, address)
            return
        self._waiting_bytes += size
        if queue is None:
            self._queues[address] = deque((reply,))
            self._begin(address)
        else:
            queue.append(reply)

    def give_up(self) -> None:
        """Drop and count what waits: the server is about to end."""
        self._tally[UNDELIVERED] += sum(map(len, self._queues.values()))
        self._queues.clear()

    def _begin(self, address: Address) -> None:
        if self._work.cpu_ns:
            self._work.spin()
        self._later.wait(partial(self._on_waited, address))

    def _on_waited(self, address: Address) -> None:
        """Send the reply whose wait is over, and begin with the next of its address."""
        queue = self._queues.get(address)
        if queue is None:  # it was given up
            return
        reply = queue.popleft()
        self._waiting_bytes -= len(reply) + _BYTES_A_DATAGRAM
        self._finish(reply, address)
        if queue:
            self._begin(address)
        else:
            del self._queues[address]
            self._waiting_bytes -= _BYTES_AN_ADDRESS

    def _finish(self, reply: Octets, address: Address) -> None:
        self._tally[MESSAGES] += 1
        self._send(reply, address)


class PatientResponder(Responder):
    """A responder that leaves the work of requests, and their replies, to errands."""

    def __init__(
        self, bound: socket.socket, protocol: DatagramProtocol, buffer: memoryview, tally: Tally, errands: Errands
    ) -> None:
        super().__init__(bound, protocol, buffer, tally)
        self._errands = errands
        self._turn = 1 if errands.use_cpu else A_TURN

    def _answer(self, reply: Octets, address: Address) -> bool:
        self._errands.take(reply, address)
        return True


def new_errands(service: Service[DatagramProtocol], bound: socket.socket, later: Later) -> Errands | None:
    """Return what works off the requests of a socket in a loop, None where they cost nothing."""
    if service.work is None:
        return None
    return Errands(service.work, later, service.tally, partial(send_or_count, bound, service.tally))


def finish_errands(errands: Errands | None, stop: StopSignal, turn: Callable[[], object]) -> None:
    """Turn a loop until no errand is left; give up what is left at the drain deadline."""
    while errands is not None and errands.is_busy:
        if stop.remaining_s() == 0.0:
            errands.give_up()
            return
        turn()


def new_responder(
    service: Service[DatagramProtocol], bound: socket.socket, buffer: memoryview, errands: Errands | None
) -> Responder:
    """Return what answers a socket's datagrams in a loop: at once, or when their work is done."""
    protocol = service.new_protocol(service.tally)
    if errands is None:
        return Responder(bound, protocol, buffer, service.tally)
    return PatientResponder(bound, protocol, buffer, service.tally, errands)
