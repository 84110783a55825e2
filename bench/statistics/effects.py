"""Effect sizes of a paired comparison, each with an interval over users and seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bench.statistics.crossed import crossed
from bench.statistics.moments import ROUNDING, FloatArray, Moments, moments


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
        standardised: the difference over the standard deviation of a single one, d_su, whatever the number of seeds.
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

    Every interval is that of the crossed test. The standardised one takes the deviation as known.
    """
    m = moments(a, b)
    outcome = crossed(m, alpha=alpha)
    scale = m.sd_single
    d = a - b
    wins = ((d > ROUNDING) + 0.5 * (np.abs(d) <= ROUNDING)).astype(np.float64)
    won = crossed(moments(wins), alpha=alpha)
    return Effects(
        difference=Estimate(m.mean, outcome.lo, outcome.hi),
        relative=relative(m, moments(a), moments(b), alpha),
        standardised=Estimate(*(_over(x, scale) for x in (m.mean, outcome.lo, outcome.hi))),
        superiority=Estimate(float(wins.mean()), *((_clip(won.lo), _clip(won.hi)) if np.ptp(wins) else ())),
        users_a_better=m.positive,
        users_b_better=m.negative,
        users_tied=m.users - m.positive - m.negative,
    )


def relative(d: Moments, a: Moments, b: Moments, alpha: float) -> Estimate:
    """r = mean(a)/mean(b) − 1, with the interval of every r for which a − b − r·b may have mean 0 by the crossed test.

    It holds 0 exactly where the interval of the difference does. The mean squares of d − r·b, with d = a − b, are
    MS_d − 2r·MS_db + r²·MS_b, where MS_db = (MS_a − MS_d − MS_b)/2, so that no r needs a pass over the data. No
    interval where mean(b) itself does not differ from 0: every ratio, however large, is then possible.

    Paper: E. C. Fieller, JRSS B, 1954.
    """
    if b.mean == 0:
        return Estimate(None)
    value = d.mean / b.mean
    names = ("ms_users", "ms_seeds", "ms_error")

    def slack(r: float) -> float:
        """How far the interval of d − r·b reaches beyond 0; below 0 where the test refutes r."""
        squares = {}
        for name in names:
            of_a, of_b, of_d = (getattr(m, name) for m in (a, b, d))
            squares[name] = max(of_d - r * (of_a - of_d - of_b) + r * r * of_b, 0.0)
        outcome = crossed(replace(d, mean=d.mean - r * b.mean, **squares), alpha=alpha)
        return min(-(outcome.lo or 0.0), outcome.hi or 0.0)

    base = crossed(b, alpha=alpha)
    if base.lo is None or base.hi is None or base.lo <= 0 <= base.hi:
        return Estimate(value)
    if slack(value) <= 0:  # one row is a multiple of the other
        return Estimate(value, value, value)
    return Estimate(value, *(_end(slack, value, side * (abs(value) or 1e-3)) for side in (-1, 1)))


def _end(slack: Callable[[float], float], inside: float, step: float) -> float | None:
    """Where `slack` falls below 0 on the way from `inside` along `step`, by doubling and Brent's method."""
    from scipy.optimize import brentq

    for _ in range(60):
        outside = inside + step
        if slack(outside) < 0:
            return float(brentq(slack, inside, outside, xtol=1e-15, rtol=1e-12))
        inside, step = outside, 2 * step
    return None


def _over(value: float | None, scale: float) -> float | None:
    return None if value is None or scale == 0 else value / scale


def _clip(value: float | None) -> float | None:
    return None if value is None else min(max(value, 0.0), 1.0)
