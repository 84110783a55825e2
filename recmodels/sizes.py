"""Which batch fits so many training rows, and which learning rate fits a batch."""

from __future__ import annotations

import math

SMALLEST = 1024
SIZES = ((3_000_000, 8192), (300_000, 4096))  # from so many training rows on, so many a step
RATE, EXPONENT = 0.007, 0.25  # of the smallest batch, and how it grows with the batch; docs/protocol.md says from where


def batch_for(rows: int) -> int:
    """Rows of a step where there are so many training rows: 1,024, from 300,000 on 4,096, from 3 million on 8,192."""
    return next((size for least, size in SIZES if rows >= least), SMALLEST)


def rate_for(batch_size: int) -> float:
    """0.007 · (batch_size / 1,024)^¼, to two digits."""
    return float(f"{RATE * math.pow(batch_size / SMALLEST, EXPONENT):.2g}")
