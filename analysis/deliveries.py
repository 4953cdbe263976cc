"""What the transport itself tells, in the report: what became of datagrams, and how long connects took under churn.

Views of a run in, sections out; a run that has neither gets no such chapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis import entries, leaderboard, wording
from analysis.document import Entry, Head, Paragraph, Row, Section, Table
from analysis.sections import WHO, who
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


def datagrams(views: Sequence[ConditionView]) -> Iterator[Section]:
    """Yield what became of datagrams, a table a window."""
    tables = [
        _table(view, window, COUNTS)
        for view in views
        for window in view.windows
        if (window.rows["transport"] == "udp").any()
    ]
    if tables:
        yield Section("What became of datagrams", (Paragraph(DATAGRAMS_NOTE), *tables))


def connects(views: Sequence[ConditionView]) -> Iterator[Section]:
    """Yield how long connects took under churn, a table a window."""
    tables = [
        _connect_table(view, window)
        for view in views
        for window in view.windows
        if (window.rows["mode"] == "churn").any()
    ]
    if tables:
        yield Section("Connect time under churn", (Paragraph(CONNECTS_NOTE), *tables))


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
