"""What sampled metrics would be on average, from the full ranks: exact, without drawing anything.

Ranking one relevant item among N of its M rivals, drawn uniformly without replacement, puts X of the r rivals that
stand above it ahead of it, with X hypergeometric: P(X = x) = C(r, x) C(M - r, N - x) / C(M, N). A metric's expected
value is Σ_x P(X = x) gain(x + 1). Equal scores are in random order, so that r is uniform on better … better + tied.
Such metrics do not rank models as full ranking does: Krichene and Rendle, On Sampled Metrics for Item
Recommendation, KDD 2020. They are for comparison with published numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_CELLS = 1 << 22


EXPECTED = ("hr", "ndcg", "mrr")


def sampled_metrics(
    better: Int, tied: Int, candidates: Int, negatives: int, cutoffs: Sequence[int]
) -> dict[str, Float]:
    """Expected hr@K, ndcg@K and mrr@K of each user over the draw of the negatives.

    Args:
        better: (n,) rivals that score above the user's one relevant item, among all candidates.
        tied: (n,) rivals that score the same.
        candidates: (n,) items ranked for the user, the relevant one included.
        negatives: N, how many rivals are drawn.
        cutoffs: the K.

    Raises:
        ValueError: some user has fewer than N rivals, or more above and level than there are.
    """
    rivals = candidates - 1
    if len(rivals) and rivals.min() < negatives:
        raise ValueError(f"{negatives} negatives cannot be drawn from {rivals.min()} rivals.")
    if (better + tied > rivals).any():
        raise ValueError("A user has more rivals above and level with the relevant item than rivals.")
    longest = max(cutoffs)
    place = np.arange(1, longest + 1)
    gains = {"hr": np.ones(longest), "ndcg": 1 / np.log2(place + 1), "mrr": 1 / place}
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, rivals.max(initial=0) + 2)))])
    values = {f"{name}@{k}": np.empty(len(better)) for k in cutoffs for name in gains}
    for rows in _blocks(tied + 1, longest):
        law = _place_law(better[rows], tied[rows], rivals[rows], negatives, longest, log_factorial)
        for name, gain in gains.items():
            for k in cutoffs:
                values[f"{name}@{k}"][rows] = law[:, :k] @ gain[:k]
    return values


def _place_law(better: Int, tied: Int, rivals: Int, negatives: int, longest: int, log_factorial: Float) -> Float:
    """(n, longest) probability that the relevant item stands at place 1 … longest of the sampled list."""
    starts = np.concatenate([[0], np.cumsum(tied + 1)[:-1]])
    row = np.repeat(np.arange(len(better)), tied + 1)
    above = (better[row] + np.arange(len(row)) - starts[row])[:, None]
    every, drawn = rivals[row][:, None], np.arange(longest)[None, :]
    possible = (drawn <= above) & (drawn <= negatives) & (negatives - drawn <= every - above)

    def log_choose(n: Int, k: Int) -> Float:
        n, k = np.where(possible, n, 0), np.where(possible, k, 0)
        return np.asarray(log_factorial[n] - log_factorial[k] - log_factorial[n - k])

    logs = log_choose(above, drawn) + log_choose(every - above, negatives - drawn)
    law = np.where(possible, np.exp(logs - log_choose(every, np.asarray(negatives))), 0.0)
    return np.asarray(np.add.reduceat(law, starts, axis=0) / (tied + 1)[:, None])


def _blocks(widths: Int, longest: int) -> Iterator[slice]:
    """Slices of rows whose expansion stays within a few tens of megabytes."""
    block = np.cumsum(widths) * longest // _CELLS
    edges = np.flatnonzero(np.diff(block)) + 1
    return (slice(a, b) for a, b in pairwise([0, *edges.tolist(), len(widths)]) if b > a)
