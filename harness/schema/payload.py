"""What requests carry: payloads of one size, or a mix of sizes with their parts."""

from __future__ import annotations

from dataclasses import dataclass

_SHARES_MAY_MISS = 1e-6


@dataclass(frozen=True)
class Share:
    """A size of payload in bytes, and the part of all requests that have it."""

    size_bytes: int
    part: float


def parse_payload(text: str) -> tuple[Share, ...]:
    """Read `64` or `64:0.9,4096:0.1`; raises ValueError with what is wrong with it."""
    shares = tuple(_share(part, alone="," not in text) for part in text.split(","))
    if abs(sum(share.part for share in shares) - 1) > _SHARES_MAY_MISS:
        raise ValueError(f"the parts of {text!r} add up to {sum(share.part for share in shares):g}, not to 1")
    if len({share.size_bytes for share in shares}) < len(shares):
        raise ValueError(f"{text!r} names a size twice")
    return shares


def _share(text: str, *, alone: bool) -> Share:
    size, colon, part = text.partition(":")
    try:
        share = Share(int(size), float(part) if colon else 1.0)
    except ValueError:
        share = Share(-1, 0.0)
    if share.size_bytes < 0 or not 0 < share.part <= 1 or (not colon and not alone):
        raise ValueError(f"{text!r} is neither a size in bytes, such as 64, nor a size and its part, such as 64:0.9")
    return share
