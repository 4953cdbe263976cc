"""A gate from the first slot to the last round: trials, then rounds until no scenario needs another one.

    trial       each arm once in each scenario: does it start, is it the code it should be, what can base do?
    rounds      scenarios take turns; a round is a slot of each arm, back to back
    the end     of a scenario when the caller's `wants_more` says so; of the gate when no scenario is left

A trial is no round: nothing of it is compared. It finds what can't be compared (a scenario that base lacks, an option
that base does not know) before minutes are spent, and warms up what the first slot of a day finds cold. Base's capacity
in it sets the rate of the open windows, the same for both arms: at base's own limit head could only look worse.

Where a server fails in its trial there is a second one, in case a port was taken. If one fails in that, too, both
trials count as rounds: base's failures make the scenario INVALID, head's BROKEN.

After every round all that was measured is handed to `keep`, to be stored: a gate that is ended half way has cost
minutes, and what it measured can still be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.bench import Bench
from harness.environment import read_environment
from harness.gate.arms import Build, check_codes
from harness.gate.order import first_arm, hash_seed, round_seed, turn
from harness.gate.slots import Measured, Point, measure_slot
from harness.interrupts import Interrupted
from harness.schema.gate import Arm, GateRecord, GateRound, Metric, State, Step

SHARE_OF_CAPACITY = 0.55  # busy enough for queues to form, far enough from the limit for the schedule to be kept
STARTING_S = 1.0  # what a slot takes beside its windows, until measured ones tell
TRIALS = 2


@dataclass(frozen=True)
class Wanted:
    """What to compare. `open_window` adds one to each slot; `first_look` and `last_look` are rounds, for estimates."""

    points: tuple[Point, ...]
    seed: int
    first_look: int
    last_look: int
    open_window: bool = False
    not_compared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GateStarted:
    """A gate begins."""

    arms: Mapping[Arm, Build]
    scenarios: tuple[str, ...]
    seconds_left: float


@dataclass(frozen=True)
class SlotStarted:
    """A slot begins; `number` is 0 in a trial."""

    scenario: str
    number: int
    arm: Arm
    seconds_left: float


@dataclass(frozen=True)
class LeftOut:
    """A scenario can't be compared."""

    scenario: str
    reason: str


@dataclass(frozen=True)
class RoundMeasured:
    """A round is measured: `done` of `target` rounds can be used, and what comes next."""

    scenario: str
    round: GateRound
    done: int
    target: int
    step: Step
    seconds_left: float


Event = GateStarted | SlotStarted | LeftOut | RoundMeasured
Tell = Callable[[Event], None]
WantsMore = Callable[[Sequence[GateRound]], Step]
MeasureSlot = Callable[[Point, Build, int, int, Bench], Measured]


