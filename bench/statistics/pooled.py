"""`crossed-pooled`: the crossed test with the seeds' variance of each row taken from all rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.statistics.crossed import Alternative, Outcome, crossed, t_test
from bench.statistics.moments import FloatArray, Moments

LEAST_ROWS, LEAST_SEEDS = 5, 5


def stability_variances(seed_means: FloatArray) -> FloatArray:
    """(…, K) how much each row's mean varies over seeds once the seed's mean over rows is taken off.

    With e_ks what is left of the rows × seeds table (…, K, S) after its row and its column means, and W_k = Σ_s e_ks²,

        σ_k² = (K(K − 1)·W_k − Σ_j W_j) / ((S − 1)(K − 1)(K − 2)),

    which is unbiased, also where rows differ in their variance, and can be negative.

    Paper: G. K. Shukla, Heredity, 1972.
    """
    rows, seeds = seed_means.shape[-2:]
    e = seed_means - seed_means.mean(axis=-1, keepdims=True)
    e = e - e.mean(axis=-2, keepdims=True)
    w = np.square(e).sum(axis=-1)
    total = w.sum(axis=-1, keepdims=True)
    return np.asarray((rows * (rows - 1) * w - total) / ((seeds - 1) * (rows - 1) * (rows - 2)))


def pooled_tests(
    mean: ArrayLike,
    ms_users: ArrayLike,
    ms_error: ArrayLike,
    of_a: ArrayLike,
    of_b: ArrayLike,
    users: int,
    seeds: int,
    rows: int,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> dict[str, tuple[Any, Any]]:
    """(p, half width) of Welch's test over seeds, of the crossed test with that variance, and of `t`, as arrays.

    The variance of the mean difference over seeds is (σ_a² + σ_b²)/S, by stability variances of the two rows, in place
    of MS_S/(US). Its degrees of freedom are Welch's (σ_a² + σ_b²)²/(σ_a⁴ + σ_b⁴)·(S − 1) times 2/c for what centring
    costs, where c = ((K(K − 3))² + ((K − 2)(K + 1))² + 4(K − 3))/((K − 1)(K − 2))²: for rows of equal variance
    4(S − 1)/c, twice the squared mean of σ_a² + σ_b² over its variance; 1.33 (S − 1) with 5 rows, 1.6 with 9.
    """
    mean, ms_u, ms_e, a, b = (np.asarray(x, dtype=np.float64) for x in (mean, ms_users, ms_error, of_a, of_b))
    k, n = rows, users * seeds
    c = ((k * (k - 3)) ** 2 + ((k - 2) * (k + 1)) ** 2 + 4 * (k - 3)) / ((k - 1) * (k - 2)) ** 2
    df = (a + b) ** 2 / (a**2 + b**2) * (seeds - 1) * 2 / c
    ms_s = users * (a + b)
    both = np.maximum(ms_u + ms_s - ms_e, np.maximum(ms_u, ms_s))
    parts = ms_u**2 / (users - 1) + ms_s**2 / df + ms_e**2 / ((users - 1) * (seeds - 1))
    whole = np.where(both > np.maximum(ms_u, ms_s), both**2 / parts, np.where(ms_u >= ms_s, users - 1.0, df))
    return {
        "welch": t_test(mean, (a + b) / seeds, df, alpha, alternative),
        "crossed": t_test(mean, both / n, whole, alpha, alternative),
        "t": t_test(mean, ms_u / n, np.asarray(users - 1.0), alpha, alternative),
    }


@dataclass(frozen=True)
class Stability:
    """The stability variances of the two rows of a pair, among the K rows of their table."""

    of_a: float
    of_b: float
    rows: int


def crossed_pooled(
    m: Moments, stability: Stability | None, *, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> Outcome:
    """The largest p, and the widest interval, of the three `pooled_tests`; p depends on the other rows.

    Without it is the crossed test, and the note says why: fewer than five rows that share five seeds, or a stability
    variance that is not above 0.
    """
    reason = ""
    if stability is None or stability.rows < LEAST_ROWS or m.seeds < LEAST_SEEDS:
        reason = f"fewer than {LEAST_ROWS} rows that share {LEAST_SEEDS} seeds or more"
    elif not min(stability.of_a, stability.of_b) > 0:
        reason = "a stability variance is not above 0"
    if stability is None or reason or m.users == 1:
        outcome = crossed(m, alpha=alpha, alternative=alternative)
        return replace(outcome, note=outcome.note or reason)
    tests = pooled_tests(
        m.mean,
        m.ms_users,
        m.ms_error,
        stability.of_a,
        stability.of_b,
        m.users,
        m.seeds,
        stability.rows,
        alpha=alpha,
        alternative=alternative,
    )
    half = max(float(h) for _, h in tests.values())
    return Outcome(max(float(p) for p, _ in tests.values()), m.mean - half, m.mean + half)
