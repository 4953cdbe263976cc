"""One gate at a time on a machine: two would be each other's noise, and both would be wrong with confidence.

The lock is the kernel's, on a file in the temporary folder, and ends with the process however that ends. So a lock
file that is left behind holds nobody up. The number in it is only for the sentence that the second gate prints.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.gate.errors import GateError

LOCK_FILE = "echobench-gate.lock"


@contextmanager
def only_gate() -> Iterator[None]:
    """Hold the machine for one gate; raises GateError while another one has it."""
    try:
        path = Path(tempfile.gettempdir()) / LOCK_FILE
        descriptor = _opened(path)
    except OSError as error:
        raise GateError(f"the gate's lock can't be opened: {error}") from error
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # another user's: it can be held, not written


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
        raise GateError(
            f"another gate runs on this machine (process {owner}); two would disturb each other, so wait for its end "
            f"(its lock is {path})"
        ) from error
    with contextlib.suppress(OSError):  # another user's file, only readable: then its number is the old one
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
