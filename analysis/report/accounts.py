"""What the report says of the accounting itself: what it cost, and which figures could not be had, and why."""

from __future__ import annotations

from collections.abc import Iterator

from analysis import stats, wording
from analysis.frames import Run
from analysis.report.document import Section, Terms


def cost(run: Run) -> tuple[str, ...]:
    """Return what reading all figures took of a CPU, in a sentence; nothing where the run does not tell."""
    told = run.windows[run.windows["accounting_cores"].notna()].sort_values("accounting_cores", kind="stable")
    if told.empty:
        return ()
    shares = [float(value) for value in told["accounting_cores"]]
    row = told.iloc[-1]
    return (
        "The accounting has a cost, too: reading these figures took the harness "
        f"{wording.percent(stats.median(shares).value, 2)} of one CPU in the median over "
        f"{wording.plural(len(shares), 'window')}, and {wording.percent(shares[-1], 2)} in the window where it took "
        f"most ({row['model']}, {row['label']}, round {row['round']}). It runs on the load generator's CPUs, not on "
        "the server's, where the two are kept apart.",
    )


def unavailable(run: Run) -> Iterator[Section]:
    """Yield which figures could not be had, by their reason; nothing where there is none."""
    found: dict[str, dict[str, set[str]]] = {}
    for frame in (run.cells, run.windows):
        measured = frame[frame["outcome"] == "measured"]
        for model, pairs in zip(measured["model"], measured["unavailable"], strict=True):
            for name, why in pairs:
                of_reason = found.setdefault(why, {"figures": set(), "models": set()})
                of_reason["figures"].add(name)
                of_reason["models"].add(model)
    if found:
        terms = [
            (", ".join(sorted(each["figures"])), f"{why} (in cells of {wording.listing(sorted(each['models']))})")
            for why, each in found.items()
        ]
        yield Section("Figures that could not be had", (Terms(tuple(terms)),), level=3)
