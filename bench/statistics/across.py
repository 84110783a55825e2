"""Comparisons over several data sets: ranks, posterior of a signed-rank test, robust aggregates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.statistics.corrections import adjust
from bench.statistics.crossed import Alternative
from bench.statistics.moments import ROUNDING, FloatArray
from bench.statistics.named import wilcoxon
from datasets.errors import UserError

FEW = 5  # with fewer data sets than this Friedman's test is a poor approximation
ENOUGH_RUNS = 10  # with fewer runs on a data set the bootstrap interval of the IQM is too narrow


@dataclass(frozen=True)
class Ranks:
    """Average ranks of methods over data sets and the tests on them.

    Attributes:
        names: methods.
        ranks: (k,) average rank, 1 is best, ties share.
        chi2: Friedman's statistic, corrected for ties.
        p: its p value from χ² with k − 1 degrees of freedom.
        f: Iman and Davenport's statistic, less conservative.
        p_f: its p value from F with k − 1 and (k − 1)(N − 1) degrees of freedom.
        critical: Nemenyi's critical difference of average ranks.
        alpha: its level.
        datasets: N.
        warning: what the reader must know, or "".
    """

    names: tuple[str, ...]
    ranks: tuple[float, ...]
    chi2: float
    p: float
    f: float
    p_f: float
    critical: float
    alpha: float
    datasets: int
    warning: str


def average_ranks(names: Sequence[str], scores: FloatArray, *, alpha: float = 0.05) -> Ranks:
    """Friedman's test and Nemenyi's critical difference of scores (N data sets, k methods), larger is better.

    CD = q_α·√(k(k + 1)/(6N)), q_α the studentised range quantile for k means over √2.

    Raises:
        UserError: fewer than two data sets or three methods, or a score that is not a number.

    Paper: J. Demšar, JMLR, 2006.
    """
    from scipy import stats

    datasets, methods = _checked(names, scores, least=3)
    ranks = stats.rankdata(-scores, axis=1)
    if (ranks == ranks[:, :1]).all():  # every method ties everywhere, where Friedman's statistic is 0/0
        chi2, p = 0.0, 1.0
    else:
        chi2, p = map(float, stats.friedmanchisquare(*scores.T))
    rest = datasets * (methods - 1) - chi2
    f = (datasets - 1) * chi2 / rest if rest > 0 else float("inf")
    p_f = float(stats.f.sf(f, methods - 1, (methods - 1) * (datasets - 1)))
    q = float(stats.studentized_range.ppf(1 - alpha, methods, np.inf)) / np.sqrt(2)
    critical = float(q * np.sqrt(methods * (methods + 1) / (6 * datasets)))
    means = tuple(map(float, ranks.mean(axis=0)))
    return Ranks(tuple(names), means, chi2, p, f, p_f, critical, alpha, datasets, _few(datasets))


def cliques(ranks: Ranks) -> list[tuple[int, ...]]:
    """The longest runs of methods, best first, whose average ranks lie within the critical difference."""
    order = sorted(range(len(ranks.ranks)), key=lambda i: ranks.ranks[i])
    found: list[tuple[int, ...]] = []
    for start in range(len(order)):
        run = tuple(i for i in order[start:] if ranks.ranks[i] - ranks.ranks[order[start]] <= ranks.critical)
        if len(run) > 1 and not any(set(run) <= set(other) for other in found):
            found.append(run)
    return found


def wilcoxon_pairs(
    names: Sequence[str],
    scores: FloatArray,
    correction: str = "holm",
    alternative: Alternative = "two-sided",
    baseline: str | None = None,
    without: Collection[frozenset[str]] = (),
) -> list[tuple[str, str, float, float]]:
    """(a, b, p, adjusted p) of the signed-rank test over data sets: every pair of methods, or each and the baseline.

    The pairs of names in `without` are left out.
    """
    _, methods = _checked(names, scores, least=2)
    pairs = [(i, j) for i in range(methods) for j in range(i + 1, methods)]
    if baseline is not None:
        pairs = [(i, names.index(baseline)) for i in range(methods) if names[i] != baseline]
    pairs = [(i, j) for i, j in pairs if {names[i], names[j]} not in without]
    p = [wilcoxon(scores[:, i] - scores[:, j], alternative).p for i, j in pairs]
    adjusted = adjust(p, correction)
    return [(names[i], names[j], float(x or 0), float(q or 0)) for (i, j), x, q in zip(pairs, p, adjusted, strict=True)]


def smallest_p(datasets: int, pairs: int, correction: str = "holm", alternative: Alternative = "two-sided") -> float:
    """The smallest adjusted p that signed ranks can give: all N differences on one side, 2/2^N, in every pair."""
    least = min(1.0, (2.0 if alternative == "two-sided" else 1.0) / 2**datasets)
    return float(adjust([least] * pairs, correction)[0] or 0)


def too_few(
    datasets: int, pairs: int, alpha: float, correction: str = "holm", alternative: Alternative = "two-sided"
) -> str:
    """A sentence where no signed-rank test of these pairs can reach the level, whatever the scores; else ""."""
    least = smallest_p(datasets, pairs, correction, alternative)
    if least < alpha:
        return ""
    enough = next(n for n in range(datasets, 1000) if smallest_p(n, pairs, correction, alternative) < alpha)
    return (
        f"No signed-rank test can find a difference here: with {datasets} data sets the smallest p of {pairs} "
        f"{'pair' if pairs == 1 else 'pairs'} ({correction}) is {least:.3g}; α = {alpha:g} takes {enough} data sets."
    )


def bayesian_signed_rank(
    differences: FloatArray, rope: float, *, prior: float = 0.5, draws: int = 50_000, seed: int = 0
) -> tuple[float, float, float]:
    """Posterior probabilities that the second is better, that they are equivalent, that the first is better.

    With z_0 = 0 of prior weight `prior` beside the data sets' differences, first − second, and Dirichlet weights w,
    a draw gives each of the three the weight Σ_ij w_i w_j over the pairs whose mean (z_i + z_j)/2 lies below
    −rope, within, or above it; a probability is the share of draws in which that weight is the largest, and weights
    that tie share the draw. A mean on the very edge counts half on either side, so that without a rope nothing is
    equivalent, as in baycomp, but for methods that are equal on every data set: these are.

    Paper: A. Benavoli et al., ICML, 2014, and JMLR, 2017.
    """
    if (np.abs(differences) <= ROUNDING).all():
        return 0.0, 1.0, 0.0
    z = np.append(0.0, differences)
    sums = z[:, None] + z[None, :]
    above, below = np.heaviside(sums - 2 * rope, 0.5), np.heaviside(-sums - 2 * rope, 0.5)
    weights = _weights(len(differences), prior, draws, seed)
    right = ((weights @ above) * weights).sum(axis=1)
    left = ((weights @ below) * weights).sum(axis=1)
    within = 1 - left - right if rope > 0 else np.zeros(draws)
    each = np.array([left, within, right])
    won = each >= each.max(axis=0) - ROUNDING
    return tuple(map(float, (won / won.sum(axis=0)).mean(axis=1)))  # type: ignore[return-value]


@lru_cache(maxsize=2)
def _weights(datasets: int, prior: float, draws: int, seed: int) -> FloatArray:
    """(draws, datasets + 1) Dirichlet weights, which every pair of a table shares."""
    weights = np.random.default_rng(seed).dirichlet([prior, *np.ones(datasets)], draws)
    weights.flags.writeable = False
    return weights


def interquartile_mean(
    scores: FloatArray, *, alpha: float = 0.05, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """(value, lo, hi): mean of the middle half of scores (runs, data sets), with a stratified bootstrap interval.

    Runs are drawn anew within each data set. With fewer than `ENOUGH_RUNS` the interval is too narrow. Scores must be
    on one scale, e.g. divided by those of one method on the same data set.

    Paper: R. Agarwal et al., NeurIPS, 2021.
    """
    from scipy.stats import trim_mean

    runs, datasets = scores.shape
    drawn = np.random.default_rng(seed).integers(0, runs, (resamples, runs, datasets))
    resampled = scores[drawn, np.arange(datasets)].reshape(resamples, -1)
    lo, hi = np.quantile(trim_mean(resampled, 0.25, axis=1), [alpha / 2, 1 - alpha / 2])
    return float(trim_mean(scores, 0.25, axis=None)), float(lo), float(hi)


def performance_profile(scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """(T,) share of the runs on all data sets, scores (runs, data sets), above each threshold."""
    return np.asarray((scores.ravel()[None, :] > thresholds[:, None]).mean(axis=1), dtype=np.float64)


def _checked(names: Sequence[str], scores: FloatArray, least: int) -> tuple[int, int]:
    datasets, methods = scores.shape
    if datasets < 2 or methods < least or methods != len(names):
        raise UserError(
            f"A test over data sets needs at least 2 data sets and {least} methods, each with a name; "
            f"{datasets} and {methods} with {len(names)} names were given."
        )
    if not np.isfinite(scores).all():
        raise UserError("A method has no score on some data set; leave it out or run it there.")
    return datasets, methods


def _few(datasets: int) -> str:
    if datasets >= FEW:
        return ""
    return f"{datasets} data sets are too few for average ranks; read each table by itself."
