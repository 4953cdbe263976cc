"""What a request costs beside being echoed: `--work`.

An echo alone measures overhead, and lets event loops always win. `cpu:100us` uses the processor for so long, by the
thread's own CPU clock: time that others take does not count. `wait:5ms` waits without using it, as for a database.
`cpu:100us+wait:5ms` does both, in that order.

Who waits how is the model's: a process or thread sleeps, a loop sets a timer and serves others meanwhile. In every
model the requests of one connection are served one after the other, and a connection is not read while one is worked
on: the same order and the same back-pressure for all.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

_UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_PART = re.compile(r"(cpu|wait):([0-9]{1,12}(?:\.[0-9]{1,12})?)(us|ms|s)")
MOST_NS = 60 * _UNITS_NS["s"]
FORMS = "echo, cpu:TIME, wait:TIME or cpu:TIME+wait:TIME, with times such as 100us, 5ms, 1s (above 0, up to 60s)"


@dataclass(frozen=True)
class Work:
    """The work of every request: CPU time first, then a wait."""

    cpu_ns: int = 0
    wait_s: float = 0.0

    def spin(self) -> None:
        """Use the CPU for the work's share of it, by this thread's own clock."""
        clock = time.thread_time_ns
        until_ns = clock() + self.cpu_ns
        while clock() < until_ns:
            pass

    def do(self) -> None:
        """Do all of it in this thread."""
        if self.cpu_ns:
            self.spin()
        if self.wait_s:
            time.sleep(self.wait_s)


def parse_work(text: str) -> Work | None:
    """Return the work that an option describes, None for `echo`; raises ValueError with a sentence."""
    if text == "echo":
        return None
    times_ns: dict[str, int] = {}
    for part in text.split("+"):
        found = _PART.fullmatch(part)
        if found is None or found[1] in times_ns or (found[1] == "cpu" and times_ns):
            raise ValueError(f"{text!r} is not {FORMS}")
        times_ns[found[1]] = round(float(found[2]) * _UNITS_NS[found[3]])
    if not all(0 < time_ns <= MOST_NS for time_ns in times_ns.values()):
        raise ValueError(f"{text!r} is not {FORMS}")
    return Work(times_ns.get("cpu", 0), times_ns.get("wait", 0) / 1e9)
