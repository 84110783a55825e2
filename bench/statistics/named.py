"""Tests by name: each takes the paired table of two rows and says p and an interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.statistics.crossed import Alternative, Outcome, crossed, seeds_t, users_t
from bench.statistics.moments import Moments
from datasets.errors import unknown

FloatArray = NDArray[np.float64]

TESTS = {
    "crossed": "users and seeds both random, crossed; never below `t` or `seeds-t`",
    "t": "paired t over users of their means over seeds; blind to training noise",
    "seeds-t": "paired t over seeds of their means over users; blind to the choice of users",
}


def run_test(
    name: str,
    a: FloatArray,  # noqa: ARG001
    b: FloatArray,  # noqa: ARG001
    m: Moments,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> Outcome:
    """What test `name` says of a − b, both (S, U) with rows paired by seed and columns by user.

    Args:
        name: one of `TESTS`.
        a: (S, U) values of the one row.
        b: (S, U) values of the other.
        m: the moments of a − b.
        alpha: 1 − the level of the interval.
        alternative: "greater" asks whether a is better than b, larger values being better.

    Raises:
        UserError: a test nobody knows.
    """
    if name == "crossed":
        return crossed(m, alpha=alpha, alternative=alternative)
    if name == "t":
        return users_t(m, alpha=alpha, alternative=alternative)
    if name == "seeds-t":
        return seeds_t(m, alpha=alpha, alternative=alternative)
    raise unknown("test", name, TESTS)
