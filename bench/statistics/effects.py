"""Effect sizes of a paired comparison, each with an interval over users and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.statistics.crossed import crossed
from bench.statistics.moments import ROUNDING, moments

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; None where it is not defined."""

    value: float | None
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True)
class Effects:
    """How large the difference between a and b is, in four units.

    Attributes:
        difference: mean of a − b.
        relative: mean(a)/mean(b) − 1.
        standardised: the difference over the standard deviation, over users, of their means over seeds.
        superiority: how often a is better than b on the same user and seed, ties counting one half.
        users_a_better: users whose mean over seeds is better under a.
        users_b_better: under b.
        users_tied: under neither.
    """

    difference: Estimate
    relative: Estimate
    standardised: Estimate
    superiority: Estimate
    users_a_better: int
    users_b_better: int
    users_tied: int


def effects(a: FloatArray, b: FloatArray, *, alpha: float = 0.05) -> Effects:
    """The effect sizes of a against b, both (S, U), rows paired by seed and columns by user.

    Every interval is that of the crossed test. The relative one linearises the ratio: with r = mean(a)/mean(b) − 1
    it is the interval of the mean of (a_su − (1 + r)·b_su)/mean(b), moved to r. The standardised one takes the
    deviation as known.
    """
    m = moments(a, b)
    outcome = crossed(m, alpha=alpha)
    scale = m.sd_users
    base = float(b.mean())
    relative = Estimate(None)
    if abs(base) > ROUNDING:
        r = float(a.mean()) / base - 1
        linear = crossed(moments(a / base, b * ((1 + r) / base)), alpha=alpha)
        relative = Estimate(r, *(None if x is None else r + x for x in (linear.lo, linear.hi)))
    d = a - b
    wins = ((d > ROUNDING) + 0.5 * (np.abs(d) <= ROUNDING)).astype(np.float64)
    won = crossed(moments(wins), alpha=alpha)
    return Effects(
        difference=Estimate(m.mean, outcome.lo, outcome.hi),
        relative=relative,
        standardised=Estimate(*(_over(x, scale) for x in (m.mean, outcome.lo, outcome.hi))),
        superiority=Estimate(float(wins.mean()), *((_clip(won.lo), _clip(won.hi)) if np.ptp(wins) else ())),
        users_a_better=m.positive,
        users_b_better=m.negative,
        users_tied=m.users - m.positive - m.negative,
    )


def _over(value: float | None, scale: float) -> float | None:
    return None if value is None or scale == 0 else value / scale


def _clip(value: float | None) -> float | None:
    return None if value is None else min(max(value, 0.0), 1.0)
