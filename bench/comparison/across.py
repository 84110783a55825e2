"""Several data sets at once: what one `Comparison` per data set says together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bench.comparison.nouns import Comparison
from bench.statistics.across import (
    ENOUGH_RUNS,
    Ranks,
    average_ranks,
    bayesian_signed_rank,
    interquartile_mean,
    too_few,
    wilcoxon_pairs,
)
from bench.statistics.moments import ROUNDING, FloatArray
from datasets.errors import UserError

EACH = ("dataset", "protocol", "users", "data", "facts", "version", "commit", "manifest", "digest")
"""What the JSON object says of each data set, as the object of its own table does."""


@dataclass(frozen=True)
class AcrossPair:
    """Two methods over all data sets.

    Attributes:
        a, b: their names.
        ranks: average rank of a − that of b; below 0 where a is better.
        nemenyi: whether it exceeds Nemenyi's critical difference; None with two methods.
        p: Wilcoxon's signed-rank test over data sets.
        p_adjusted: the same after correction over all pairs.
        a_better, equivalent, b_better: posterior probabilities of the Bayesian signed-rank test.
    """

    a: str
    b: str
    ranks: float
    nemenyi: bool | None
    p: float
    p_adjusted: float
    a_better: float
    equivalent: float
    b_better: float


@dataclass(frozen=True, eq=False)
class Across:
    """Scores, ranks, tests and aggregates of k methods on N data sets.

    Attributes:
        comparisons: one per data set.
        names: (k,) methods without a failed run on any data set.
        scores: (N, k) means over seeds and users.
        average: (k,) average rank, 1 is best.
        ranks: Friedman and Nemenyi; None with two methods.
        pairs: every two methods, or each method and the baseline.
        aggregate: (k,) interquartile mean of runs × data sets with its interval, scores over `unit` of the data set.
        runs: k arrays (seeds, N), the scores of the runs over `unit` of the data set.
        unit: what scores are divided by for the aggregate, in words.
        rope: half width of the region of practical equivalence.
        warnings: sentences for the reader.
    """

    comparisons: tuple[Comparison, ...]
    names: tuple[str, ...]
    scores: FloatArray
    average: tuple[float, ...]
    ranks: Ranks | None
    pairs: tuple[AcrossPair, ...]
    aggregate: tuple[tuple[float, float, float], ...]
    runs: tuple[FloatArray, ...]
    unit: str
    rope: float
    warnings: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets, in the order given."""
        return tuple(c.context.dataset for c in self.comparisons)

    def as_dict(self) -> dict[str, Any]:
        """The one object of `bench across --format json`."""
        first, ranks = self.comparisons[0], self.ranks
        friedman = None
        if ranks:
            names = ("chi2", "p", "f", "p_f", "critical")
            friedman = {name: v if np.isfinite(v := getattr(ranks, name)) else None for name in names}
        return {
            "datasets": list(self.datasets),
            "metric": first.metric,
            "seeds": list(first.seeds),
            "alpha": first.alpha,
            "correction": first.correction,
            "alternative": first.alternative,
            "rope": self.rope,
            "unit": self.unit,
            "friedman": friedman,
            "rows": [
                {
                    "name": name,
                    "scores": self.scores[:, i].tolist(),
                    "average_rank": self.average[i],
                    "iqm": {"mean": self.aggregate[i][0], "ci": list(self.aggregate[i][1:])},
                }
                for i, name in enumerate(self.names)
            ],
            "pairs": [dict(vars(pair)) for pair in self.pairs],
            "warnings": list(self.warnings),
            "command": first.context.command or None,
            "each": [{key: told for key, told in c.as_dict().items() if key in EACH} for c in self.comparisons],
        }


