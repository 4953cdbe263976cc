"""Servers under the C client over UDP: what parsing costs each model.

    python -m benchmarks datagrams [--rounds 7] [--seconds 1.5]

64 sockets, 64 bytes, one datagram outstanding on each, a fresh server for every figure. The C client begins when each
socket has been answered once: the peers of `fork` and `thread` are made by then. A datagram that has no reply within a
second counts as lost and is followed by the next.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from benchmarks import pairs, programs

PARSED_LEAST = 0.80


def run(rounds: int, seconds: float) -> str:
    """Measure and return the tables as Markdown."""
    texts = [programs.header("Servers under the reference client over UDP, 64 sockets, 64 bytes")]
    lost: Counter[str] = Counter()
    for model in programs.MODELS:
        unparsed = f"{model}, unparsed"
        variants = {
            model: partial(_measure, programs.our_server(model, transport="udp"), seconds, lost, raw=False),
            unparsed: partial(_measure, programs.peer("unparsed", model, "udp"), seconds, lost, raw=True),
        }
        figures = pairs.alternate(variants, rounds)
        texts.append(pairs.table(figures, [(pairs.ratio(figures, model, unparsed), PARSED_LEAST)]) + "\n")
    found = ", ".join(f"{count} by {command}" for command, count in lost.items() if count)
    texts.append(f"Lost datagrams: {found or 'none'}; expected: none.")
    return "\n".join(texts)


def _measure(command: list[str], seconds: float, lost: Counter[str], *, raw: bool) -> float:
    with programs.server(command) as ready:
        load = programs.reference_load(ready["port"], seconds, transport="udp", raw=raw)
    lost[" ".join(command[1:])] += load["lost"]
    return float(load["throughput_per_s"])
