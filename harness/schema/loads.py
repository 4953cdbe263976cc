"""What a window's load is: closed, open at a rate, or the steps of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

MAX_RATE_PER_S = 1_000_000
MAX_SWEEP_STEPS = 50
SWEEP_STEPS = frozenset(str(number) for number in range(1, MAX_SWEEP_STEPS + 1))


class SweepStep(TypedDict):
    """Which step of a load sweep a window is: `step` of `of`, at `fraction` of the closed throughput before it."""

    step: int
    of: int
    fraction: float


@dataclass(frozen=True)
class Load:
    """One load as it is asked for: `closed`, `open:RATE`, `open:RATE:constant` or `sweep:N`.

    Open load is Poisson unless `constant`, at RATE requests/s in total. A sweep stands for N windows of open load at
    evenly spaced parts of the throughput of the closed window before it, which is only known then: what each of them
    became is an open load with `step` and `of`. `steps` is N for a sweep, 0 for others.
    """

    kind: Literal["closed", "open", "sweep"]
    rate_per_s: float = 0.0
    arrivals: Literal["poisson", "constant"] = "poisson"
    steps: int = 0
    step: int = 0
    of: int = 0

    @classmethod
    def parse(cls, text: str) -> Load:
        """Read a load as written on a command line or in a plan.

        Raises ValueError with one sentence that names the text and the forms there are.
        """
        kind, *rest = text.strip().split(":")
        if kind == "closed" and not rest:
            return cls("closed")
        if kind == "open" and len(rest) in {1, 2} and rest[1:] in ([], ["constant"], ["poisson"]):
            rate = _positive(rest[0])
            if rate is not None and rate <= MAX_RATE_PER_S:
                return cls("open", rate, "constant" if rest[1:] == ["constant"] else "poisson")
        if kind == "sweep" and len(rest) == 1 and rest[0] in SWEEP_STEPS:
            return cls("sweep", steps=int(rest[0]))
        raise ValueError(f"load {text!r} is not one of {LOAD_FORMS}")

    def __str__(self) -> str:
        """Write the load as it is read."""
        if self.kind == "closed":
            return "closed"
        if self.kind == "sweep":
            return f"sweep:{self.steps}"
        suffix = ":constant" if self.arrivals == "constant" else ""
        return f"open:{self.rate_per_s:.12g}{suffix}"

    @property
    def windows(self) -> int:
        """Return how many windows the load becomes."""
        return self.steps or 1

    @property
    def sweep(self) -> SweepStep | None:
        """Return which step of a sweep the load is, None for one that stands alone."""
        if not self.of:
            return None
        return {"step": self.step, "of": self.of, "fraction": sweep_fraction(self.step, self.of)}


LOAD_FORMS = (
    f"closed, open:RATE, open:RATE:constant (RATE in requests/s, over 0 and up to {MAX_RATE_PER_S:,}), or sweep:N "
    f"(N steps, 1 to {MAX_SWEEP_STEPS}, of the closed window before it)"
)


def sweep_fraction(step: int, of: int) -> float:
    """Return at which part of the capacity a step of a sweep lies: in the middle of its N-th, (2k - 1) / 2N."""
    return (2 * step - 1) / (2 * of)


def require_capacity(loads: Sequence[Load]) -> None:
    """Raise ValueError with a sentence where a sweep has no closed window before it to take its steps of."""
    for place, load in enumerate(loads):
        if load.kind == "sweep" and all(before.kind != "closed" for before in loads[:place]):
            raise ValueError(f"load {load} needs a closed window before it: its steps are parts of what that measures")


def window_names(loads: Sequence[str]) -> list[str]:
    """Return what the windows of these loads are called before their rates are known: `closed`, `sweep 2 of 5`."""
    names: list[str] = []
    for text in loads:
        steps = Load.parse(text).steps
        names += [sweep_name(step, steps) for step in range(1, steps + 1)] if steps else [text]
    return names


def sweep_name(step: int, of: int) -> str:
    """Return what a step of a sweep is called."""
    return f"sweep {step} of {of}"


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
