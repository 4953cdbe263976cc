"""Servers under the C client: what parsing costs each model, and how ours compare with the standard library's.

    python -m benchmarks models [--rounds 7] [--seconds 1.5]

64 connections, 64 bytes, closed load, a fresh server for every figure. The C client has no warm-up, so `fork` is
measured three times as long as the others: else the time that its 64 forks take would be a part of its figure.
"""

from __future__ import annotations

from functools import partial

from benchmarks import pairs, programs

PARSED_LEAST, STDLIB_LEAST, PLAIN_ASYNCIO_LEAST = 0.80, 0.75, 2.0


def run(rounds: int, seconds: float) -> str:
    """Measure and return the tables as Markdown."""
    texts = [programs.header("Servers under the reference client, 64 connections, 64 bytes")]
    for model in programs.MODELS:
        long = 3 * seconds if model == "fork" else seconds
        variants = {
            model: partial(_measure, programs.our_server(model), long, raw=False),
            f"{model}, unparsed": partial(_measure, programs.peer("unparsed", model), long, raw=True),
        }
        wanted = [(model, f"{model}, unparsed", PARSED_LEAST)]
        if model in ("fork", "thread"):
            name = {"fork": "ForkingTCPServer", "thread": "ThreadingTCPServer"}[model]
            variants[name] = partial(_measure, programs.peer("stdlib", model), long, raw=True)
            wanted.append((model, name, STDLIB_LEAST))
        if model == "asyncio":
            # Whether it starts in the slow state is luck; `python -m benchmarks variants` shows both.
            slow = ["env", "MALLOC_MMAP_THRESHOLD_=131072", *programs.peer("plain_asyncio")]
            variants["plain asyncio.Protocol"] = partial(_measure, slow, long, raw=True)
            wanted.append((model, "plain asyncio.Protocol", PLAIN_ASYNCIO_LEAST))
        figures = pairs.alternate(variants, rounds)
        texts.append(pairs.table(figures, [(pairs.ratio(figures, a, b), least) for a, b, least in wanted]) + "\n")
    return "\n".join(texts)


def _measure(command: list[str], seconds: float, *, raw: bool) -> float:
    with programs.server(command) as ready:
        return programs.reference_client(ready["port"], seconds, raw=raw)
