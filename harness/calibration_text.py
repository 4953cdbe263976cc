"""What a calibration says: a table, and what it means in sentences. Values in, text out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import calibration
from harness.calibration import MODES, Slot, Spread
from harness.ceiling import NEAR
from harness.schema import LimitedBy

Words = Callable[[float], str]
NOTHING = "-"
SMALL = 0.05


def print_calibration(document: Mapping[str, Any], console: Console) -> None:
    """Print a calibration: on what it was made, its figures, and what they mean."""
    slots = calibration.slots_from(document)
    cpus = [",".join(map(str, document[key])) for key in ("server_cpus", "loadgen_cpus")]
    model = (document["environment"].get("cpu") or {}).get("model") or "an unknown CPU"
    lead = f"{model}; server on CPU {cpus[0]}, load generator on CPU {cpus[1]}"
    console.print(Text(lead + (" (unpinned)" if document["pin"] == "none" else "")))
    console.print(table(slots))
    for sentence in (*document["notes"], *sentences(slots)):
        console.print(Text(f"* {sentence}"))


def table(slots: Sequence[Slot]) -> Table:
    """Return the figures of a calibration, medians and ranges, of a generator that sleeps and of one that spins."""
    made = Table(title="the load generator on this machine (median, range)", title_justify="left")
    made.add_column("what")
    for mode in MODES.values():
        made.add_column(mode, justify="right")
    for what, figures in rows(slots):
        made.add_row(Text(what), *(Text(figure) for figure in figures))
    return made


def rows(slots: Sequence[Slot]) -> Iterator[tuple[str, list[str]]]:
    """Yield what was measured, with its unit, and its figures: sleeping, then spinning."""
    for transport, server in _ceilings(slots):
        figures = [_ceiling(slots, transport, spin) for spin in MODES]
        yield f"ceiling over {transport} against {server}, replies/s", figures
    for name in ("p50", "p99"):
        figures = [_said(_lateness(slots, name, spin), _us) for spin in MODES]
        yield f"send lateness of open:2000:constant, {name}, us", figures
    yield "rate achieved of it, replies/s", [_said(_kept(slots, spin), "{:,.1f}".format) for spin in MODES]
    for length_s in calibration.lengths(slots):
        figures = [_noise(slots, length_s, spin) for spin in MODES]
        yield f"variation of identical windows of {length_s:g} s, %", figures
    yield from _neighbour_rows(slots)


def _neighbour_rows(slots: Sequence[Slot]) -> Iterator[tuple[str, list[str]]]:
    own = [calibration.chosen(slots, "neighbour", spin=spin) for spin in MODES]
    for server in sorted({slot.server for mode in own for slot in mode}):
        throughput = [calibration.spread(slot.throughput_per_s for slot in mode) for mode in own]
        yield f"throughput of {server} beside it, replies/s", [_said(found, _whole) for found in throughput]
        costs = [calibration.spread(slot.server_cpu_us_per_request for slot in mode) for mode in own]
        yield f"CPU time per request of {server} beside it, us", [_said(found, "{:.2f}".format) for found in costs]


def _ceilings(slots: Sequence[Slot]) -> list[tuple[str, str]]:
    return sorted({(slot.transport, slot.server) for slot in slots if slot.part == "ceiling"})


def _ceiling(slots: Sequence[Slot], transport: str, spin: bool) -> str:
    found = calibration.ceiling(slots, transport, spin)
    bound = "" if found is None or calibration.is_the_generators(slots, transport, spin) else ">= "
    return bound + _said(found, _whole)


def _lateness(slots: Sequence[Slot], name: str, spin: bool) -> Spread | None:
    own = calibration.chosen(slots, "timing", spin=spin)
    return calibration.spread(getattr(slot, f"send_lateness_{name}_ns") for slot in own)


def _kept(slots: Sequence[Slot], spin: bool) -> Spread | None:
    """Return the rate of replies that came inside their window to requests of the known schedule."""
    own = [slot for slot in calibration.chosen(slots, "timing", spin=spin) if slot.achieved is not None]
    return calibration.spread(slot.due / slot.window_s * (slot.achieved or 0.0) for slot in own)


def _noise(slots: Sequence[Slot], length_s: float, spin: bool) -> str:
    found = calibration.variation(slots, length_s, spin)
    return NOTHING if found is None else f"{100 * found:.1f}\nof {len(calibration.noise(slots, length_s, spin))}"


def _said(found: Spread | None, words: Words) -> str:
    """Return a median and, under it, its range."""
    if found is None:
        return NOTHING
    return words(found.median) + (f"\n{words(found.least)} to {words(found.greatest)}" if found.count > 1 else "")


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _us(value_ns: float) -> str:
    return f"{value_ns / 1e3:,.1f}"


def _rate(value: float) -> str:
    """Return a rate with the three digits that it carries."""
    return f"{float(f'{value:.3g}'):,.0f}/s"


def _time(value_ns: float) -> str:
    return f"{value_ns / 1e3:,.0f} us" if value_ns < 1e6 else f"{value_ns / 1e6:,.2f} ms"


def sentences(slots: Sequence[Slot]) -> list[str]:
    """Return what the figures mean to someone who measures servers on this machine."""
    said = [_about_ceiling(slots, transport, server) for transport, server in _ceilings(slots)]
    said += [_about_timing(slots), _about_noise(slots), _about_neighbour(slots)]
    return [sentence for sentence in said if sentence]


def _about_ceiling(slots: Sequence[Slot], transport: str, server: str) -> str:
    found = calibration.ceiling(slots, transport, spin=False)
    if found is None:
        return ""
    if not calibration.is_the_generators(slots, transport, spin=False):
        return (
            f"Over {transport} the load generator reaches at least {_rate(found.median)}: against {server} it was not "
            "the limit itself, so its ceiling is not known and no cell is marked as near it."
        )
    return (
        f"Over {transport} the load generator reaches about {_rate(found.median)} (64 connections, 64 bytes, one "
        f"process). Cells over {100 * NEAR:.0f} % of it, {_rate(NEAR * found.median)}, are marked near_ceiling: there "
        "a faster server would hardly show."
    )


def _about_timing(slots: Sequence[Slot]) -> str:
    parts = []
    for spin, mode in MODES.items():
        p50, p99 = (_lateness(slots, name, spin) for name in ("p50", "p99"))
        if p50 is not None and p99 is not None:
            parts.append(f"{_time(p50.median)} (p50) and {_time(p99.median)} (p99) when {mode}")
    if not parts:
        return ""
    return (
        f"Requests of a known schedule go out late by {', '.join(parts)}. Response times count from the moment a "
        "request was due, so differences of this size between servers are the instrument's own."
    )


def _about_noise(slots: Sequence[Slot]) -> str:
    found = {
        (length, spin): calibration.variation(slots, length, spin)
        for length in calibration.lengths(slots)
        for spin in MODES
    }
    known = {key: value for key, value in found.items() if value is not None}
    sleeping = {length: value for (length, spin), value in known.items() if not spin}
    if not sleeping:
        return ""
    longest = max(sleeping)
    spinning = known.get((longest, True))
    beside = "" if spinning is None else f" ({100 * spinning:.1f} % when spinning)"
    return (
        f"The throughput of identical windows of {longest:g} s varies by {100 * sleeping[longest]:.1f} %{beside}: two "
        "single windows that differ by less than twice that tell nothing, which is why a run has rounds."
    )


def _about_neighbour(slots: Sequence[Slot]) -> str:
    throughput = calibration.beside(slots, "throughput_per_s")
    cost = calibration.beside(slots, "server_cpu_us_per_request")
    if throughput is None or cost is None:
        return ""
    figures = (
        f"{cost.median:.2f} times the CPU time per request ({cost.least:.2f} to {cost.greatest:.2f}) and answers "
        f"{throughput.median:.2f} times as much ({throughput.least:.2f} to {throughput.greatest:.2f})"
    )
    clear = cost.least > 1 + SMALL or throughput.greatest < 1 - SMALL
    verdict = "spinning costs the server something here" if clear else "no clear cost of spinning is seen here"
    limits = [slot.limited_by for slot in calibration.chosen(slots, "neighbour")]
    if 2 * limits.count(LimitedBy.GENERATOR) > len(limits):
        verdict += "; the load generator was the limit, so how much is answered tells nothing of the server"
    return f"Next to a generator that spins, a server takes {figures}, pair by pair: {verdict}."
