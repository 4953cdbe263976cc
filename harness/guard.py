"""Kill what a killed harness leaves behind: reads `+GROUP` and `-GROUP` lines, and acts when its input ends.

The parent-death signal reaches only the processes that the harness started itself. What those have started in turn
(workers, a server behind a shell) is found by its process group. This program sleeps on a pipe whose other end the
harness holds: however the harness ends, the pipe ends too, and the groups that are still entered are killed.
After an orderly end none are. It stands in a session of its own, so that Ctrl-C in the terminal does not reach it.
"""

import os
import signal
import sys


def main() -> None:
    """Keep the list until the harness is gone, then kill what is on it."""
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it ended by itself


if __name__ == "__main__":
    main()
