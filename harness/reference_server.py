"""The fastest server at hand, to see what the load generator itself can do.

Against a server that costs almost nothing, the load generator is the limit. Small C programs are such servers, one a
transport (`reference/`), built into a scratch folder where there is a C compiler. Where there is none, or it fails, the
fastest of our own models takes their place: what is reached against it may be that model's limit, which the verdict of
each window tells.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.catalogue import Catalogue
from harness.matrix import ForeignServer

FOLDER = Path(__file__).resolve().parent / "reference"
SOURCES = {"tcp": "echo_server.c", "udp": "udp_echo_server.c", "ws": "ws_echo_server.c"}
COMPILERS = ("cc", "gcc", "clang")
BUILD_TIMEOUT_S = 60
# Ours from the fastest on, as far as they differ on one CPU; whatever else is offered comes after them.
FASTEST_FIRST = ("selectors", "asyncio", "thread", "hybrid", "fork")


class BuildError(Exception):
    """A reference server can't be built, as one sentence."""


@dataclass(frozen=True)
class Opponent:
    """A server to measure against: its name in tables, and how it is started (None: one of our models)."""

    name: str
    foreign: ForeignServer | None = None


def find_compiler() -> str | None:
    """Return the path of a C compiler, or None."""
    return next((path for name in COMPILERS if (path := shutil.which(name))), None)


def our_models(catalogue: Catalogue) -> list[Opponent]:
    """Return our models that are available, the fastest first."""
    there = [choice.name for choice in catalogue.models if choice.available]
    known = [name for name in FASTEST_FIRST if name in there]
    return [Opponent(name) for name in dict.fromkeys(known + there)]


def reference_servers(
    transports: Sequence[str], compiler: str | None, folder: Path
) -> tuple[dict[str, Opponent], list[str]]:
    """Build the reference server of each transport into a folder; return those there are, and why others are not."""
    if compiler is None:
        return {}, [f"there is no C compiler ({', '.join(COMPILERS)}): the fastest of our models takes its place"]
    built: dict[str, Opponent] = {}
    notes = []
    for transport in transports:
        if transport not in SOURCES:
            continue
        try:
            program = build(SOURCES[transport], compiler, folder)
        except BuildError as error:
            notes.append(f"{error}: the fastest of our models takes its place")
            continue
        built[transport] = Opponent(SOURCES[transport], ForeignServer((str(program), "{port}"), (transport,)))
    return built, notes


def build(source: str, compiler: str, folder: Path) -> Path:
    """Compile one of the reference programs into a folder and return its path; raises BuildError."""
    target = folder / source.removesuffix(".c")
    command = [compiler, "-O2", "-o", str(target), str(FOLDER / source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{Path(compiler).name} can't compile {source} ({error})") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BuildError(f"{Path(compiler).name} can't compile {source} ({last})")
    return target
