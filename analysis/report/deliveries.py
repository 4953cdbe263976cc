"""What the transport itself tells, in the report: what became of datagrams, and how long connects took under churn.

Views of a run in, sections out; a run that has neither gets no such chapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis import wording
from analysis.figures import unanswered
from analysis.prominence import MOST_SHOWN
from analysis.report import entries, leaderboard
from analysis.report.document import Block, Entry, Head, Paragraph, Row, Section, Table
from analysis.report.sections import WHO, Draw, who
from analysis.views import ConditionView, WindowView

DATAGRAMS_NOTE = (
    "Over UDP a request or its reply may be lost on the way, and nobody says so: a request that was not answered in "
    "time counts as lost, and ranks as infinite in every percentile. Dropped are datagrams for which a receive buffer "
    "had no room, the server's or the load generator's; on loopback there is hardly another way to lose one."
)
CONNECTS_NOTE = (
    "Every request makes a connection of its own and closes it. Connect time is what the client waits for its "
    "connection, handshake what it then waits for the answer to the opening handshake, where the transport has one; "
    "the response time above is the whole of it: connect, handshake, echo and reply."
)
PICTURES_MOST = 4  # of conditions that lost something; the tables have them all

COUNTS = {
    "Lost": "lost",
    "Late replies": "late",
    "Doubled": "duplicates",
    "Overtaken": "reordered",
    "Dropped by the server's buffers": "udp_drops_server",
    "By the load generator's": "udp_drops_loadgen",
}
CONNECT_TIMES = {
    "Connect time p50, ms": "connect_time_p50_ns",
    "Connect time p99, ms": "connect_time_p99_ns",
    "Handshake p50, ms": "handshake_time_p50_ns",
    "Handshake p99, ms": "handshake_time_p99_ns",
}


def datagrams(views: Sequence[ConditionView], draw: Draw) -> Iterator[Section]:
    """Yield what became of datagrams: how much was lost at which load, and for each condition a table a window."""
    found = [(view, _windows(view, "transport", "udp")) for view in views]
    if any(windows for _, windows in found):
        yield Section("What became of datagrams", (Paragraph(DATAGRAMS_NOTE), *_losses(views, draw)))
    for view, windows in found:
        if windows:
            yield Section(view.label, tuple(_table(view, window, COUNTS) for window in windows), level=3)


def _windows(view: ConditionView, column: str, value: str) -> list[WindowView]:
    return [window for window in view.windows if (window.rows[column] == value).any()]


def _losses(views: Sequence[ConditionView], draw: Draw) -> Iterator[Block]:
    """Yield pictures of the conditions that lost the most at one of several rates; name those that lost nothing."""
    found = []
    for place, view in enumerate(views):
        opened = [window.rows for window in view.windows if window.kind == "open"]
        if len(opened) > 1 and (opened[0]["transport"] == "udp").all():
            rows = pd.concat(opened)
            found.append((float((rows["unanswered"] / rows["due"]).max()), place, view, rows))
    lossy = sorted((each for each in found if each[0] > 0), key=lambda each: -each[0])
    for _, place, view, rows in sorted(lossy[:PICTURES_MOST], key=lambda each: each[1]):
        words = f"Requests never answered, by each model, against the offered load, {view.label}"
        yield draw(f"unanswered-{place}", words, unanswered.figure(rows, view.models, view.label))
    if rest := lossy[PICTURES_MOST:]:
        yield Paragraph(f"Less was lost in {wording.plural(len(rest), 'further condition')}, in the tables below.")
    if whole := [view.label for share, _, view, _ in found if not share > 0]:
        where = "; ".join(whole) if len(whole) <= MOST_SHOWN else wording.plural(len(whole), "condition")
        yield Paragraph(f"Every request was answered, at each rate that was offered: {where}.")


def connects(views: Sequence[ConditionView]) -> Iterator[Section]:
    """Yield how long connects took under churn, for each condition a table a window."""
    found = [(view, _windows(view, "mode", "churn")) for view in views]
    if any(windows for _, windows in found):
        yield Section("Connect time under churn", (Paragraph(CONNECTS_NOTE),))
    for view, windows in found:
        if windows:
            yield Section(view.label, tuple(_connect_table(view, window) for window in windows), level=3)


def _table(view: ConditionView, window: WindowView, counts: dict[str, str]) -> Table:
    heads = (*WHO, Head("Requests due", number=True), *(Head(title, number=True) for title in counts))
    rows = []
    for model in view.models:
        own = window.rows[window.rows["model"] == model]
        due = Entry(f"{int(own['due'].sum()):,}", sort=float(own["due"].sum()))
        rows.append(Row((*who(view, model), due, *(entries.count(own[column]) for column in counts.values()))))
    caption = f"{view.label}, {window.words}: of all rounds together."
    return Table(caption, heads, tuple(rows))


def _connect_table(view: ConditionView, window: WindowView) -> Table:
    columns = {title: name for title, name in CONNECT_TIMES.items() if window.rows[name].notna().any()}
    heads = (*WHO, Head("Connections/s", number=True), *(Head(title, number=True) for title in columns))
    rows = []
    for model in view.models:
        own = window.rows[window.rows["model"] == model]
        rate = entries.of_estimate(entries.over_rounds(own["throughput_per_s"]), wording.number)
        times = [entries.time(window, model, column) for column in columns.values()]
        rows.append(Row((*who(view, model), rate, *times)))
    caption = f"{view.label}, {window.words}. Medians over rounds; below them {leaderboard.kinds(view)}."
    return Table(caption, heads, tuple(rows))
