"""A network of one's own: what the kernel counts of datagrams, it counts for a network namespace.

A namespace belongs to a thread and to the processes that it starts. So a test that runs in a thread of its own, with a
namespace of its own, shares the counts with nobody. That takes a privilege (CAP_SYS_ADMIN); without it the test runs in
the namespace of all, where others can only add to the drops: a loss may then be overlooked, never made up.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

_CLONE_NEWNET = 0x4000_0000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)

_Result = TypeVar("_Result")


def alone(work: Callable[[], _Result]) -> _Result:
    """Do some work, and start what processes it starts, in a network namespace that has nothing but a loopback."""
    with ThreadPoolExecutor(1, initializer=_leave_the_others) as thread:
        return thread.submit(work).result()


def dropped_datagrams() -> int:
    """Return how many datagrams the kernel has dropped: no such port, no room, or a socket's filter.

    What lay in the queue of a socket that was closed is not among them.
    """
    lines = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Udp:"))
    counts = dict(zip(names[1:], map(int, values[1:]), strict=True))
    return counts["NoPorts"] + counts["InErrors"]


def _leave_the_others() -> None:
    if _libc.unshare(_CLONE_NEWNET) == 0:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    elif ctypes.get_errno() != errno.EPERM:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
