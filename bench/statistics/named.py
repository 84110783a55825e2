"""Tests by name: each takes the paired table of two rows and says p and an interval."""

from __future__ import annotations

import numpy as np

from bench.statistics.crossed import Alternative, Outcome, crossed, seeds_t, users_t
from bench.statistics.moments import ROUNDING, FloatArray, Moments
from bench.statistics.pooled import Stability, crossed_pooled
from bench.statistics.resampling import RESAMPLES, bootstrap, sign_flip
from datasets.errors import unknown

EXACT = 50
"""As many differences as scipy computes signed ranks of exactly where nothing ties."""

OTHER_NAMES = {"ttest": "t", "paired-t": "t", "student": "t", "signed-rank": "wilcoxon", "sign-flip": "permutation"}
TESTS = {
    "crossed": "users and seeds both random, crossed; never below `t` or `seeds-t`",
    "crossed-pooled": "crossed, with the seeds' variance of each row from all rows; needs five rows and five seeds",
    "t": "paired t over users of their means over seeds; blind to training noise",
    "seeds-t": "paired t over seeds of their means over users; blind to the choice of users",
    "wilcoxon": "signed ranks over users of their means over seeds; no interval",
    "permutation": "sign flips over users of their means over seeds, exact for few users; no interval",
    "bootstrap": "percentile interval over users and seeds drawn independently",
    "bootstrap-users": "BCa interval over users",
    "bootstrap-seeds": "BCa interval over seeds",
}


def run_test(
    name: str,
    a: FloatArray,
    b: FloatArray,
    m: Moments,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    stability: Stability | None = None,
    resamples: int = RESAMPLES,
) -> Outcome:
    """What test `name` says of a − b, both (S, U) with rows paired by seed and columns by user.

    Args:
        name: one of `TESTS`.
        a: (S, U) values of the one row.
        b: (S, U) values of the other.
        m: the moments of a − b.
        alpha: 1 − the level of the interval.
        alternative: "greater" asks whether a is better than b, larger values being better.
        stability: what `crossed-pooled` knows of a and b from the other rows.
        resamples: draws of `permutation` and the bootstraps.

    Raises:
        UserError: a test nobody knows.
    """
    if name == "crossed":
        return crossed(m, alpha=alpha, alternative=alternative)
    if name == "crossed-pooled":
        return crossed_pooled(m, stability, alpha=alpha, alternative=alternative)
    if name == "t":
        return users_t(m, alpha=alpha, alternative=alternative)
    if name == "seeds-t":
        return seeds_t(m, alpha=alpha, alternative=alternative)
    if name == "wilcoxon":
        return wilcoxon((a - b).mean(axis=0), alternative)
    if name == "permutation":
        return sign_flip((a - b).mean(axis=0), alternative=alternative, resamples=resamples)
    if name.startswith("bootstrap") and name in TESTS:
        level = name.partition("-")[2] or "both"
        return bootstrap(a - b, level, alpha=alpha, alternative=alternative, resamples=resamples)
    raise unknown("test", name, TESTS, OTHER_NAMES)


def wilcoxon(differences: FloatArray, alternative: Alternative = "two-sided") -> Outcome:
    """Wilcoxon's signed-rank test of the differences (U,) of users or data sets; those without one are left out.

    Exact with ties and without for up to `EXACT` differences, else scipy's normal approximation.

    Paper: F. Wilcoxon, Biometrics Bulletin, 1945.
    """
    from scipy import stats

    x = np.round(differences[np.abs(differences) > ROUNDING], 12)  # what differs by rounding alone must tie in rank
    if not len(x):
        return Outcome(1.0, None, None)
    if len(x) > EXACT:
        return Outcome(float(stats.wilcoxon(x, alternative=alternative).pvalue), None, None)
    less, greater = _signed_ranks(x)
    p = {"less": less, "greater": greater, "two-sided": min(1.0, 2 * min(less, greater))}[alternative]
    return Outcome(p, None, None)


def _signed_ranks(x: FloatArray) -> tuple[float, float]:
    """P(W ≤ w) and P(W ≥ w) of the sum w of the ranks of positive x, each sign being a fair coin.

    Ranks that ties share are halves, so that twice a rank is whole: rank after rank, the number of sign patterns that
    give each sum is added up, which is exact in float64 as far as 2^n is.
    """
    from scipy import stats

    ranks = np.round(2 * stats.rankdata(np.abs(x))).astype(np.int64)
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] += ways[:-rank].copy()
    w = int(ranks[x > 0].sum())
    return float(ways[: w + 1].sum() / 2 ** len(x)), float(ways[w:].sum() / 2 ** len(x))
