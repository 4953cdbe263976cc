"""The columns of the frames: name, type, unit, meaning. `frames` builds exactly these, in this order.

NaN stands for "there is none": a percentile that its samples can't carry, a counter that could not be read. Infinite
stands for a rank that was never answered. Columns called `_text` say the same as the report does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.schema import QUANTILES

Type = Literal["str", "int64", "float64", "bool", "object"]

# What reading a document of another shape raises.
SHAPE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)

CLOCKS = ("response_time", "service_time")
CLOCK_MEANINGS = {"response_time": "reply received minus request due", "service_time": "reply received minus sent"}


@dataclass(frozen=True)
class Column:
    """One column of a frame; `unit` is empty for what has none."""

    name: str
    type: Type
    unit: str
    meaning: str


SCENARIO = (
    Column("run", "str", "", "name of the run folder"),
    Column("file", "str", "", "the cell's file, relative to the run folder"),
    Column("condition", "str", "", "the scenario without model, options and workers: only equal ones are compared"),
    Column("label", "str", "", "the condition in words"),
    Column("model", "str", "", "what is compared: the model of the server, and its options where it was given any"),
    Column("base_model", "str", "", "concurrency model of the server alone"),
    Column("transport", "str", "", "tcp, udp, ws"),
    Column("connections", "int64", "connections", "connections that were asked for"),
    Column("idle", "int64", "connections", "connections held beside them, after one request each"),
    Column("payload", "str", "bytes", "payload as given"),
    Column("mode", "str", "", "persistent or churn"),
    Column("pipeline", "int64", "requests", "requests outstanding on a connection under closed load"),
    Column("work", "str", "", "what a request costs the server beside the echo"),
    Column("pin", "str", "", "as in the plan: auto, none, or server CPUs : load generator CPUs"),
    Column("server_cpus", "str", "", "CPUs that the server could use"),
    Column("python", "str", "", "interpreter of the server as in the plan; default is the harness's own"),
    Column("round", "int64", "", "round of the run"),
    Column("outcome", "str", "", "measured or failed"),
)

CELLS = (
    *SCENARIO,
    Column("failure", "str", "", "why it failed, in a sentence; empty when measured"),
    Column("started", "str", "", "start time, UTC"),
    Column("exit_code", "float64", "", "exit code of the server"),
    Column("timeout_s", "float64", "s", "time after which a request counts as unanswered"),
    Column("requests_total", "float64", "requests", "requests over the whole life of the server"),
    Column("server_python", "str", "", "Python version that the server said it runs"),
    Column("server_gil", "str", "", "whether it said that its interpreter lock is on: on, off, or empty"),
    Column("baseline_pss_bytes", "float64", "bytes", "PSS of the server's tree, ready and without load"),
    Column("connected_pss_bytes", "float64", "bytes", "PSS of the server's tree with all connections up"),
    Column("baseline_own_pss_bytes", "float64", "bytes", "the same without the pages of files, which others share"),
    Column("connected_own_pss_bytes", "float64", "bytes", "the same with all connections up"),
    Column("bytes_per_connection", "float64", "bytes", "growth of the own pages for one connection"),
    Column("unavailable", "object", "", "figures that could not be had, a tuple of (name, reason)"),
)


def checked(row: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    """Return a row's values of exactly these columns, each of its column's type.

    Raises TypeError or ValueError with the column's name where a value is of another type: records come from files.
    """
    return {column.name: _checked(row[column.name], column) for column in columns}


def _checked(value: object, column: Column) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "str": isinstance(value, str),
        "int64": isinstance(value, int) and number and abs(value) < 2**63,
        "float64": number,
        "bool": isinstance(value, bool),
        "object": True,
    }
    if not fits[column.type]:
        raise TypeError(f"{column.name} is {value!r}")
    return value


def _times() -> Iterator[Column]:
    for clock in CLOCKS:
        meaning = CLOCK_MEANINGS[clock]
        for name in QUANTILES:
            yield Column(f"{clock}_{name}_ns", "float64", "ns", f"{name} of {meaning}; infinite where unanswered")
            yield Column(f"{clock}_{name}_text", "str", "ms", "the same as shown: ms, `> 1 s`, or `-`")
        for name in ("min", "mean", "max"):
            yield Column(f"{clock}_{name}_ns", "float64", "ns", f"{name} of {meaning}, of the answered")


# A sweep's rates are parts of what a model can do, so they differ between models and rounds: its windows go by step.
SWEEP = (
    Column("sweep_step", "float64", "", "step of a load sweep, from 1; NaN for a window that stands alone"),
    Column("sweep_of", "float64", "", "number of steps of that sweep"),
)

WINDOWS = (
    *SCENARIO,
    Column("window", "int64", "", "place of the window in its cell, from 0"),
    Column("load", "str", "", "closed, open:RATE or open:RATE:constant"),
    Column("kind", "str", "", "closed or open"),
    Column("rate_per_s", "float64", "requests/s", "rate that an open load was asked for"),
    Column("offered_per_s", "float64", "requests/s", "requests due in an open window / its length"),
    *SWEEP,
    Column("opens_s", "float64", "s", "its opening, after that of the first window of its cell"),
    Column("window_s", "float64", "s", "length of the window"),
    Column("due", "int64", "requests", "requests due in the window (closed: sent in it)"),
    Column("sent", "int64", "requests", "requests of the window that were sent"),
    Column("responses", "int64", "replies", "replies received inside the window"),
    Column("answered", "int64", "requests", "requests of the window that were answered, also later"),
    Column("unanswered", "int64", "requests", "requests of the window that never were"),
    Column("lost", "int64", "requests", "of those, sent over UDP and not answered in time"),
    Column("late", "int64", "replies", "replies that came after the time-out of their request"),
    Column("duplicates", "int64", "replies", "replies that came again"),
    Column("reordered", "int64", "replies", "replies that were overtaken by those of later requests"),
    Column("udp_drops_server", "float64", "datagrams", "dropped by the receive buffers at the server's port"),
    Column("udp_drops_loadgen", "float64", "datagrams", "dropped by those of the load generator"),
    Column("connect_time_p50_ns", "float64", "ns", "p50 of the time to connect, under churn"),
    Column("connect_time_p99_ns", "float64", "ns", "p99 of the same"),
    Column("handshake_time_p50_ns", "float64", "ns", "p50 of the time of a handshake after it, under churn"),
    Column("handshake_time_p99_ns", "float64", "ns", "p99 of the same"),
    Column("achieved", "float64", "share", "replies inside the window to requests due in it / requests due"),
    Column("throughput_per_s", "float64", "replies/s", "replies received inside the window / its length"),
    Column("bytes_per_s", "float64", "bytes/s", "bytes of whole replies received inside the window / its length"),
    Column("errors", "int64", "errors", "errors of all kinds"),
    Column("errors_text", "str", "", "errors by kind"),
    *_times(),
    Column("send_lateness_p50_ns", "float64", "ns", "p50 of sent minus due: the instrument's own delay"),
    Column("send_lateness_p99_ns", "float64", "ns", "p99 of sent minus due"),
    Column("timeout_s", "float64", "s", "time after which a request counts as unanswered"),
    Column("jain", "float64", "0 to 1", "Jain's index of replies over connections; 1 is even"),
    Column("stalled_connections", "int64", "connections", "connections without a reply in the window"),
    Column("busy_fraction", "float64", "share", "share of the window that the load generator's engine was busy"),
    Column("generator_cpu_s", "float64", "s", "CPU time of the load generator in the window"),
    Column("pauses", "int64", "pauses", "moments in which the machine did not run the generator"),
    Column("pauses_total_ns", "float64", "ns", "all of them together"),
    Column("pauses_max_ns", "float64", "ns", "the longest of them"),
    Column("cpu_us_per_request", "float64", "us", "CPU time of the server's tree / replies received"),
    Column("cpu_user_us_per_request", "float64", "us", "its user part"),
    Column("cpu_system_us_per_request", "float64", "us", "its system part"),
    Column("cpu_user_s", "float64", "s", "user CPU time of the server's tree in the window"),
    Column("cpu_system_s", "float64", "s", "system CPU time of the server's tree in the window"),
    Column("cores_used", "float64", "CPUs", "CPU time of the server's tree / length of the window"),
    Column("idle_fraction", "float64", "share", "idle part of what the server's CPUs had (window less steal)"),
    Column("busiest_thread_share", "float64", "share", "what the server's busiest thread ran of it"),
    Column("pss_bytes", "float64", "bytes", "PSS of the server's tree with all connections up: shared pages divided"),
    Column("rss_bytes", "float64", "bytes", "RSS: shared pages counted in every process"),
    Column("uss_bytes", "float64", "bytes", "USS: pages of one process alone"),
    Column("processes", "float64", "processes", "processes of the server's tree with all connections up"),
    Column("threads", "float64", "threads", "threads of them"),
    Column("open_files", "float64", "files", "open descriptors of them"),
    Column("bytes_per_connection", "float64", "bytes", "growth of the tree's own pages for one connection"),
    Column("steal_s", "float64", "s", "CPU time that the hypervisor took"),
    Column("accounting_cores", "float64", "CPUs", "CPU time that the harness took to read all this / length"),
    Column("unavailable", "object", "", "figures that could not be had, a tuple of (name, reason)"),
    Column("limited_by", "str", "", "the verdict: generator, server, concurrency, offered_load, undetermined"),
    Column("warnings", "object", "", "kinds of warnings, a tuple"),
    Column("warnings_text", "str", "", "the warnings with their figures"),
)

PERCENTILES = (
    Column("condition", "str", "", "the scenario without model, options and workers"),
    Column("label", "str", "", "the condition in words"),
    Column("model", "str", "", "model of the server, and its options where it was given any"),
    Column("window", "int64", "", "place of the window in its cells, from 0"),
    Column("load", "str", "", "closed, open:RATE or open:RATE:constant; in a sweep that of the first round"),
    Column("kind", "str", "", "closed or open"),
    *SWEEP,
    Column("clock", "str", "", "response_time or service_time"),
    Column("name", "str", "", "p50, p90, ... for the named ones, empty between them"),
    Column("quantile", "float64", "0 to 1", "quantile of answered and unanswered requests together"),
    Column("inverse_tail", "float64", "", "1 / (1 - quantile), the axis of HdrHistogram plots"),
    Column("value_ns", "float64", "ns", "value at the quantile; infinite where unanswered"),
    Column("samples", "int64", "requests", "answered and unanswered requests of all rounds"),
    Column("unanswered", "int64", "requests", "unanswered ones of all rounds"),
    Column("rounds", "int64", "rounds", "rounds whose histograms were added up"),
    Column("timeout_s", "float64", "s", "time after which a request counts as unanswered"),
    Column("bound", "bool", "", "the load generator limited a round: values are upper bounds"),
)

_OF_A_CELL = tuple(
    column
    for column in SCENARIO
    if column.name in {"file", "condition", "label", "model", "transport", "round", "outcome"}
)

PER_SECOND = (
    *_OF_A_CELL,
    Column("window", "int64", "", "place of the window in its cell, from 0"),
    Column("load", "str", "", "closed, open:RATE or open:RATE:constant"),
    Column("kind", "str", "", "closed or open"),
    Column("index", "int64", "", "place of the second in its window, from 0"),
    Column("at_s", "float64", "s", "its beginning, after the opening of the cell's first window"),
    Column("second_s", "float64", "s", "its length: less than 1 where the window closes in it"),
    Column("responses", "int64", "replies", "replies received in it"),
    Column("throughput_per_s", "float64", "replies/s", "those / its length"),
    Column("response_time_p50_ns", "float64", "ns", "p50 of the response times of those replies"),
    Column("response_time_p99_ns", "float64", "ns", "p99 of the same"),
    Column("errors", "int64", "errors", "errors that were seen in it"),
)

RESOURCES = (
    *_OF_A_CELL,
    Column("at_s", "float64", "s", "time after the opening of the first window; without one, after the first sample"),
    Column("since_s", "float64", "s", "time since the sample before it"),
    Column("server_cores", "float64", "CPUs", "CPU time of the server's tree since the sample before it / that time"),
    Column("loadgen_cores", "float64", "CPUs", "the same of the load generator"),
    Column("server_rss_bytes", "float64", "bytes", "RSS of the server's tree: shared pages counted in every process"),
    Column("loadgen_rss_bytes", "float64", "bytes", "the same of the load generator"),
    Column("processes", "float64", "processes", "processes of the server's tree"),
    Column("threads", "float64", "threads", "threads of them"),
    Column("window", "float64", "", "place of the window that the sample lies in, from 0; NaN between windows"),
)