class Session:
    """One gate: what it has measured so far."""

    def __init__(
        self,
        wanted: Wanted,
        builds: Mapping[Arm, Build],
        bench: Bench,
        wants_more: WantsMore,
        *,
        tell: Tell,
        keep: Callable[[GateRecord], None],
        settings: Mapping[str, Any],
        measure: MeasureSlot = measure_slot,
    ) -> None:
        self._wanted, self._builds, self._bench = wanted, builds, bench
        self._wants_more, self._tell, self._keep, self._measure = wants_more, tell, keep, measure
        self._settings = {
            **settings,
            "seed": wanted.seed,
            "scenarios": {point.name: point.scenario.as_dict() | {"spin": point.spin} for point in wanted.points},
        }
        self._environment = read_environment()
        self._rounds: dict[str, list[GateRound]] = {}
        self._not_compared = dict(wanted.not_compared)
        self._open_rates: dict[str, float] = {}
        self._clock = Clock(wanted)

    def run(self) -> GateRecord:
        """Measure until nothing more is needed, or until the user asks to stop; raises GateError."""
        names = tuple(point.name for point in self._wanted.points)
        self._tell(GateStarted(self._builds, names, self._clock.left_s))
        try:
            points = {point.name: ready for point in self._wanted.points if (ready := self._trial(point)) is not None}
            self._measure_rounds(points)
        except Interrupted:
            return self.record("interrupted")
        return self.record("complete")

    def record(self, state: State) -> GateRecord:
        """Return all that has been measured."""
        return GateRecord(
            settings=self._settings | {"open_rates_per_s": dict(self._open_rates)},
            environment=self._environment,
            arms={arm: build.as_dict() for arm, build in self._builds.items()},
            rounds={name: tuple(rounds) for name, rounds in self._rounds.items()},
            started=self._environment["started"],
            state=state,
            not_compared=dict(self._not_compared),
        )

    def _trial(self, point: Point) -> Point | None:
        """Return what to measure in the rounds of a scenario, None where base can't serve it."""
        trials = self._tried(point)
        base, head = trials[-1][Arm.BASE], trials[-1][Arm.HEAD]
        if base.refused:
            self._leave_out(point, base, head)
            return None
        self._rounds[point.name] = []
        if _fails(trials[-1]):
            for number, tried in enumerate(trials, start=1):
                self._take(point, GateRound(number, Arm.BASE, tried[Arm.BASE].slot, tried[Arm.HEAD].slot))
        if not self._wanted.open_window or base.slot.failure is not None:
            return point.with_loads("closed")
        rate = float(f"{SHARE_OF_CAPACITY * base.slot.figures[Metric.THROUGHPUT]:.2g}")
        self._open_rates[point.name] = rate
        return point.with_loads("closed", f"open:{rate:.12g}")

    def _tried(self, point: Point) -> list[dict[Arm, Measured]]:
        """Return the trials of a scenario: one where both arms work or base refuses, else two."""
        trials: list[dict[Arm, Measured]] = []
        while len(trials) < TRIALS and (not trials or (_fails(trials[-1]) and not trials[-1][Arm.BASE].refused)):
            seed = round_seed(self._wanted.seed, point.name, -len(trials))
            trials.append(self._slots(point.with_loads("closed"), Arm.BASE, 0, seed))
        return trials

    def _leave_out(self, point: Point, base: Measured, head: Measured) -> None:
        too = "; so does head" if head.slot.failure is not None else ""
        reason = f"base lacks it (a new scenario){too}: {base.slot.failure}"
        self._not_compared[point.name] = reason
        self._clock.drop(point.name)
        self._tell(LeftOut(point.name, reason))
        self._keep(self.record("interrupted"))

    def _measure_rounds(self, points: Mapping[str, Point]) -> None:
        open_names = [name for name in points if self._next(name).more]
        turns = 0
        while open_names:
            for name in turn(self._wanted.seed, turns, open_names):
                self._take(points[name], self._round(points[name]))
            open_names = [name for name in open_names if self._next(name).more]
            turns += 1

    def _next(self, name: str) -> Step:
        rounds = self._rounds[name]
        return self._wants_more(rounds) if rounds else Step(True, "no round yet")

    def _round(self, point: Point) -> GateRound:
        """Measure a round; one that is redone leaves its place in the order to the next."""
        before = self._rounds[point.name]
        number = len(before) + 1
        first = first_arm(self._wanted.seed, point.name, _used(before))
        found = self._slots(point, first, number, round_seed(self._wanted.seed, point.name, number))
        return GateRound(number, first, found[Arm.BASE].slot, found[Arm.HEAD].slot, _redo(found))

    def _slots(self, point: Point, first: Arm, number: int, seed: int) -> dict[Arm, Measured]:
        found = {}
        with hash_seed(seed):
            for arm in (first, first.other):
                self._tell(SlotStarted(point.name, number, arm, self._clock.left_s))
                measure = partial(self._measure, point, self._builds[arm], number, seed, self._bench)
                found[arm] = self._clock.timed(measure)
        check_codes(self._builds, {arm: slot.code for arm, slot in found.items()})
        return found

    def _take(self, point: Point, measured: GateRound) -> None:
        """Keep a round and tell of it."""
        rounds = self._rounds[point.name]
        rounds.append(measured)
        step = self._wants_more(rounds)
        done = _used(rounds)
        target = self._wanted.first_look if done < self._wanted.first_look else self._wanted.last_look
        self._clock.expect(point.name, max(1, target - done) if step.more else 0)
        self._keep(self.record("interrupted"))
        self._tell(RoundMeasured(point.name, measured, done, target, step, self._clock.left_s))


def _used(rounds: Sequence[GateRound]) -> int:
    """Return how many rounds have figures of both arms that can be compared."""
    return sum(each.redo is None and each.base.failure is None and each.head.failure is None for each in rounds)


def _fails(tried: Mapping[Arm, Measured]) -> bool:
    return any(each.slot.failure is not None for each in tried.values())


def _redo(found: Mapping[Arm, Measured]) -> str | None:
    """Return why a round is to be redone: what the machine did to either of its slots.

    A failure stays: no machine is so busy that it makes a server give wrong answers, and on one that is always busy a
    head that never starts must not pass as noise.
    """
    if _fails(found):
        return None
    return next((slot.disturbance for slot in found.values() if slot.disturbance is not None), None)


class Clock:
    """Estimates the time left from the rounds that scenarios are expected to need, and what slots have taken so far."""

    def __init__(self, wanted: Wanted) -> None:
        windows = 2 if wanted.open_window else 1
        first = wanted.points[0].scenario if wanted.points else None
        self._slot_s = STARTING_S + (windows * (first.warmup_s + first.window_s) if first else 0.0)
        self._slots = 0
        self._spent_s = 0.0
        self._rounds_left = {point.name: wanted.first_look + 1 for point in wanted.points}

    @property
    def left_s(self) -> float:
        """Return the estimated seconds until the end of the gate."""
        slot_s = self._spent_s / self._slots if self._slots else self._slot_s
        return 2 * slot_s * sum(self._rounds_left.values())

    def timed(self, measure: Callable[[], Measured]) -> Measured:
        """Measure a slot, and its time."""
        started = time.monotonic()
        try:
            return measure()
        finally:
            self._spent_s += time.monotonic() - started
            self._slots += 1

    def expect(self, scenario: str, rounds: int) -> None:
        """Set how many rounds a scenario is expected to need yet."""
        self._rounds_left[scenario] = rounds

    def drop(self, scenario: str) -> None:
        """Expect no more of a scenario."""
        self._rounds_left[scenario] = 0
