"""When a trial is given up: its best so far lies below a floor that finished rounds of the same cell set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WARM_UP = 10  # epochs that every trial gets, and more where a schedule runs longer
AT_LEAST = 5  # finished trials that floors come from
QUANTILE = 0.25  # of their best so far: a trial below it is among the worst quarter


def floors(curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """(E,) for each epoch the lower quartile of the best so far of these curves; empty where there are too few.

    A curve that ended keeps its best. Only whole trainings count: one that was given up says little of later epochs.
    """
    if len(curves) < AT_LEAST:
        return ()
    longest = max(map(len, curves))
    best = [np.maximum.accumulate([*curve, *[-np.inf] * (longest - len(curve))]) for curve in curves]
    return tuple(float(f"{value:.6g}") for value in np.quantile(best, QUANTILE, axis=0))


def given_up(curve: Sequence[float], below: Sequence[float], settled: int) -> int | None:
    """The first epoch, from 1, at which training ends for the floors `below`; None where it goes on to its own end.

    Args:
        curve: validation metric after each epoch so far.
        below: floors by epoch; the last one holds for what comes after.
        settled: the epoch in which the last schedule ends.
    """
    best = -np.inf
    for epoch, value in enumerate(curve, start=1):
        best = max(best, value)
        if below and epoch >= max(WARM_UP, settled) and best < below[min(epoch, len(below)) - 1]:
            return epoch
    return None
