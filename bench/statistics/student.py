"""Student's t for one number at a time, without the second that importing scipy.special takes; many go to scipy."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from bench.statistics.moments import FloatArray

TINY = 1e-300
SERIES = (-1 / 8, 0.0, 1 / 192, 0.0, -1 / 640, 0.0, 17 / 14336, 0.0, -31 / 18432)


def below(df: FloatArray | float, t: FloatArray | float) -> FloatArray:
    """P(T ≤ t) for T of Student's t with `df` degrees of freedom."""
    if np.ndim(df) or np.ndim(t):
        from scipy.special import stdtr

        return np.asarray(stdtr(df, t), np.float64)
    return np.asarray(_below(float(np.asarray(df)), float(np.asarray(t))))


def quantile(df: FloatArray | float, p: float) -> FloatArray:
    """The t with P(T ≤ t) = p."""
    if np.ndim(df):
        from scipy.special import stdtrit

        return np.asarray(stdtrit(df, p), np.float64)
    return np.asarray(_quantile(float(np.asarray(df)), p))


def _below(df: float, t: float) -> float:
    if math.isnan(t):
        return math.nan
    tail = 0.5 * _both(df, abs(t))
    return tail if t < 0 else 1.0 - tail


def _both(df: float, t: float) -> float:
    """P(|T| > t), t ≥ 0: the regularised incomplete beta function at df/(df + t²) with df/2 and 1/2."""
    if math.isinf(t) or t == 0:
        return 1.0 if t == 0 else 0.0
    a, ratio = df / 2, t * t / df
    x, rest = 1 / (1 + ratio), ratio / (1 + ratio)
    front = math.exp(_beta(a) - a * math.log1p(ratio) + 0.5 * math.log(rest))
    if x < (a + 1) / (a + 2.5):
        return front * _fraction(a, 0.5, x) / a
    return 1.0 - front * _fraction(0.5, a, rest) / 0.5


def _beta(a: float) -> float:
    """log Γ(a + 1/2) − log Γ(a) − log Γ(1/2); a series for large a, where the two would cancel."""
    if a < 30:
        return math.lgamma(a + 0.5) - math.lgamma(a) - 0.5 * math.log(math.pi)
    return 0.5 * math.log(a / math.pi) + sum(c / a ** (k + 1) for k, c in enumerate(SERIES))


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method (DLMF 8.17.22)."""
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > TINY else TINY)
    found = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 + numerator * d, 1 + numerator / c
            d = 1 / (d if abs(d) > TINY else TINY)
            c = c if abs(c) > TINY else TINY
            found *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return found


@lru_cache(maxsize=4096)  # a table asks for the same few again and again
def _quantile(df: float, p: float) -> float:
    if not 0 < p < 1 or not df > 0:
        return math.nan if not 0 <= p <= 1 or not df > 0 else math.copysign(math.inf, p - 0.5)
    if p <= 0.5:
        return -_quantile(df, 1 - p) if p < 0.5 else 0.0
    wanted, u = math.log(2 * (1 - p)), 0.0  # Newton's method for log P(|T| > e^u), concave in u
    for _ in range(100):
        t = math.exp(u)
        both = _both(df, t)
        density = math.exp(_beta(df / 2) - 0.5 * math.log(df) - (df + 1) / 2 * math.log1p(t * t / df))
        step = (math.log(both) - wanted) * both / (2 * density * t)
        u += max(-1.0, min(1.0, step))
        if abs(step) < 1e-15:
            break
    return math.exp(u)
