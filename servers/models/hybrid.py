"""Prefork and asyncio: an arbiter forks N workers, each an asyncio server with a socket of its own.

**Accepts** in the workers: the arbiter makes N listening sockets on one port (`SO_REUSEPORT`) before the first fork,
one for each worker, and the kernel deals new connections to them by a hash of their addresses. So no lock and no herd
of woken workers; but a connection belongs to its worker even if that one is busy and another is not. **A connection
lives** in one worker, as in `asyncio`; so do all datagrams of one source address. **Blocks:** work in one worker stops
that worker's connections only.

**The arbiter** holds a copy of every socket so that a replacement can take over a dead worker's, with what waits in its
queue. It serves nobody; it waits for signals and for the end of workers. A worker that keeps dying is replaced at most
once in `_RESPAWN_S`; a datagram socket is not read meanwhile and keeps what its receive buffer holds.

**Stops** in an order that loses nothing: the arbiter lets nobody enter any socket, closes its copies, then tells the
workers, which take what their queues hold and drain as `asyncio` does. Where a worker has died and has no successor,
connections that wait are closed and counted as aborted; datagrams that wait are answered by the arbiter. A worker that
outlives the drain deadline is killed.

**Breaks first:** the luck of the hash, with few connections; a worker that dies takes all its connections along.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from servers.acceptor import Acceptor
from servers.children import Children, fork_unavailable, unblock_stop_signals
from servers.config import LINGER_S, ServerConfig, UsageError
from servers.contract import ABORTED, DatagramProtocol, StreamProtocol
from servers.datagrams import Mailbox, Responder
from servers.models import asyncio as asyncio_model
from servers.service import AnyProtocol, Service, datagram_buffer
from servers.signals import StopSignal

log = logging.getLogger(__name__)

SUMMARY = "prefork and asyncio: worker processes, each with an event loop and a socket"
OPTIONS = {"workers": (), **asyncio_model.OPTIONS}
KEEPS_PEERS = False
LEAST_WORKERS = 2
_RESPAWN_S = 1.0
_LAST_WORDS_S = 2 * LINGER_S  # after the drain deadline, for workers to cut off and count what is left

unavailable = fork_unavailable
effective = asyncio_model.effective


def parallelism(config: ServerConfig) -> int | None:
    """Return the number of workers: as asked, or the CPUs that this process may run on, at least 2."""
    if config.workers is not None:
        return config.workers
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(LEAST_WORKERS, cpus)


def serve_stream(service: Service[StreamProtocol], acceptors: list[Acceptor]) -> None:
    """Serve connections until the service is stopped and drained; one worker for each acceptor."""

    def abort_waiting(acceptor: Acceptor) -> None:
        service.tally[ABORTED] += sum(1 for connection in acceptor.drain(service.tally))

    _Arbiter(service, acceptors, asyncio_model.serve_stream, abort_waiting).run()


def serve_datagrams(service: Service[DatagramProtocol], mailboxes: list[Mailbox]) -> None:
    """Serve datagrams until the service is stopped and drained; one worker for each mailbox."""

    def answer_waiting(mailbox: Mailbox) -> None:
        protocol = service.new_protocol(service.tally)
        responder = Responder(mailbox.socket, protocol, datagram_buffer(service.config), service.tally)
        responder.respond_to_rest(service.stop.remaining_s)

    _Arbiter(service, mailboxes, asyncio_model.serve_datagrams, answer_waiting).run()


# The socket at which a worker's strangers arrive.
Entrance = TypeVar("Entrance", bound=Acceptor | Mailbox)


class _Arbiter(Generic[AnyProtocol, Entrance]):
    """Forks the workers, replaces those that die, and ends them in order."""

    def __init__(
        self,
        service: Service[AnyProtocol],
        entrances: list[Entrance],
        serve: Callable[[Service[AnyProtocol], list[Entrance]], None],
        serve_abandoned: Callable[[Entrance], None],
    ) -> None:
        self._service = service
        self._entrances = entrances
        self._serve = serve  # what a worker does
        self._serve_abandoned = serve_abandoned  # what becomes of a socket that has no worker at the end
        self._children = Children(service.ledger, service.stop, service.config.drain_timeout_s)
        self._workers: dict[int, tuple[Entrance, float]] = {}  # process id: its socket, when it was started
        self._vacant: list[tuple[float, Entrance]] = []  # from when a socket may have a new worker
        self._poller = select.poll()

    def run(self) -> None:
        """Serve until the service is stopped and drained."""
        gc.freeze()  # a collection in a worker would copy every page that holds an object of the arbiter
        self.start()
        self.watch()
        self.drain()

    def start(self) -> None:
        """Fork all workers and report ready when each of them is."""
        service = self._service
        service.stop.install(before_exit=self._children.kill)
        self._poller.register(service.stop, select.POLLIN)
        ready_end, report_end = os.pipe()

        def report() -> None:
            os.write(report_end, b"r")
            os.close(report_end)
            os.close(ready_end)

        try:
            for entrance in self._entrances:
                self._start_worker(entrance, report)
        except OSError as error:
            self._children.kill_and_wait()
            raise UsageError(f"can't fork {len(self._entrances)} workers: {error.strerror}; ask for fewer") from error
        os.close(report_end)
        reports = 0
        while reports < len(self._entrances) and (got := os.read(ready_end, len(self._entrances))):
            reports += len(got)
        os.close(ready_end)
        if reports < len(self._entrances):
            self._children.kill_and_wait()
            raise RuntimeError("a worker ended before it could serve; its error stands above")
        service.ready()

    def watch(self) -> None:
        """Reap and replace workers until the service is to stop."""
        stop = self._service.stop
        while not stop.requested:
            self._poller.poll(self._wait_ms())
            stop.clear()
            self._collect()
            while not stop.requested and self._vacant and self._vacant[0][0] <= time.monotonic():
                self._replace(self._vacant.pop(0)[1])

    def drain(self) -> None:
        """End the workers without losing a connection that waits in a queue."""
        stop = self._service.stop
        for entrance in self._entrances:
            entrance.stop_admitting()
        for _, entrance in self._vacant:
            self._serve_abandoned(entrance)
        for entrance in self._entrances:
            entrance.close()
        self._children.terminate()
        deadline_s = time.monotonic() + stop.remaining_s() + _LAST_WORDS_S

        def left_s() -> float:
            return max(0.0, deadline_s - time.monotonic())

        def wait() -> None:
            self._poller.poll(left_s() * 1000)
            stop.clear()

        self._children.reap()
        if not self._children.wait(left_s, wait):
            self._service.tally[ABORTED] += self._children.live_connections()
            self._children.kill_and_wait()

    def _replace(self, entrance: Entrance) -> None:
        entrance.admit_again(self._service.config)  # a worker that was told to stop has closed it to strangers
        try:
            self._start_worker(entrance, _already_reported)
        except OSError as error:
            log.warning("can't fork a worker, trying again: %s", error.strerror)
            self._vacant.append((time.monotonic() + _RESPAWN_S, entrance))

    def _start_worker(self, entrance: Entrance, ready: Callable[[], None]) -> None:
        pid = self._children.fork(partial(self._be_worker, entrance, ready))
        self._workers[pid] = (entrance, time.monotonic())

    def _be_worker(self, entrance: Entrance, ready: Callable[[], None], tally: memoryview, stop: StopSignal) -> None:
        for other in self._entrances:
            if other is not entrance:
                other.close()
        stop.install_in_child()
        unblock_stop_signals()
        self._serve(self._service.in_worker(tally, stop, ready), [entrance])

    def _collect(self) -> None:
        for pid in self._children.reap():
            entrance, started_s = self._workers.pop(pid)
            self._vacant.append((max(time.monotonic(), started_s + _RESPAWN_S), entrance))
        self._vacant.sort(key=lambda vacancy: vacancy[0])

    def _wait_ms(self) -> float | None:
        return max(0.0, self._vacant[0][0] - time.monotonic()) * 1000 if self._vacant else None


def _already_reported() -> None:
    """Say nothing: the server was ready before this worker took over."""
