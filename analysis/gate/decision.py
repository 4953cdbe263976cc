"""What a gate decides by and what it decides: its rules, its verdicts, and the decision with all its figures.

Every metric is judged as a *cost*, so that more is always worse: CPU time a request and response times as they are,
throughput turned over. A ratio of 1.08 is head costing 8 % more than base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from harness.schema.gate import Arm, Metric

EXIT_PASS = 0
EXIT_WORSE = 1
EXIT_NOTHING_COMPARED = 2
EXIT_UNDECIDED = 3


class Verdict(StrEnum):
    """What was found of a metric, a scenario, or all: the worst first."""

    BROKEN = "BROKEN"
    REGRESSION = "REGRESSION"
    INVALID = "INVALID"
    INCONCLUSIVE = "INCONCLUSIVE"
    PASS = "PASS"
    IMPROVEMENT = "IMPROVEMENT"


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the gravest of some verdicts; a pass beside an improvement is a pass. INVALID without any."""
    order = list(Verdict)
    return min(verdicts, key=order.index, default=Verdict.INVALID)


@dataclass(frozen=True)
class Rules:
    """What a gate decides by; fixed before the first round.

    `minimum_effects` are the smallest that matter, `targets` the effects that must be detectable for a PASS: both as
    shares of base's cost (0.03 is 3 %). `tolerated_share` of the rounds may be unusable, lack a figure, or have been
    limited by the load generator.
    """

    gated: tuple[Metric, ...] = (Metric.CPU, Metric.THROUGHPUT)
    first_look: int = 12
    last_look: int = 40
    screening_p: float = 0.25
    alpha: float = 0.01
    minimum_effects: Mapping[Metric, float] = field(
        default_factory=lambda: {Metric.CPU: 0.03, Metric.THROUGHPUT: 0.03, Metric.P50: 0.05, Metric.P99: 0.10}
    )
    targets: Mapping[Metric, float] = field(
        default_factory=lambda: {Metric.CPU: 0.10, Metric.THROUGHPUT: 0.10, Metric.P50: 0.10, Metric.P99: 0.25}
    )
    tolerated_share: float = 0.25

    def __post_init__(self) -> None:
        """Refuse rules that can't be followed: raises ValueError with a sentence."""
        if not self.gated:
            raise ValueError("a gate needs at least one metric to gate on")
        if not 1 <= self.first_look <= self.last_look:
            looks = f"{self.first_look} and {self.last_look}"
            raise ValueError(f"a gate looks after 1 round or more, and last no earlier than first; not after {looks}")
        if not 0 < self.alpha <= self.screening_p < 1:
            raise ValueError("a gate's levels must be: 0 < alpha <= screening_p < 1")
        if not 0 <= self.tolerated_share < 1:
            raise ValueError("the share of rounds that is tolerated must be at least 0 and below 1")
        if missing := set(Metric) - (self.minimum_effects.keys() & self.targets.keys()):
            raise ValueError(f"no minimum effect or no target is given for {', '.join(sorted(missing))}")

    def with_rounds(self, rounds: int) -> Rules:
        """Return the same rules with another last look.

        The first comes no later. More rounds than these rules have move it as well: what it overlooks, no last look
        finds.
        """
        first = max(min(self.first_look, rounds), rounds * self.first_look // self.last_look)
        return replace(self, first_look=first, last_look=rounds)

    def with_gated(self, *metrics: Metric) -> Rules:
        """Return the same rules with further metrics gated."""
        return replace(self, gated=tuple(dict.fromkeys((*self.gated, *metrics))))

    def spoilt_allowed(self, measured: int, look: int) -> int:
        """Return how many of the rounds measured so far may be unusable.

        A disturbance at the start is not held against the machine: the share is taken of no fewer rounds than a `look`
        takes that uses its allowance up.
        """
        return math.floor(self.tolerated_share * max(measured, look / (1 - self.tolerated_share)))


def read_rules(stored: Mapping[str, Any]) -> Rules:
    """Return rules from their stored form; raises KeyError, TypeError or ValueError where they are of another shape."""
    return Rules(
        gated=tuple(Metric(name) for name in stored["gated"]),
        first_look=int(stored["first_look"]),
        last_look=int(stored["last_look"]),
        screening_p=float(stored["screening_p"]),
        alpha=float(stored["alpha"]),
        minimum_effects={Metric(name): float(effect) for name, effect in stored["minimum_effects"].items()},
        targets={Metric(name): float(effect) for name, effect in stored["targets"].items()},
        tolerated_share=float(stored["tolerated_share"]),
    )


@dataclass(frozen=True)
class Pair:
    """A metric in one round: both figures, and the logarithm of head's cost over base's."""

    number: int
    first: Arm
    base: float
    head: float
    log_ratio: float


@dataclass(frozen=True)
class Row:
    """One metric of one scenario. Figures are NaN where there is none.

    `ratio` is head's cost over base's with the interval `low` to `high` of `coverage`. `p` is one-sided, for head
    costing more; `p_adjusted` is Holm's over all gated rows, NaN where not gated. `detectable` is the smallest effect
    that four of five such gates would have found, as a share; infinite where none would.
    `verdict` is None where the metric is only shown; `reason` says why in a sentence.
    """

    scenario: str
    metric: Metric
    gated: bool
    verdict: Verdict | None
    reason: str
    rounds: int
    base: float
    head: float
    ratio: float
    low: float
    high: float
    coverage: float
    p: float
    p_adjusted: float
    detectable: float
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class ScenarioDecision:
    """One scenario: rounds measured, those decided on, whether the first look sufficed, its rows, and doubts."""

    name: str
    verdict: Verdict
    reason: str
    measured: int
    used: int
    redone: int
    screened: bool
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What a gate found. `not_compared` says which scenarios were left out and why."""

    verdict: Verdict
    scenarios: tuple[ScenarioDecision, ...]
    rules: Rules
    not_compared: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the rows of all scenarios."""
        return tuple(row for scenario in self.scenarios for row in scenario.rows)

    @property
    def compared_nothing(self) -> bool:
        """Tell whether the gate has nothing to say, not for noise, but since it has no round to say it from."""
        return self.verdict is not Verdict.BROKEN and not any(each.used or each.redone for each in self.scenarios)

    def exit_code(self, strict: bool = False) -> int:
        """Return 0 pass, 1 regression or broken, 2 nothing could be compared, 3 undecided and `strict`."""
        if self.verdict in {Verdict.BROKEN, Verdict.REGRESSION}:
            return EXIT_WORSE
        if self.compared_nothing:
            return EXIT_NOTHING_COMPARED
        if strict and self.verdict in {Verdict.INVALID, Verdict.INCONCLUSIVE}:
            return EXIT_UNDECIDED
        return EXIT_PASS
