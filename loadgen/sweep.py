"""Load sweeps: how times grow with the load, from almost idle to almost full.

`sweep:5` becomes five windows of open load at 10, 30, 50, 70 and 90 % of the throughput of the closed window before
it: each step stands in the middle of its fifth, so that no step is zero and none is the capacity itself, where the
times of an open load have no limit. The capacity is that of this server in this run, measured a moment ago: a step
means the same for a slow model as for a fast one, and on a slow day as on a fast one.
"""

from __future__ import annotations

from harness.schema import MAX_RATE_PER_S, Load, sweep_fraction

LEAST_PER_S = 1.0  # also where a closed window had its first reply only after it


def expand(load: Load, throughput_per_s: float) -> tuple[Load, ...]:
    """Return the loads of the windows that a load stands for, a sweep's being Poisson.

    `throughput_per_s` is that of the closed window measured last, in replies/s; it does not matter for other loads.
    """
    return tuple(
        Load("open", _rate(throughput_per_s * sweep_fraction(step, load.steps)), step=step, of=load.steps)
        for step in range(1, load.steps + 1)
    ) or (load,)


def _rate(wanted_per_s: float) -> float:
    """Return a rate that reads well and is read as it was written."""
    return min(max(round(wanted_per_s, 1), LEAST_PER_S), float(MAX_RATE_PER_S))
