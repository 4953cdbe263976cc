"""The report's chapters behind the figures: every cell, the machine, the method and its limits, what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from analysis import wording
from analysis.frames import Run
from analysis.ranking import SERIOUS
from analysis.report import accounts, sections
from analysis.report.document import Bullets, Entry, Head, Paragraph, Row, Section, Table, Terms
from analysis.report.entries import NONE
from analysis.views import ConditionView, planned_models
from harness.schema import LimitedBy, sweep_name

CELL_HEADS = (
    Head("Cell"),
    Head("Model"),
    Head("Round", number=True),
    Head("Load"),
    Head("Throughput, replies/s", number=True),
    Head("Response time p50, ms", number=True),
    Head("Response time p99, ms", number=True),
    Head("CPU time per request, µs", number=True),
    Head("Memory (PSS), MB", number=True),
    Head("Generator busy, %", number=True),
    Head("Limited by"),
    Head("Warnings or failure"),
)

METHOD = (
    "A cell is one model in one round: a fresh server process and one load generator, its windows one after the other "
    "over the same connections, after a warm-up. The order inside a round is shuffled anew with the plan's seed, so "
    "that drift of the machine hits all models alike. Every reply is compared with what was sent.",
    "Closed load: every connection sends its next request when the reply to the last one has come. It measures "
    "capacity. Open load: requests are due at times fixed beforehand, whatever the server does. It measures response "
    "time under a load. The two are never put on one axis.",
    "Coordinated omission: a load generator that waits for a slow reply before it sends the next request leaves out "
    "just the requests that would have waited longest. Response time counts from the moment a request was due, so a "
    "stall is seen by every request that it delays.",
    "The run is the sample, not the request. Figures are medians over rounds with the exact interval between two order "
    "statistics; below 6 rounds that interval cannot reach 95 % and the range is given, and named so. Models are "
    "compared inside rounds: the Hodges-Lehmann estimate of the ratio and the interval that inverts the signed-rank "
    "test. Where it holds 1, the models are a tie and share their places. No correction is made for the number of "
    "pairs that are compared.",
    "A percentile is given when about ten requests lie beyond it: p99 from 1,000 requests, p99.9 from 10,000.",
)
LIMITS = (
    "Load generator and server share one machine and talk over loopback: no network card, no interrupts of one, no "
    "loss, no distance. Absolute figures do not carry over to a network; ratios between models may.",
    "On few CPUs, which CPUs the server may use decides more than the model does: threads that take turns at the "
    "interpreter lock run better on one CPU than on two, and several processes cannot show a gain on one. Every table "
    "names the server's CPUs.",
    "An echo without work measures the overhead of a model and nothing else, which favours event loops.",
    "Few rounds give wide intervals, and a tie means that this run cannot tell, not that the models are equal.",
    "A virtual machine shares its CPUs with others: steal and pauses are measured and warned of, not removed.",
)


def cells(run: Run, views: Sequence[ConditionView]) -> Iterator[Section]:
    """Yield the table of every cell, a condition each: a row a window, each leading to the cell's file."""
    note = "Every figure of this report comes from these files: its row leads here, and each row here to its file."
    yield Section("Every cell", (Paragraph(note if views else "This run holds no cell that can be read."),))
    for view in views:
        rows = []
        for model in view.models:
            anchor = sections.anchor(view, model)
            for row in _model_rows(run, view, model):
                rows.append(Row(row, anchor))
                anchor = ""
        caption = f"Server CPUs: {view.cells['server_cpus'].iloc[0]}. One row a window."
        table = Table(caption, CELL_HEADS, tuple(rows), wide=True)
        name = f"{sections.anchor(view)}-cells"
        yield Section(view.label, (table,), level=3, anchor=name, folded=len(views) > 1)


def _model_rows(run: Run, view: ConditionView, model: str) -> Iterator[tuple[Entry, ...]]:
    own = view.cells[view.cells["model"] == model].sort_values("round")
    for _, cell in own.iterrows():
        windows = run.windows[run.windows["file"] == cell["file"]]
        if cell["outcome"] != "measured" or windows.empty:
            yield _failed_row(cell)
            continue
        for _, window in windows.iterrows():
            yield _window_row(cell, window)


def _failed_row(cell: pd.Series[Any]) -> tuple[Entry, ...]:
    words = f"failed: {cell['failure']}" if cell["outcome"] != "measured" else "no window was measured"
    words = words.replace(f"failed: {wording.IMPOSSIBLE}", wording.IMPOSSIBLE, 1)
    blanks = [NONE] * (len(CELL_HEADS) - 5)
    return (*_which(cell), Entry(wording.NOTHING), *blanks, Entry(words, doubt=True))


