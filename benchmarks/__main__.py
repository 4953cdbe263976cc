"""`python -m benchmarks [NAME ...]`: run benchmarks and print their tables as Markdown; progress goes to stderr."""

from __future__ import annotations

import argparse
import importlib

NAMES = (
    "generator",
    "timing",
    "stall",
    "verdicts",
    "accounting",
    "models",
    "variants",
    "datagrams",
    "websocket",
    "cost",
    "work",
    "growth",
    "deal",
    "limits",
)


def main() -> None:
    """Run what was asked for, one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Run on a machine with nothing else to do."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="alternating rounds (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.5, metavar="S", help="length of one figure (%(default)s)")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(NAMES)):
        parser.error(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}")
    for name in options.names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        print(module.run(options.rounds, options.seconds), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
