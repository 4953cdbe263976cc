"""The workers that Locust's `--processes` forks, tied to the process that forked them.

Locust's workers notice the end of their master when its heartbeats stay away for a minute, and load the server all that
time. So a fork asks the kernel to be killed when its parent ends, however that ends. The kernel sends that signal when
the *thread* that forked ends, and not at all if the parent ended before it was asked: Locust forks from its main
thread, and the parent is looked at once more afterwards.
"""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int) -> None:
    """Have this process killed when its parent ends; ends it at once if the parent has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
