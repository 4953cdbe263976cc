"""Locust's own statistics, fed in batches, so that its web interface, CSV files and console show the truth.

An event for every request costs eleven Python calls, more than the request itself. So what was counted since the last
time is put into a detached entry, and that is added to Locust's (the very code with which a master adds up the reports
of its workers). An entry's total is not derived: it is fed too. A failed request is a request without a response time,
and each failure is logged as Locust logs failures. What never went out counts as failure, not as request: Locust's
number of requests is the record's `requests_total`.

Locust's entries are looked up afresh every time: it replaces them when a test starts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.schema import ErrorKind
from loadgen.histogram import COUNTS, Ints, lower_ends_ns
from loadgen.tally import Life

NAME = "echo"
NS_PER_MS = 1e6


class Feeder:
    """Passes on what happened since it last did. `bucket` is Locust's rounding of milliseconds."""

    def __init__(self, life: Life, method: str, payload_bytes: float, bucket: Callable[[float], float]) -> None:
        self._life = life
        self._method = method
        self._payload_bytes = payload_bytes
        self._bucket = bucket
        self._counts: Ints = np.zeros(COUNTS, dtype=np.int64)
        self._answered = 0
        self._sum_ns = 0
        self._failed = 0

    def feed(self, stats: Any) -> None:
        """Add what is new to Locust's `environment.stats`."""
        life = self._life
        answered, failed = life.answered.count - self._answered, life.failed_requests - self._failed
        if answered or failed:
            batch = self._batch(stats, answered, failed)
            stats.entries[(NAME, self._method)].extend(batch)
            stats.total.extend(batch)
            self._answered, self._failed = life.answered.count, life.failed_requests
            self._sum_ns, self._counts = life.answered.sum_ns, life.answered.counts.copy()
            life.answered_per_s.clear()
        failures, life.failures = life.failures, Counter[ErrorKind]()
        for kind in failures.elements():
            stats.log_error(self._method, NAME, kind.value)

    def _batch(self, stats: Any, answered: int, failed: int) -> Any:
        entry = type(stats.total)(stats, NAME, self._method)
        now = time.time()
        entry.last_request_timestamp = now
        entry.num_requests = answered + failed
        entry.num_none_requests = failed
        entry.total_content_length = round(answered * self._payload_bytes)
        entry.num_reqs_per_sec[int(now)] += failed
        offset_s = now - time.monotonic()
        for second, count in self._life.answered_per_s.items():
            entry.num_reqs_per_sec[int(second + offset_s)] += count
        response = self._life.answered
        if answered and response.min_ns is not None and response.max_ns is not None:
            entry.total_response_time = (response.sum_ns - self._sum_ns) / NS_PER_MS
            entry.min_response_time = response.min_ns / NS_PER_MS
            entry.max_response_time = response.max_ns / NS_PER_MS
            fresh = response.counts - self._counts
            filled = np.flatnonzero(fresh)
            for value_ns, count in zip(lower_ends_ns(filled).tolist(), fresh[filled].tolist(), strict=True):
                entry.response_times[self._bucket(value_ns / NS_PER_MS)] += count
        return entry
