"""False-positive rates of the tests by A/A comparisons of real runs; in simulation: `bench.pages.simulate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.statistics.moments import FloatArray, moments
from bench.statistics.named import TESTS, run_test
from bench.statistics.pooled import Stability, stability_variances
from datasets.errors import UserError


@dataclass(frozen=True)
class FalsePositives:
    """How often one test called a variant different from itself.

    Attributes:
        test: name of the test.
        alpha: level.
        rate: share of the splits with p < alpha; a split without a p value is no rejection.
        lo: lower end of the 95 % interval of the rate, given these runs.
        hi: upper end.
        splits: A/A comparisons made.
        without_p: comparisons for which the test had no p value.
    """

    test: str
    alpha: float
    rate: float
    lo: float
    hi: float
    splits: int
    without_p: int


def same_against_same(
    values: FloatArray,
    seeds: int,
    *,
    tests: Sequence[str] = tuple(TESTS),
    alphas: Sequence[float] = (0.01, 0.05, 0.10),
    splits: int = 1000,
    seed: int = 0,
) -> list[FalsePositives]:
    """False-positive rates on real runs of one variant, where every difference is training noise.

    Each split draws two disjoint sets of `seeds` runs from `values` (N, U) and compares them as if they were two
    variants; the runs left over make the other rows, at most seven, that `crossed-pooled` asks for, and resampling
    tests draw 999 times. Splits share runs: the interval is Wilson's at the number of independent splits that a
    jackknife over runs says these are worth, which lies between N // (2·seeds) and `splits`.

    Raises:
        UserError: fewer than 2·seeds runs, or an unknown test.
    """
    runs = len(values)
    if seeds < 2 or runs < 2 * seeds:
        raise UserError(
            f"{runs} runs do not make two disjoint sets of {seeds} seeds; give at least two seeds a side and "
            f"{2 * max(seeds, 2)} runs, better 40."
        )
    rng, means = np.random.default_rng(seed), values.mean(axis=1)
    chosen = np.zeros((splits, runs), dtype=bool)
    p = np.ones((len(tests), splits))
    missing = np.zeros(len(tests), dtype=int)
    for i in range(splits):
        order = rng.permutation(runs)
        chosen[i, order[: 2 * seeds]] = True
        a, b = values[order[:seeds]], values[order[seeds : 2 * seeds]]
        m = moments(a, b)
        rows = min(runs // seeds, 9)
        of_a, of_b = stability_variances(means[order[: rows * seeds]].reshape(rows, seeds))[:2] if rows > 2 else (0, 0)
        known = Stability(float(of_a), float(of_b), rows)
        for j, test in enumerate(tests):
            found = run_test(test, a, b, m, stability=known, resamples=999).p
            missing[j] += found is None
            p[j, i] = 1.0 if found is None else found
    table = []
    for j, test in enumerate(tests):
        for alpha in alphas:
            rejected = p[j] < alpha
            rate = float(rejected.mean())
            worth = min(max(_worth(rejected, chosen), runs // (2 * seeds)), splits)
            table.append(FalsePositives(test, alpha, rate, *_wilson(rate, worth), splits, int(missing[j])))
    return table


def _worth(rejected: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float:
    """Independent splits with the jackknife variance that leaving out one run after the other gives the rate."""
    rate, runs = float(rejected.mean()), chosen.shape[1]
    without = [rejected[~chosen[:, run]] for run in range(runs)]
    rates = np.array([x.mean() for x in without if len(x)])
    if len(rates) < runs:  # every split holds every run: nothing can be left out
        return 0.0
    variance = float((runs - 1) / runs * np.square(rates - rates.mean()).sum())
    return rate * (1 - rate) / variance if variance > 0 else 0.0


def _wilson(rate: float, n: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a rate seen in n trials (E. B. Wilson, JASA, 1927)."""
    centre, spread = rate + z * z / (2 * n), z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, float((centre - spread) / (1 + z * z / n))), float((centre + spread) / (1 + z * z / n))
