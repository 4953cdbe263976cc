"""What a request costs beside its echo, as plans and servers write it: `echo`, `cpu:100us`, `wait:5ms`, or both."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_PART = re.compile(r"(cpu|wait):([0-9]{1,12}(?:\.[0-9]{1,12})?)(us|ms|s)")
_MOST_NS = 60 * _UNITS_NS["s"]
WORK_FORMS = (
    '"echo", "cpu:TIME", "wait:TIME" or "cpu:TIME+wait:TIME", with times such as 100us, 5ms, 1s (above 0, up to 60s)'
)


@dataclass(frozen=True)
class WorkTimes:
    """How long a request uses a CPU, and how long it then waits without one; nothing of both for `echo`."""

    cpu_ns: int = 0
    wait_ns: int = 0

    @property
    def total_s(self) -> float:
        """Return what one request takes when nothing is in its way."""
        return (self.cpu_ns + self.wait_ns) / 1e9


def parse_work(text: str) -> WorkTimes:
    """Read the work of a request; raises ValueError with what is allowed."""
    if text == "echo":
        return WorkTimes()
    times_ns: dict[str, int] = {}
    for part in text.split("+"):
        found = _PART.fullmatch(part)
        if found is None or found[1] in times_ns or (found[1] == "cpu" and times_ns):
            raise ValueError(WORK_FORMS)
        times_ns[found[1]] = round(float(found[2]) * _UNITS_NS[found[3]])
    if not all(0 < time_ns <= _MOST_NS for time_ns in times_ns.values()):
        raise ValueError(WORK_FORMS)
    return WorkTimes(times_ns.get("cpu", 0), times_ns.get("wait", 0))
