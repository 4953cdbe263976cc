"""What is checked: every model over every transport in every variant that the servers' own list offers.

A variant is a value of an option beside its default, such as `--selector poll`; it gets every check that the model
itself gets, with the option in every command. What the machine can't have is no target: that it is refused is checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STREAM, DATAGRAM = "stream", "datagram"
# In the order in which they are checked.
TRANSPORTS = ("tcp", "udp", "ws")
# What decides how a server waits and not how it drives a protocol: over tcp all of it is checked at every run.
BELOW_THE_WIRE = ("--selector", "--loop")

GIVEN_BACK_FROM_BYTES = 1 << 17

# What runs inside `hybrid` is a target of its own; how its workers accept has tests of its own (tests/integration).
INSIDE_HYBRID = ("--inner", "--accept")


@dataclass(frozen=True)
class Target:
    """What is checked, how it is started, and how long a check waits for it.

    `choices` are the options by which this model has variants over this transport (`--selector`), `lacks` the variants
    that this machine can't have, each as its options and the reason. `is_long` says that another target covers much of
    what is particular to this one.
    """

    name: str
    model: str
    command: tuple[str, ...]
    patience_s: float = 10.0
    transport: str = "tcp"
    choices: frozenset[str] = frozenset()
    lacks: tuple[tuple[tuple[str, ...], str], ...] = ()
    is_long: bool = False

    @property
    def kind(self) -> str:
        """Return the kind of the transport, STREAM or DATAGRAM."""
        return DATAGRAM if self.transport == "udp" else STREAM

    def with_exact_memory(self) -> Target:
        """Return the same target, whose allocator gives long blocks back at once.

        The C library of Linux does that only up to the longest block that was freed before, and keeps the others.
        """
        return replace(self, command=("env", f"MALLOC_MMAP_THRESHOLD_={GIVEN_BACK_FROM_BYTES}", *self.command))

    def with_few_descriptors(self, limit: int, *, hard: bool) -> Target:
        """Return the same target, started under a limit of descriptors that it can raise or, if hard, can't."""
        limited = ("sh", "-c", f'ulimit {"" if hard else "-S"} -n {limit}; exec "$@"', "sh", *self.command)
        return replace(self, command=limited)


@cache
def listing() -> dict[str, Any]:
    """Return what the servers say there is."""
    command = [sys.executable, "-m", "servers", "--list", "--json"]
    found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=30)
    assert found.returncode == 0, f"the servers can't be listed: {found.stderr}"
    said: dict[str, Any] = json.loads(found.stdout)
    return said


def targets() -> tuple[Target, ...]:
    """Return a target for every model, transport and variant that this machine can have."""
    transports = [entry["name"] for entry in listing()["transports"] if entry["available"]]
    models = [entry for entry in listing()["models"] if entry["available"]]
    assert set(transports) <= set(TRANSPORTS), f"the suite has checks for {TRANSPORTS}, the servers serve {transports}"
    return tuple(_all_targets([name for name in TRANSPORTS if name in transports], models))


def _all_targets(transports: list[str], models: list[dict[str, Any]]) -> Iterator[Target]:
    for transport in transports:
        seen: set[tuple[str, ...]] = set()
        for model in models:
            variants = [variant for variant in model["variants"] if transport in variant["transports"]]
            plain = _plain(model["name"], transport, variants)
            yield plain
            for options in [tuple(variant["options"]) for variant in variants if variant["available"]]:
                name = f"{plain.name}-{'-'.join(options[1::2])}"
                is_covered = options in seen or options[0] in INSIDE_HYBRID
                is_long = is_covered or (transport != "tcp" and options[0] in BELOW_THE_WIRE)
                yield replace(plain, name=name, command=(*plain.command, *options), is_long=is_long)
                seen.add(options)


def _plain(model: str, transport: str, variants: list[dict[str, Any]]) -> Target:
    return Target(
        f"{model}-{transport}",
        model,
        (sys.executable, "-m", "servers", "--model", model, "--transport", transport, "--port", "0"),
        transport=transport,
        choices=frozenset(variant["options"][0] for variant in variants),
        lacks=tuple((tuple(one["options"]), one["reason"]) for one in variants if not one["available"]),
    )
