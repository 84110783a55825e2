"""`compare`: rows of per-user metrics in, one `Comparison` out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from bench.comparison.family import Options, family, untested, wanted
from bench.comparison.guards import check_options, check_together, checked, warnings
from bench.comparison.nouns import Comparison, Context, Pair, Row, Value
from bench.statistics.crossed import Alternative, crossed
from bench.statistics.moments import moments
from datasets.errors import UserError


def compare(
    rows: Sequence[Row],
    *,
    metric: str = "ndcg@10",
    metrics: Sequence[str] = ("hr@10", "ndcg@10"),
    test: str = "crossed",
    correction: str = "holm",
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    baseline: str | None = None,
    margin: float | None = None,
    best_only: bool = False,
    context: Context,
) -> Comparison:
    """Every pair of rows, or every row against the baseline, tested on paired users and seeds.

    Users are paired by id and seeds by number. The family of the correction is the pairs of one metric.
    Rows with different seeds are paired on the seeds they share, and a warning says so. With a `margin` each pair
    is also tested for equivalence, as a family of its own.

    With `best_only`, of many rows, only the pairs with the best of them are tested. The best was chosen from the same
    numbers, so that the family is still all pairs, and the correction is Bonferroni's, which needs no p of the others.

    Raises:
        UserError: no rows; an unknown metric, test, correction or baseline; rows that share a name or run, or
            whose users, data or protocol differ; a value that is not a number; a pair without a shared seed.
    """
    metrics = tuple(dict.fromkeys((*metrics, metric)))
    check_options([row.name for row in rows], test, correction, alpha, alternative, baseline, margin)
    rows = tuple(checked(row, metrics) for row in rows)
    check_together(rows)
    tested = [row for row in rows if not row.failed]
    asked, same = wanted(tested, baseline)
    whole = len(asked)
    if best_only and baseline is None and len(tested) > 1:
        best = max(tested, key=lambda row: float(row.metrics[metric].mean()))
        asked, same = ([pair for pair in pairs if best in pair] for pairs in (asked, same))
        correction = correction if correction == "none" else "bonferroni"
    options = Options(test, correction, alpha, alternative, margin, whole)
    pairs: list[Pair] = []
    notes: dict[str, None] = {}
    for name in metrics:
        tests, said = family(asked, tested, name, options)
        pairs += [*tests, *(untested(a, b, name) for a, b in same)]
        notes |= dict.fromkeys(said)
    return Comparison(
        rows=rows,
        values=tuple(_values(row, tuple(dict.fromkeys((*metrics, *row.metrics))), alpha) for row in rows),
        pairs=tuple(pairs),
        metric=metric,
        metrics=metrics,
        test=test,
        correction=correction,
        alpha=alpha,
        alternative=alternative,
        baseline=baseline,
        context=context,
        warnings=(*context.warnings, *warnings(rows, context, baseline, metric), *notes),
        margin=margin,
        family=whole if len(asked) < whole else None,
    )


def _values(row: Row, metrics: Sequence[str], alpha: float) -> dict[str, Value]:
    """Means with their intervals, which a row with failed seeds lacks; of what is not known both are left empty."""
    values = {}
    for metric in metrics:
        if not row.seeds or np.isnan(row.metrics[metric]).any():
            values[metric] = Value(math.nan, None, None, None)
            continue
        m = moments(row.metrics[metric])
        outcome = crossed(m, alpha=alpha)
        std = m.sd_seeds if m.seeds > 1 else None
        lo, hi = (None, None) if row.failed else (outcome.lo, outcome.hi)
        values[metric] = Value(m.mean, lo, hi, std)
    return values


def by_group(comparison: Comparison, groups: Mapping[str, ArrayLike]) -> dict[str, Comparison]:
    """The same comparison per group of users: name of the group → its rows on those user ids only.

    Raises:
        UserError: what `compare` refuses, or a group without a test user.
    """
    found, c = {}, comparison
    for name, members in groups.items():
        part = []
        for row in c.rows:
            chosen = np.isin(row.users, np.asarray(members))
            if row.seeds and not chosen.any():
                raise UserError(f"Group '{name}' has no test user; leave it out or widen it.")
            values = {metric: v[:, chosen] for metric, v in row.metrics.items()}
            part.append(replace(row, users=row.users[chosen], metrics=values))
        found[name] = compare(
            part,
            metric=c.metric,
            metrics=c.metrics,
            test=c.test,
            correction=c.correction,
            alpha=c.alpha,
            alternative=c.alternative,
            baseline=c.baseline,
            margin=c.margin,
            context=c.context,
        )
    return found
