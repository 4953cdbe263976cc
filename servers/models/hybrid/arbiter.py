"""The arbiter: forks the workers, replaces those that die, and ends them in an order that loses nothing.

**It holds** a copy of every socket so that a replacement can take over a dead worker's, with what waits in its
queue. It serves nobody: it waits for signals and for the end of workers. A worker that keeps dying is replaced at most
once in `_RESPAWN_S`; a datagram socket is not read meanwhile and keeps what its receive buffer holds.

**Stops** in an order that loses nothing: the arbiter lets nobody enter any socket, closes its copies, then tells the
workers, which take what their queues hold and drain as `asyncio` does. Where a worker has died and has no successor,
connections that wait are closed and counted as aborted; datagrams that wait are answered by the arbiter. A worker that
outlives the drain deadline is killed. A shared socket is shut by the arbiter alone, since a filter works for all who
have the socket; what the workers have not taken from it is served by one more.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar, cast

from servers.acceptor import Acceptor
from servers.children import Children, unblock_stop_signals
from servers.config import LINGER_S, UsageError
from servers.contract import ABORTED
from servers.datagrams import Mailbox
from servers.service import AnyProtocol, Service
from servers.signals import StopSignal
from servers.tally import Branch, Ledger

log = logging.getLogger(__name__)

_RESPAWN_S = 1.0
_LOOK_S = 0.002
_LAST_WORDS_S = 2 * LINGER_S  # after the drain deadline, for workers to cut off and count what is left

# The socket at which a worker's strangers arrive.
Entrance = TypeVar("Entrance", bound=Acceptor | Mailbox)


@dataclass(frozen=True, eq=False)
class _Slot(Generic[Entrance]):
    """A worker's place, which its replacement takes: the socket and the counts."""

    entrance: Entrance
    counts: Branch


class Arbiter(Generic[AnyProtocol, Entrance]):
    """Forks the workers, replaces those that die, and ends them in order."""

    def __init__(
        self,
        service: Service[AnyProtocol],
        entrances: list[Entrance],
        workers: int,
        serve: Callable[[Service[AnyProtocol], list[Entrance]], None],
        serve_abandoned: Callable[[Entrance], None],
    ) -> None:
        self._service = service
        self._is_shared = service.config.accept == "shared"
        self._entrances = entrances
        ledger = cast(Ledger, service.ledger)
        self._slots = [_Slot(entrances[number % len(entrances)], ledger.branch()) for number in range(workers)]
        self._serve = serve  # what a worker does
        self._serve_abandoned = serve_abandoned  # what becomes of a socket that has no worker at the end
        self._children = Children(service.ledger, service.stop, service.config.drain_timeout_s)
        self._workers: dict[int, tuple[_Slot[Entrance], float]] = {}  # process id: its slot, when it was started
        self._vacant: list[tuple[float, _Slot[Entrance]]] = []  # from when a slot may have a new worker
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
            for slot in self._slots:
                self._start_worker(slot, report)
        except OSError as error:
            self._children.kill_and_wait()
            raise UsageError(f"can't fork {len(self._slots)} workers: {error.strerror}; ask for fewer") from error
        os.close(report_end)
        reports = 0
        while reports < len(self._slots) and (got := os.read(ready_end, len(self._slots))):
            reports += len(got)
        os.close(ready_end)
        if reports < len(self._slots):
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
        self._collect()
        if self._is_shared:
            self._empty_shared()
        served = {slot.entrance for slot, _ in self._workers.values()}
        for entrance in self._entrances:
            if entrance not in served:
                self._serve_abandoned(entrance)
        for entrance in self._entrances:
            entrance.close()
        self._children.terminate()
        deadline_s = time.monotonic() + stop.remaining_s() + _LAST_WORDS_S

        def left_s() -> float:
            return max(0.0, deadline_s - time.monotonic())

        self._children.reap()
        if not self._children.wait(left_s, lambda: self._sleep(left_s())):
            left = [slot for pid, (slot, _) in self._workers.items() if pid in self._children]
            self._service.tally[ABORTED] += sum(slot.counts.live() for slot in left)
            self._children.kill_and_wait()

    def _empty_shared(self) -> None:
        """Have the workers take all that waits at the shared socket, which is shut already.

        A signal to the whole group may have reached the workers first, and what came between has nobody to take it:
        then one more worker does. That a queue is empty is no event, so it is looked at every few milliseconds.
        """
        waiting = select.poll()
        waiting.register(self._entrances[0], select.POLLIN)
        self._children.terminate()
        while waiting.poll(0) and self._service.stop.remaining_s():
            if not self._workers:
                try:
                    self._start_worker(self._slots[0], _already_reported)
                except OSError as error:
                    log.warning("can't fork a worker for what is left: %s", error.strerror)
                    return
                self._children.terminate()
            self._sleep(_LOOK_S)
            self._collect()

    def _sleep(self, most_s: float) -> None:
        self._poller.poll(most_s * 1000)
        self._service.stop.clear()

    def _replace(self, slot: _Slot[Entrance]) -> None:
        slot.entrance.admit_again(self._service.config)  # a worker that was told to stop has closed it to strangers
        try:
            self._start_worker(slot, _already_reported)
        except OSError as error:
            log.warning("can't fork a worker, trying again: %s", error.strerror)
            self._vacant.append((time.monotonic() + _RESPAWN_S, slot))

    def _start_worker(self, slot: _Slot[Entrance], ready: Callable[[], None]) -> None:
        pid = self._children.fork(partial(self._be_worker, slot, ready))
        self._workers[pid] = (slot, time.monotonic())

    def _be_worker(self, slot: _Slot[Entrance], ready: Callable[[], None], _row: memoryview, stop: StopSignal) -> None:
        for other in self._entrances:
            if other is not slot.entrance:
                other.close()
        slot.entrance.is_shared = self._is_shared
        stop.install_in_child()
        unblock_stop_signals()
        service = self._service.in_worker(slot.counts.open(), stop, ready, slot.counts)
        self._serve(service, [slot.entrance])

    def _collect(self) -> None:
        for pid in self._children.reap():
            slot, started_s = self._workers.pop(pid)
            slot.counts.inherit()  # what it held is held no more
            self._vacant.append((max(time.monotonic(), started_s + _RESPAWN_S), slot))
        self._vacant.sort(key=lambda vacancy: vacancy[0])

    def _wait_ms(self) -> float | None:
        return max(0.0, self._vacant[0][0] - time.monotonic()) * 1000 if self._vacant else None


def _already_reported() -> None:
    """Say nothing: the server was ready before this worker took over."""
