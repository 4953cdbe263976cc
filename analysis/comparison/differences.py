"""In what two runs differ beside what is compared: what makes them incomparable, and what is only worth knowing.

A difference of the machine, its kernel, an interpreter, a package that measures or serves, the load generator itself,
the pinning or the windows makes every ratio a figure of that difference. Such runs are refused unless the user insists,
and then the differences stand above the table. A difference of the servers' code is usually what the comparison is for,
so it is told and refuses nothing; so is one of the harness's code and of the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis import conditions
from analysis.comparison.sides import Side

UNKNOWN = "not recorded"
NONE = "none"

# Keys of a scenario that say how it was measured: two runs that differ here are matched all the same, and told apart.
SETTINGS = frozenset({"loads", "warmup_s", "window_s", "timeout_s", "pin"})

# What must be alike, by path in the environment; a path that ends in a table stands for each of its entries.
ALIKE: Mapping[str, tuple[str, ...]] = {
    "CPU model": ("cpu", "model"),
    "CPU count": ("cpu", "count"),
    "CPUs allowed": ("cpu", "allowed"),
    "CPU frequency governor": ("cpu", "governor"),
    "SMT": ("cpu", "smt"),
    "CPU turbo off": ("cpu", "turbo_off"),
    "machine": ("machine",),
    "memory in bytes": ("memory_bytes",),
    "kernel": ("kernel",),
    "virtualisation": ("virtualisation",),
    "clock source": ("clock_source",),
    "C library": ("libc",),
    "Python": ("python",),
    "Python build": ("python_build",),
    "interpreter lock": ("gil",),
    "package": ("packages",),
    "load generator's code": ("code", "loadgen"),
    "sysctl": ("sysctl",),
    "limit of": ("limits",),
    "variable": ("variables",),
}
TOLD: Mapping[str, tuple[str, ...]] = {
    "servers' code": ("code", "servers"),
    "harness's code": ("code", "harness"),
    "commit": ("git", "commit"),
    "uncommitted changes": ("git", "dirty"),
}
OWN_PACKAGE = "package echobench"  # its version goes with the code, which is told


@dataclass(frozen=True)
class Difference:
    """One thing in which the sides differ, with the values of both in words."""

    name: str
    a: str
    b: str

    @property
    def words(self) -> str:
        """The difference as part of a sentence: `kernel (A: Linux 6.1, B: Linux 6.18)`."""
        return f"{self.name} (A: {self.a}, B: {self.b})"


def unlike(a: Side, b: Side) -> tuple[Difference, ...]:
    """Return what makes two runs incomparable; nothing for two sides of one run."""
    if a.run is b.run:
        return ()
    one, other = _environment(a), _environment(b)
    if not one or not other:
        words = [UNKNOWN if not known else "recorded" for known in (one, other)]
        return (Difference("environment", *words),)
    return tuple(found for found in _compared(one, other, ALIKE) if found.name != OWN_PACKAGE)


def told(a: Side, b: Side) -> tuple[Difference, ...]:
    """Return the differences of code that are worth knowing."""
    return () if a.run is b.run else tuple(_compared(_environment(a), _environment(b), TOLD))


def of_scenarios(
    pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], but: frozenset[str]
) -> tuple[Difference, ...]:
    """Return in what matched scenarios differ, `but` in what is varied; each difference once."""
    found = [
        Difference(key, *(conditions.text(scenario[key]) if key in scenario else UNKNOWN for scenario in pair))
        for pair in pairs
        for key in sorted(pair[0].keys() | pair[1].keys())
        if key not in but and pair[0].get(key) != pair[1].get(key)
    ]
    return tuple(dict.fromkeys(found))


def of_servers(pairs: Iterable[tuple[set[str], set[str]]]) -> tuple[Difference, ...]:
    """Return where matched cells ran under interpreters that are not the same, as the servers themselves said."""
    found = [
        Difference("Python of the server", ", ".join(sorted(one)), ", ".join(sorted(other)))
        for one, other in pairs
        if one and other and one != other
    ]
    return tuple(dict.fromkeys(found))


def _environment(side: Side) -> Mapping[str, Any]:
    found = side.run.document.get("environment")
    return found if isinstance(found, dict) else {}


def _compared(
    one: Mapping[str, Any], other: Mapping[str, Any], paths: Mapping[str, tuple[str, ...]]
) -> Iterator[Difference]:
    for name, path in paths.items():
        left, right = dict(_leaves(name, _at(one, path))), dict(_leaves(name, _at(other, path)))
        # Of a table, an entry that one side lacks is not there; of a single value it was not recorded.
        lacking = NONE if any(isinstance(_at(each, path), dict) for each in (one, other)) else UNKNOWN
        for leaf in dict.fromkeys((*left, *right)):
            if left.get(leaf) != right.get(leaf):
                yield Difference(leaf, left.get(leaf, lacking), right.get(leaf, lacking))


def _at(table: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = table
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield a value in words under its name, a table's entries each; nothing for null."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name} {key}", inner)
    elif value is not None:
        yield name, conditions.text(value)
