"""HR, NDCG, MRR and Recall at K, as expectations over a random order of equal scores.

A relevant item with `better` rivals above it and `tied` rivals level with it stands, with equal probability, at each
of the ranks better + 1 … better + tied + 1. Every metric is the exact expected value over that; without ties it is the
usual one. Definitions, with R the relevant (held-out) items of a user and rank counted from 1:

    hr@K      1 if any item of R has rank <= K                               ("hit rate", 0 or 1)
    recall@K  |R with rank <= K| / |R|
    ndcg@K    Σ_R [rank <= K] / log2(rank + 1)  ÷  Σ_{k <= min(K, |R|)} 1 / log2(k + 1)
    mrr@K     1 / rank of the first item of R, 0 beyond K
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UserError, plain, unknown

Float = NDArray[np.float64]
Int = NDArray[np.int64]


class Ranks(NamedTuple):
    """Where each relevant item stands; one entry per (user, relevant item), users ascending."""

    users: Int
    items: Int
    better: Int  # rivals with a higher score
    tied: Int  # rivals with the same score, the item itself not counted
    candidates: Int  # items ranked for this user, the relevant ones included


METRICS: dict[str, str] = {
    "hr": "whether a relevant item is among the first K",
    "ndcg": "discounted gain of the relevant items among the first K, relative to the best possible",
    "mrr": "reciprocal rank of the first relevant item, 0 beyond K",
    "recall": "share of the relevant items among the first K",
}


MAX_CUTOFF = 10_000
_SYNONYMS = {"hit": "hr", "hits": "hr", "hitrate": "hr", "hitratio": "hr", "rec": "recall", "rr": "mrr"}


def known_metric(text: str, cutoffs: Sequence[int] = (5, 10, 20)) -> tuple[str, int]:
    """The name and the K of a metric@K.

    Args:
        text: as in `ndcg@10`.
        cutoffs: those that an error names.

    Raises:
        UserError: there is no such metric.
    """
    name, _, k = text.partition("@")
    written = k.isascii() and k.isdecimal() and not k.startswith("0")
    if name not in METRICS or not written or int(k) > MAX_CUTOFF:
        if name in METRICS and k.isdecimal():
            raise UserError(f"The K of '{text}' is no number from 1 to {MAX_CUTOFF}; write a metric as in ndcg@10.")
        known = [f"{name}@{k}" for name in METRICS for k in cutoffs]
        meant = _SYNONYMS.get(plain(name), plain(name))
        alias = f"{meant}@{k}" if k and meant in METRICS else f"{meant}@10"
        known = [*known, alias] if meant in METRICS and (k.isdecimal() or not k) else known
        raise unknown("metric", text, known, {text: alias})
    return name, int(k)


def user_metrics(ranks: Ranks, cutoffs: Sequence[int]) -> tuple[Int, dict[str, Float]]:
    """The users with relevant items, ascending, and for each metric@K one value per such user."""
    users, start, relevant = np.unique(ranks.users, return_index=True, return_counts=True)
    longest = max(cutoffs)
    discount = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(1, longest + 1) + 1))])
    reciprocal = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, longest + 1))])
    single = bool((relevant == 1).all())
    values: dict[str, Float] = {}
    for k in cutoffs:
        hits = _expected(np.arange(longest + 1, dtype=np.float64), ranks, k)
        gain = np.add.reduceat(_expected(discount, ranks, k), start)
        values[f"ndcg@{k}"] = gain / discount[np.minimum(relevant, k)]
        values[f"recall@{k}"] = np.add.reduceat(hits, start) / relevant
        if single:
            values[f"hr@{k}"], values[f"mrr@{k}"] = hits, _expected(reciprocal, ranks, k)
        else:
            values[f"hr@{k}"] = _first(ranks, start, relevant, k, lambda rank: 1.0)
            values[f"mrr@{k}"] = _first(ranks, start, relevant, k, lambda rank: 1.0 / rank)
    names = [f"{metric}@{k}" for metric in METRICS for k in cutoffs]
    return users, {name: values[name] for name in names}


def _expected(cumulated: Float, ranks: Ranks, k: int) -> Float:
    """Mean of a gain over the ranks an item may have, given the gain summed over ranks 1 … k."""
    low, high = np.minimum(ranks.better, k), np.minimum(ranks.better + ranks.tied + 1, k)
    expected: Float = (cumulated[high] - cumulated[low]) / (ranks.tied + 1)
    return expected


def _first(ranks: Ranks, start: Int, relevant: Int, k: int, gain: Callable[[int], float]) -> Float:
    """Expected gain of the first relevant item of each user, 0 beyond rank k."""
    best = np.minimum.reduceat(ranks.better, start)
    values = np.where(best < k, [gain(int(b) + 1) for b in best], 0.0)
    tied_at_best = np.where(ranks.better == np.repeat(best, relevant), ranks.tied, 0)
    for row in np.flatnonzero((np.maximum.reduceat(tied_at_best, start) > 0) & (best < k)):
        mine = slice(start[row], start[row] + relevant[row])
        group = int(tied_at_best[mine].max()) + 1  # items level with the best relevant one, itself included
        inside = int((ranks.better[mine] == best[row]).sum())  # how many of them are relevant
        places = range(
            min(group - inside + 1, k - int(best[row]))
        )  # the first relevant one has `place` others before it
        values[row] = sum(
            gain(int(best[row]) + place + 1) * comb(group - place - 1, inside - 1) for place in places
        ) / comb(group, inside)
    return values
