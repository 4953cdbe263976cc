"""Payloads of a run: all of one size, or a mix of sizes.

`64` is one size; `64:0.9,4096:0.1` is a mix: nine of ten requests carry 64 bytes, one carries 4,096. Which size a
request has follows from its counter alone (a checksum of it, started with the seed, falls into one of the shares). So
nothing has to be kept for a request, whoever checks a reply knows what must stand in it, and a run with the same seed
sends the same sizes in the same order.
"""

from __future__ import annotations

import random
import zlib
from bisect import bisect_right
from itertools import accumulate

from harness.schema import Share

_WHOLE = 1 << 32


class Payloads:
    """What the requests of a run carry, by their counters."""

    def __init__(self, payloads: tuple[bytes, ...], parts: tuple[float, ...] = (1.0,), seed: int = 0) -> None:
        self.all = payloads
        self.longest_bytes = max(map(len, payloads))
        self._ends = [round(end * _WHOLE) for end in accumulate(parts)][:-1]
        self._start = zlib.crc32(seed.to_bytes(8, "big"))

    @classmethod
    def random(cls, shares: tuple[Share, ...], seed: int) -> Payloads:
        """Return payloads of random bytes, the same ones for the same seed."""
        source = random.Random(seed)
        payloads = tuple(source.randbytes(share.size_bytes) for share in shares)
        return cls(payloads, tuple(share.part for share in shares), seed)

    def of(self, counter_bytes: bytes) -> bytes:
        """Return the payload of the request with this counter, as it stands in its header."""
        return self.all[bisect_right(self._ends, zlib.crc32(counter_bytes, self._start))]
