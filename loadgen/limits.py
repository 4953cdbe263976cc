"""What the process may use: descriptors, CPUs, the platform. Looked at before a run starts, not found out in it."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

# What a run opens besides its connections: Locust's and gevent's own, the record, a little reserve.
OTHER_DESCRIPTORS = 64


class LimitError(Exception):
    """The machine or its limits do not allow what was asked; the text is a sentence for the user."""


def require_linux() -> None:
    """Raise LimitError elsewhere: the engine needs epoll, timerfd and CPU affinity."""
    if not sys.platform.startswith("linux"):
        raise LimitError(f"the load generator needs Linux (epoll, timerfd), this is {sys.platform}")


def provide_descriptors(connections: int) -> None:
    """Raise the soft limit of open files to the hard one, and check that it carries the connections.

    Raises LimitError with how many there are and how to get more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = connections + OTHER_DESCRIPTORS
    if hard not in (resource.RLIM_INFINITY, -1) and needed > hard:
        raise LimitError(
            f"{connections} connections need {needed} file descriptors and this process may open {hard}: "
            f"raise the hard limit (`ulimit -Hn {needed}` as root, LimitNOFILE= of a service) or ask for fewer"
        )


def provide_ports(host: str, connections: int) -> None:
    """Check that the system has ports enough for connections to one address, where they come from one address too.

    Towards this machine's loopback they come from many (`loadgen.dial.Sources`). Raises LimitError with how many there
    are and how to get more.
    """
    ports = ports_of_an_address()
    if connections > ports and not host.startswith("127."):
        raise LimitError(
            f"{connections} connections to {host} need as many ports and an address has {ports}: widen the range "
            "(`sysctl -w net.ipv4.ip_local_port_range='1024 65535'`), use workers on other hosts, or ask for fewer"
        )


def ports_of_an_address() -> int:
    """Return how many ports the system hands out to connections from one address."""
    least, most = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    return int(most) - int(least) + 1


def pin(cpus: tuple[int, ...]) -> None:
    """Let every thread of the process run on these CPUs only; raises LimitError when they can't be had."""
    try:
        for task in Path("/proc/self/task").iterdir():
            try:
                os.sched_setaffinity(int(task.name), cpus)
            except ProcessLookupError:  # the thread ended between listing and pinning
                continue
    except (OSError, OverflowError, ValueError) as error:
        raise LimitError(f"can not run on the CPUs {_listed(cpus)}: {error}") from error
    if missing := set(cpus) - os.sched_getaffinity(0):  # the kernel takes what there is and drops the rest silently
        raise LimitError(f"can not run on the CPUs {_listed(missing)}: the machine or its control group lacks them")


def _listed(cpus: Iterable[int]) -> str:
    return ",".join(map(str, sorted(cpus)))