def across(comparisons: Sequence[Comparison], rope: float = 0.0) -> Across:
    """The methods of `comparisons`, which have the same rows on different data sets, over all of them.

    Scores of the aggregate are divided by the baseline's mean on the same data set, or by the mean of all methods
    where there is no baseline, so that data sets are on one scale.

    Raises:
        UserError: fewer than two data sets or two methods that ran on all, or a data set twice.
    """
    from scipy.stats import rankdata

    first = comparisons[0]
    metric, baseline = first.metric, first.baseline
    for c, other in combinations(comparisons, 2):
        if c.context.dataset == other.context.dataset:
            raise UserError(f"Two data sets are called {c.context.dataset}; give each once, under a name of its own.")
        if c.context.data.get("sha256") == other.context.data.get("sha256"):
            raise UserError(f"{c.context.dataset} and {other.context.dataset} are the same data; leave one out.")
    lost = {row.name for c in comparisons for row in c.rows if row.failed}
    chosen = [i for i, row in enumerate(first.rows) if row.name not in lost]
    names = tuple(first.rows[i].name for i in chosen)
    scores = np.array([[c.values[i][metric].mean for i in chosen] for c in comparisons])
    against = None if baseline in lost else baseline
    equal = [frozenset((pair.a, pair.b)) for pair in first.pairs if pair.equal_by_identity]
    adjusted = wilcoxon_pairs(names, scores, first.correction, first.alternative, against, equal)
    ranks = average_ranks(names, scores, alpha=first.alpha) if len(names) > 2 else None
    average = rankdata(-scores, axis=1).mean(axis=0)
    pairs = []
    for a, b, p, p_adjusted in adjusted:
        i, j = names.index(a), names.index(b)
        b_better, equivalent, a_better = bayesian_signed_rank(scores[:, i] - scores[:, j], rope)
        difference = float(average[i] - average[j])
        nemenyi = None if ranks is None else abs(difference) > ranks.critical
        pairs.append(AcrossPair(a, b, difference, nemenyi, p, p_adjusted, a_better, equivalent, b_better))
    units = scores[:, names.index(against)] if against else scores.mean(axis=1)
    if not (units > 0).all():
        raise UserError(f"A score of 0 cannot be the unit of the aggregate ({metric}); choose another baseline.")
    runs = tuple(
        np.stack([c.rows[i].metrics[metric].mean(axis=1) / unit for c, unit in zip(comparisons, units, strict=True)]).T
        for i in chosen
    )
    aggregate = tuple(interquartile_mean(scores_of_runs, alpha=first.alpha) for scores_of_runs in runs)
    return Across(
        comparisons=tuple(comparisons),
        names=names,
        scores=scores,
        average=tuple(map(float, average)),
        ranks=ranks,
        pairs=tuple(pairs),
        aggregate=aggregate,
        runs=runs,
        unit=f"the mean of {against}" if against else "the mean of all methods",
        rope=rope,
        warnings=tuple(_warnings(comparisons, names, scores, pairs, ranks, sorted(lost))),
    )


def _warnings(
    comparisons: Sequence[Comparison],
    names: Sequence[str],
    scores: FloatArray,
    pairs: Sequence[AcrossPair],
    ranks: Ranks | None,
    lost: Sequence[str],
) -> list[str]:
    first = comparisons[0]
    found = []
    if pairs and (few := too_few(len(comparisons), len(pairs), first.alpha, first.correction, first.alternative)):
        found.append(few)
    same = [
        f"{names[i]} and {names[j]}"
        for i, j in combinations(range(len(names)), 2)
        if (np.abs(scores[:, i] - scores[:, j]) <= ROUNDING).all()
    ]
    if same:
        found.append(f"Equal on every data set, so that the Bayesian test calls them equivalent: {'; '.join(same)}.")
    if ranks and ranks.warning:
        found.append(ranks.warning)
    if len(names) == 2:
        found.append("Friedman's test and ranks need three methods; two are compared by signed ranks alone.")
    if (seeds := min(len(c.seeds) for c in comparisons)) < ENOUGH_RUNS:
        found.append(
            f"The intervals of the IQM are too narrow with {seeds} {'seed' if seeds == 1 else 'seeds'}: runs are drawn "
            f"anew from these alone; {ENOUGH_RUNS} are enough."
        )
    if lost:
        found.append(f"Left out, because a run failed: {', '.join(lost)}.")
    for c in comparisons:
        found += [f"{c.context.dataset}: {warning}" for warning in c.warnings]
    return found
