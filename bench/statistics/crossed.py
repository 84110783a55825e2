"""The default test: users and seeds both random, crossed; and the two one-way tests it is never below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bench.statistics.moments import FloatArray, Moments
from bench.statistics.student import below, quantile

Alternative = Literal["two-sided", "greater", "less"]


CONSTANT = "the difference does not vary, so that its variance is 0"


@dataclass(frozen=True)
class Outcome:
    """What a test says of one paired difference.

    Attributes:
        p: p value, or None where the test says nothing (one user, one seed).
        lo: lower end of the interval, or None where the test gives none.
        hi: upper end.
        note: what the reader must know beside the numbers.
    """

    p: float | None
    lo: float | None
    hi: float | None
    note: str = ""


def crossed_tests(
    mean: ArrayLike,
    ms_users: ArrayLike,
    ms_seeds: ArrayLike,
    ms_error: ArrayLike,
    users: int,
    seeds: int,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> dict[str, tuple[Any, Any]]:
    """(p, half width of the 1 − alpha interval) of `crossed`, `t` (users) and `seeds-t`, as arrays.

    With d_su = μ + seed_s + user_u + rest_su, all random, the variance of the grand mean is estimated by

        V = max(MS_U + MS_S − MS_E, MS_U, MS_S) / (U·S)

    with Satterthwaite's degrees of freedom of whichever term is the largest:
    (MS_U + MS_S − MS_E)² / (MS_U²/(U−1) + MS_S²/(S−1) + MS_E²/((U−1)(S−1))), U − 1, or S − 1.
    The mean squares broadcast, so that a simulation passes many tables at once. Needs U ≥ 2 and S ≥ 2.

    Paper: F. E. Satterthwaite, Biometrics Bulletin, 1946; the design is that of two crossed random factors,
    e.g. H. Scheffé, The Analysis of Variance, 1959.
    """
    mean, ms_u, ms_s, ms_e = (np.asarray(x, dtype=np.float64) for x in (mean, ms_users, ms_seeds, ms_error))
    both = ms_u + ms_s - ms_e
    largest = np.maximum(both, np.maximum(ms_u, ms_s))
    parts = ms_u**2 / (users - 1) + ms_s**2 / (seeds - 1) + ms_e**2 / ((users - 1) * (seeds - 1))
    df = np.divide(both**2, parts, out=np.ones_like(parts), where=parts > 0)
    df = np.where(both >= np.maximum(ms_u, ms_s), df, np.where(ms_u >= ms_s, users - 1.0, seeds - 1.0))
    n = users * seeds
    return {
        "crossed": t_test(mean, largest / n, df, alpha, alternative),
        "t": t_test(mean, ms_u / n, np.asarray(users - 1.0), alpha, alternative),
        "seeds-t": t_test(mean, ms_s / n, np.asarray(seeds - 1.0), alpha, alternative),
    }


def t_test(
    mean: FloatArray, variance: FloatArray, df: FloatArray, alpha: float, alternative: Alternative
) -> tuple[FloatArray, FloatArray]:
    """p and half width; a mean of zero has p = 1 and a mean without variance has p = 0."""
    error = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == 0, 0.0, mean / error)
    tail = {"two-sided": -np.abs(t), "greater": -t, "less": t}[alternative]
    p = below(df, tail) * (2 if alternative == "two-sided" else 1)
    return np.asarray(p), np.asarray(quantile(df, 1 - alpha / 2) * error, dtype=np.float64)


def crossed(m: Moments, *, alpha: float = 0.05, alternative: Alternative = "two-sided") -> Outcome:
    """The default test: p is the largest of crossed, `t` and `seeds-t`, the interval the widest.

    Either one-way test alone is too bold when the other factor matters, and the crossed test alone when its
    variance is a small difference of mean squares; their maximum holds its level (docs/statistics.md).
    With one seed only users can be resampled: `t` over users, and the note says so.
    """
    if m.seeds == 1:
        outcome = users_t(m, alpha=alpha, alternative=alternative)
        return Outcome(outcome.p, outcome.lo, outcome.hi, outcome.note or "one seed")
    if m.users > 1 and m.ms_users + m.ms_seeds == 0:
        return without_variance(m.mean, alternative)
    if m.users == 1:
        return Outcome(None, None, None, "one user")
    tests = crossed_tests(
        m.mean,
        m.ms_users,
        m.ms_seeds,
        m.ms_error,
        m.users,
        m.seeds,
        alpha=alpha,
        alternative=alternative,
    )
    half = max(float(h) for _, h in tests.values())
    return Outcome(max(float(p) for p, _ in tests.values()), m.mean - half, m.mean + half)


def users_t(m: Moments, *, alpha: float = 0.05, alternative: Alternative = "two-sided") -> Outcome:
    """The paired t test over users of their means over seeds: blind to how the models were trained.

    Paper: Student, Biometrika, 1908.
    """
    return _one_way(m, m.ms_users, m.users, "one user", alpha, alternative)


def seeds_t(m: Moments, *, alpha: float = 0.05, alternative: Alternative = "two-sided") -> Outcome:
    """The paired t test over seeds of their means over users: blind to which users were asked.

    Paper: Student, Biometrika, 1908.
    """
    return _one_way(m, m.ms_seeds, m.seeds, "one seed", alpha, alternative)


def _one_way(m: Moments, mean_square: float, n: int, single: str, alpha: float, side: Alternative) -> Outcome:
    if n == 1:
        return Outcome(None, None, None, single)
    if mean_square == 0:
        return without_variance(m.mean, side)
    variance = mean_square / (m.users * m.seeds)
    p, half = t_test(np.asarray(m.mean), np.asarray(variance), np.asarray(n - 1.0), alpha, side)
    return Outcome(float(p), m.mean - float(half), m.mean + float(half))


def without_variance(mean: float, alternative: Alternative, least: float = 0.0) -> Outcome:
    """The limit of a test as the variance falls to 0: no difference has p = 1, any other p = `least` on its side."""
    if mean == 0:
        return Outcome(1.0, 0.0, 0.0)
    found = {"two-sided": True, "greater": mean > 0, "less": mean < 0}[alternative]
    return Outcome(least if found else 1.0, mean, mean, CONSTANT)
