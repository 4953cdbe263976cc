"""The batches that Locust's statistics are fed with (in a subprocess: Locust patches its process)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import time
import numpy as np
from locust.env import Environment
from locust.stats import bucket_response_time
from harness.schema import ErrorKind
from loadgen.histogram import Distribution
from loadgen.locust_stats import Feeder
from loadgen.tally import Life

stats = Environment().stats
life = Life()
feeder = Feeder(life, "TCP", 64, bucket_response_time)

def answer(*response_ms):
    response = Distribution()
    response.add((np.array(response_ms) * 1e6).astype(np.int64))
    life.add(np.full(len(response_ms), time.monotonic_ns()), response)

feeder.feed(stats)
assert stats.total.num_requests == 0 and not stats.entries

answer(*[2.0] * 97, 40.4, 152.0, 1250.0)
life.failed_requests = 3
life.failures.update({ErrorKind.TIMEOUT: 2, ErrorKind.RESET: 1, ErrorKind.REFUSED: 5})
feeder.feed(stats)
echo = stats.entries[("echo", "TCP")]
for entry in (echo, stats.total):
    assert entry.num_requests == 103, entry.num_requests
    assert entry.num_failures == 8, entry.num_failures
    assert sum(entry.num_reqs_per_sec.values()) == 103
    assert abs(entry.avg_response_time - (194 + 40.4 + 152 + 1250) / 100) < 1e-6
    assert (entry.min_response_time, entry.max_response_time) == (2.0, 1250.0)
    assert dict(entry.response_times) == {2: 97, 40: 1, 150: 1, 1200: 1}, entry.response_times
    assert entry.median_response_time == 2
    assert entry.total_content_length == 6400
assert {error.error: error.occurrences for error in stats.errors.values()} == {"timeout": 2, "reset": 1, "refused": 5}

feeder.feed(stats)
assert stats.total.num_requests == 103
answer(7.0)
feeder.feed(stats)
assert (stats.total.num_requests, stats.total.response_times[7], stats.total.response_times[2]) == (104, 1, 97)
assert stats.total.num_failures == 8
"""


def test_batches_add_up_to_what_single_events_would_have_made() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