def _window_row(cell: pd.Series[Any], window: pd.Series[Any]) -> tuple[Entry, ...]:
    limited = window["limited_by"] == LimitedBy.GENERATOR
    closed = window["kind"] == "closed"
    # Times under closed load are connections divided by throughput: they stand in no table.
    times = [NONE if closed else _time(window, name, "<= " if limited else "") for name in ("p50", "p99")]
    doubts = [window["warnings_text"], f"errors: {window['errors_text']}" if window["errors_text"] else ""]
    return (
        *_which(cell),
        Entry(_load(window)),
        Entry((">= " if limited else "") + wording.whole(window["throughput_per_s"]), sort=window["throughput_per_s"]),
        *times,
        _number(window["cpu_us_per_request"]),
        _number(cell["connected_pss_bytes"] / 1e6),
        _number(100 * window["busy_fraction"]),
        Entry(wording.verdict(window["limited_by"])),
        Entry("; ".join(text for text in doubts if text) or "none", doubt=not SERIOUS.isdisjoint(window["warnings"])),
    )


def _load(window: pd.Series[Any]) -> str:
    if math.isnan(window["sweep_step"]):
        return str(window["load"])
    return f"{window['load']} ({sweep_name(int(window['sweep_step']), int(window['sweep_of']))})"


def _time(window: pd.Series[Any], name: str, sign: str) -> Entry:
    value, text = float(window[f"response_time_{name}_ns"]), str(window[f"response_time_{name}_text"])
    if math.isnan(value):
        return NONE
    return Entry(text, sort=value, doubt=True) if math.isinf(value) else Entry(sign + text, sort=value)


def _which(cell: pd.Series[Any]) -> tuple[Entry, Entry, Entry]:
    """Return the cell by the name of its file, its model and its round."""
    file = str(cell["file"])
    name = Entry(PurePosixPath(file).stem, href=file)
    return name, Entry(str(cell["model"])), Entry(str(cell["round"]), sort=float(cell["round"]))


def _number(value: float) -> Entry:
    return Entry(wording.number(value), sort=float(value))


def environment(run: Run) -> Section:
    """Return the machine and its software, and the plan, as the run recorded them."""
    captions = {
        "environment": "As recorded when the run was started.",
        "limits": "What this machine allowed then: no cell that needs more was started.",
        "plan": "The plan as it was measured.",
    }
    tables = []
    for key, caption in captions.items():
        rows = tuple(Row((Entry(name), Entry(value))) for name, value in _flat(run.document.get(key)))
        if rows:
            tables.append(Table(caption, (Head(key.capitalize()), Head("Value")), rows, wide=True))
    return Section("Environment", tuple(tables) or (Paragraph("The run recorded no environment."),))


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested tables with their path in words."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}, {key}" if name else str(key))
    elif name:
        yield name.replace("_", " "), _leaf(value)


def _leaf(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(f"[{_leaf(item)}]" if isinstance(item, list) else _leaf(item) for item in value) or "none"
    return str(value)


def method(run: Run, views: Sequence[ConditionView]) -> Iterator[Section]:
    """Yield how it was measured, what the words mean that occur in this report, and what it can't say."""
    told = (*METHOD, *accounts.cost(run))
    yield Section("How it was measured, and what it cannot say", tuple(Paragraph(text) for text in told))
    yield Section("What it cannot say", (Bullets(LIMITS),), level=3)
    yield from accounts.unavailable(run)
    windows = pd.concat([window.rows for view in views for window in view.windows] or [pd.DataFrame()])
    if windows.empty:
        return
    verdicts = set(windows["limited_by"])
    kinds = {kind for found in windows["warnings"] for kind in found}
    limits = [(wording.verdict(kind), text) for kind, text in wording.VERDICT_MEANINGS.items() if kind in verdicts]
    doubts = [(wording.warning_word(kind), text) for kind, text in wording.WARNING_MEANINGS.items() if kind in kinds]
    yield Section("Limited by: the verdicts in this report", (Terms(tuple(limits)),), level=3)
    if doubts:
        yield Section("Warnings in this report", (Terms(tuple(doubts)),), level=3)


def missing(run: Run) -> tuple[str, ...]:
    """Return what is not there or could not be read, a sentence each."""
    document = run.document
    sentences = [text.replace(f"{run.path}/", "") for text in run.problems]
    order = document.get("order")
    planned = [str(entry.get("file")) for entry in order if isinstance(entry, dict)] if isinstance(order, list) else []
    shown = set(run.cells["file"])
    absent = [file for file in planned if file not in shown]
    if absent:
        sentences.append(
            f"{len(absent)} of {wording.plural(len(planned), 'planned cell')} cannot be shown: {_first(absent)}."
        )
    never = sorted(set(planned_models(document)) - set(run.cells["base_model"]))
    if never:
        sentences.append(f"The plan names {wording.listing(never)}, of which there is no cell.")
    if document.get("state") not in (None, "done"):
        sentences.append(f"The run is marked {document['state']}: it may be incomplete.")
    left_out = document.get("left_out")
    sentences += [f"Left out by the plan: {text}" for text in left_out] if isinstance(left_out, list) else []
    return tuple(sentences)


def _first(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def problems(run: Run) -> Section:
    """Return what is missing, or that nothing is."""
    sentences = missing(run)
    return Section(
        "Problems found when reading",
        (Bullets(sentences) if sentences else Paragraph("None: every planned cell is there and could be read."),),
    )
