"""Become another program, on given CPUs, that is killed when the harness ends: `launch.py PARENT CPUS COMMAND...`.

What a child needs before its program starts can't be done between fork and exec in a process that has threads: Python
code there may wait for ever on a lock that another thread held. So it is done here, by a program that then replaces
itself: same process number, nothing left of it but what was set.

The kernel sends the parent-death signal when the *thread* that forked ends, so children are started from the main
thread. If the parent ended before the signal was asked for, this process has another parent by now and stops.

Run by its path in isolated mode, without anything of ours imported: it starts in some 15 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent_pid: int, cpus: set[int], command: list[str]) -> None:
    """Replace this process by the command; returns only when that failed."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("the harness ended before this program started")
    os.sched_setaffinity(0, cpus)
    os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        become(int(sys.argv[1]), {int(cpu) for cpu in sys.argv[2].split(",")}, sys.argv[3:])
    except OSError as error:
        print(f"can't start {sys.argv[3]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)
