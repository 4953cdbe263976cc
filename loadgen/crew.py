"""The workers as their master sees them: who they are, and whether they still live.

A record that lacks one worker's part is no record, so the end of any worker ends the run, soon. A worker on the same
machine is watched through its process descriptor (`pidfd`), which tells of its end at once, however it came and whoever
its parent is. One elsewhere is missed when its heartbeats stay away, which takes Locust some three seconds, or when it
takes leave of Locust's master itself.

The workers that `--processes` forks are watched from their first moment on: Locust would wait for ever for one that
ended before it was connected.
"""

from __future__ import annotations

import os
import select
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gevent.monkey
import psutil

from loadgen.messages import Here, here

MISSING = "missing"  # Locust's word for a worker without heartbeats


class Leash:
    """A process that is watched; closed when nobody asks any more."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._fd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._fd = None

    def has_ended(self) -> bool:
        """Tell whether the process has ended."""
        if self._fd is None:
            return True
        look: select.poll = gevent.monkey.get_original("select", "poll")()
        look.register(self._fd, select.POLLIN)
        return bool(look.poll(0))

    def close(self) -> None:
        """Watch no longer."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Forks:
    """Worker processes that this process has forked."""

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self._leashes = [Leash(pid) for pid in pids]

    @classmethod
    def of_this_process(cls) -> Forks:
        """Return all children that there are."""
        return cls(child.pid for child in psutil.Process().children())

    def ended(self) -> str | None:
        """Return what a sentence calls one that has ended, if any has."""
        return next((f"worker process {leash.pid}" for leash in self._leashes if leash.has_ended()), None)

    def forget_ended(self) -> None:
        """Watch only those that live."""
        ended = [leash for leash in self._leashes if leash.has_ended()]
        for leash in ended:
            self._leashes.remove(leash)
            leash.close()


@dataclass
class Member:
    """A worker of a test; what it has told of itself is None until then."""

    client_id: str
    place: int
    here: Here | None = None
    leash: Leash | None = None

    def __str__(self) -> str:
        """Return how a sentence names it."""
        return f"worker {self.place}" + (f" (process {self.here.pid} on {self.here.host})" if self.here else "")


class Crew:
    """The workers of one test, each at its place; `runner` is Locust's, of a master.

    The order is that in which Locust deals users to them: where they can't be dealt evenly, the first have one more.
    """

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        workers = runner.clients.ready + runner.clients.running + runner.clients.spawning
        self.members = [Member(client_id, place) for place, client_id in enumerate(_in_order(workers))]
        self._known = set(runner.clients)  # those that are missing among them
        self._places = {member.client_id: place for place, member in enumerate(self.members)}

    def place_of(self, client_id: str) -> int | None:
        """Return the place of a worker, None for one that came later."""
        return self._places.get(client_id)

    def introduce(self, place: int, said: Here) -> None:
        """Note where a worker runs, and watch its process where that is possible."""
        member = self.members[place]
        member.here = said
        if said.pid_space == here().pid_space:
            member.leash = Leash(said.pid)

    def lost(self) -> Member | None:
        """Return a worker that has ended, if any has."""
        return next((member for member in self.members if self._is_lost(member)), None)

    def _is_lost(self, member: Member) -> bool:
        if member.leash is not None and member.leash.has_ended():
            return True
        client = self._runner.clients.get(member.client_id)
        return client is None or client.state == MISSING

    def newcomer(self) -> bool:
        """Tell whether a worker has come that was not there when the test began."""
        return any(client_id not in self._known for client_id in self._runner.clients)

    def close(self) -> None:
        """Watch no longer."""
        for member in self.members:
            if member.leash is not None:
                member.leash.close()


def _in_order(workers: list[Any]) -> list[str]:
    """Return the workers' ids as Locust's dispatcher sorts them: across hosts first, then by id."""
    before: Counter[str] = Counter()
    ranked = []
    for client_id in sorted(worker.id for worker in workers):
        host = client_id.split("_")[0]
        ranked.append((before[host], client_id))
        before[host] += 1
    return [client_id for _, client_id in sorted(ranked)]
