"""Tests and intervals by resampling: sign flips over users, bootstrap over users, seeds or both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.statistics.crossed import Alternative, Outcome, without_variance
from bench.statistics.moments import ROUNDING, FloatArray

RESAMPLES = 9999
_CELLS = 4_000_000  # random numbers held at once


def sign_flip(
    differences: FloatArray,
    *,
    alternative: Alternative = "two-sided",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Outcome:
    """Fisher's randomisation test: each user's difference (U,) could as well have had the other sign.

    Exact when all 2^n sign patterns of the n users that differ are no more than `resamples` + 1; else
    p = (1 + patterns at least as extreme) / (1 + resamples), which is never 0. It gives no interval.

    Paper: R. A. Fisher, The Design of Experiments, 1935; B. Phipson, G. Smyth, SAGMB, 2010 (why the 1 is added).
    """
    # Users without a difference add nothing to any sum of flipped signs.
    x = differences[np.abs(differences) > ROUNDING]
    if not len(x):
        return Outcome(1.0, None, None)
    observed = float(x.sum())
    exact = len(x) <= np.log2(resamples + 1)
    sums = _every_sum(x) if exact else _random_sums(x, resamples, np.random.default_rng(seed))
    # Patterns that tie with the observed one must count, whatever the order of summation made of them.
    sums[np.abs(sums - observed) <= ROUNDING * float(np.abs(x).sum())] = observed
    sums[np.abs(sums + observed) <= ROUNDING * float(np.abs(x).sum())] = -observed
    extreme = int(_as_extreme(sums, observed, alternative).sum())
    return Outcome(extreme / len(sums) if exact else (1 + extreme) / (1 + resamples), None, None)


def _every_sum(x: FloatArray) -> FloatArray:
    sums = np.zeros(1)
    for value in x:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _random_sums(x: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """(resamples,) sums of x under random signs: a random byte chooses one of the 256 sums of eight users."""
    signs = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    sums = np.zeros(resamples)
    for eight in np.pad(x, (0, -len(x) % 8)).reshape(-1, 8):
        sums += (signs @ eight)[rng.integers(0, 256, resamples, dtype=np.uint8)]
    return sums


def _as_extreme(values: FloatArray, observed: float, alternative: Alternative) -> NDArray[np.bool_]:
    if alternative == "two-sided":
        return np.abs(values) >= abs(observed)
    return values >= observed if alternative == "greater" else values <= observed


def bootstrap(
    differences: FloatArray,
    level: str = "both",
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Outcome:
    """Bootstrap of the mean of differences (S, U) over `level`: "users", "seeds" or "both".

    One level resamples the means over the other and gives the BCa interval; both levels draw users and seeds
    independently and give the percentile interval. p = (1 + #{|m* − m| ≥ |m|}) / (1 + resamples).

    Paper: B. Efron, JASA, 1987 (BCa); A. Owen, Annals of Applied Statistics, 2007 (rows and columns at once).
    """
    seeds, users = differences.shape
    if (seeds == 1 and level == "seeds") or users == 1:
        return Outcome(None, None, None, "one seed" if users > 1 else "one user")
    rng = np.random.default_rng(seed)
    if level == "both":
        means = _crossed_means(differences, resamples, rng)
    else:
        values = differences.mean(axis=0 if level == "users" else 1)
        means = _crossed_means(values[None, :], resamples, rng)
    mean = float(differences.mean())
    if np.ptp(means) <= ROUNDING:
        return without_variance(mean if abs(mean) > ROUNDING else 0.0, alternative, 1 / (1 + resamples))
    extreme = int(_as_extreme(means - mean, mean, alternative).sum())
    p = (1 + extreme) / (1 + resamples)
    if level == "both":
        lo, hi = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    else:
        lo, hi = bca_interval(means, values, alpha)
    return Outcome(p, float(lo), float(hi), "one seed" if seeds == 1 else "")


def _crossed_means(x: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """(resamples,) means of x with its rows and its columns drawn with replacement, independently."""
    rows, columns = x.shape
    step, means = max(1, _CELLS // columns), []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        by_column = draw_counts(columns, size, rng) @ x.T / columns
        means.append(by_column[:, 0] if rows == 1 else (by_column * draw_counts(rows, size, rng)).sum(axis=1) / rows)
    return np.concatenate(means)


def draw_counts(n: int, size: int, rng: np.random.Generator) -> FloatArray:
    """(size, n) how often each of n was drawn in n draws."""
    drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * size).reshape(size, n).astype(np.float64)


def bca_interval(means: FloatArray, values: FloatArray, alpha: float) -> tuple[float, float]:
    """The bias-corrected and accelerated interval from bootstrap means of `values`.

    The acceleration of a mean has a closed form, so that no jackknife of U leave-one-out means is needed.
    """
    from scipy.special import ndtr, ndtri

    mean = float(values.mean())
    below = float((means < mean).mean() + (means <= mean).mean()) / 2
    bias = ndtri(below)
    centred = values - mean
    acceleration = float((centred**3).sum()) / (6 * float((centred**2).sum()) ** 1.5)
    z = bias + ndtri(np.array([alpha / 2, 1 - alpha / 2]))
    lo, hi = np.quantile(means, ndtr(bias + z / (1 - acceleration * z)))
    return float(lo), float(hi)
