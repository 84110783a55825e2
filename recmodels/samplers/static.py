"""Samplers whose law is fixed before training: uniform and by popularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.draws import draw_fixed
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Proposal, Sampler, Scorer, Training
from recmodels.search import Search
from recmodels.seen import Int
from recmodels.types import Batch, Candidates

DENSE_CELLS = 1 << 22  # of the weights of users × items that are laid out at a time


@SAMPLERS.register(
    "uniform",
    paper="Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009",
    gives=["log_q", "ordered", "uniform_q"],
    aliases=["RNS"],
)
def uniform(training: Training, *, reject: Annotated[bool, Search(among=(True, False))] = True) -> Sampler:
    """Every item with the same probability, among those the user has not seen.

    q(j|u) = 1 / (I - |P_u|), or 1 / I without rejection. Cost: one draw and one bit test per negative.

    Args:
        training: the training interactions; P_u are the items of user u.
        reject: whether items the user has seen in train are drawn again; the BPR paper samples only unseen items.
    """
    return Sampler(Uniform(training, reject))


@SAMPLERS.register(
    "popularity",
    paper="Mikolov, Sutskever, Chen, Corrado, Dean, NIPS 2013",
    gives=["log_q", "ordered"],
    aliases=["PNS", "unigram"],
)
def popularity(
    training: Training,
    *,
    alpha: Annotated[float, ">= -4, <= 4", Search(-0.5, 1.0)] = 0.75,
    reject: Annotated[bool, Search(among=(True, False))] = True,
) -> Sampler:
    """Each item in proportion to its training count to the power alpha, among those the user has not seen.

    q(j|u) = n_j^alpha / sum over unseen k of n_k^alpha. Items without training interactions are never drawn, so
    alpha = 0 is uniform over the trained items; a negative alpha prefers the rare. Cost: one alias draw, one bit test.

    Args:
        training: the training interactions, the only ones counted.
        alpha: exponent; 0.75 in the paper, and data-dependent for recommendation (Caselles-Dupré et al., RecSys 2018).
        reject: whether items the user has seen in train are drawn again.
    """
    return Sampler(by_popularity(training, alpha, reject))


@SAMPLERS.register(
    "log-uniform",
    paper="Abadi et al., OSDI 2016 (TensorFlow's log_uniform_candidate_sampler)",
    gives=["log_q", "ordered"],
    aliases=["Zipfian"],
)
def log_uniform(training: Training, *, reject: Annotated[bool, Search(among=(True, False))] = True) -> Sampler:
    """Items by Zipf's law of their popularity rank, among those the user has not seen.

    q(r) = (log(r + 2) - log(r + 1)) / log(I + 1) for the item of popularity rank r = 0, 1, …; every item can be drawn.
    Libraries that use this law take ids for ranks; here the ranks are counted. Cost: one alias draw, one bit test.

    Args:
        training: the training interactions, the only ones counted.
        reject: whether items the user has seen in train are drawn again.
    """
    weights = np.empty(training.n_items)
    by_rank = np.diff(np.log(np.arange(1.0, training.n_items + 2)))
    weights[np.argsort(-training.counts, kind="stable")] = by_rank
    return Sampler(Weighted(training, weights, reject))


@dataclass(frozen=True)
class Uniform(Proposal):
    """Items with equal probability."""

    training: Training
    reject: bool
    static: bool = True
    of_users: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        """(B, n) items."""
        n_items, seen, users = self.training.n_items, self.training.seen, batch.users.numpy()
        n = n or n_items
        if not self.reject:
            return Candidates(torch.from_numpy(rng.integers(n_items, size=(len(users), n))), ordered=True)

        def exact(rows: Int) -> Int:
            left = n_items - seen.counts[users[rows]]
            items = seen.unseen(users[rows], np.floor(rng.random(len(rows)) * left).astype(np.int64))
            return np.where(left > 0, items, -1)

        return draw_fixed(seen, users, n, rng, exact)

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """(B, 1), or (1, 1) without rejection."""
        if not self.reject:
            return torch.full((1, 1), -float(np.log(self.training.n_items)))
        return self._log_one_of(self._left(users).clip(min=1)).unsqueeze(1)

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        """(B,): one more item than is unseen may be drawn."""
        return self._log_one_of(self._left(batch.users) + 1 if self.reject else self._left(batch.users))

    def _left(self, users: Tensor) -> Int:
        seen = self.training.seen.counts[users.numpy()] if self.reject else np.zeros(len(users), np.int64)
        left: Int = self.training.n_items - seen
        return left

    def _log_one_of(self, many: Int) -> Tensor:
        return torch.from_numpy(-np.log(many).astype(np.float32))


def by_popularity(training: Training, alpha: float, reject: bool) -> Proposal:
    """Items in proportion to n^alpha; those without training interactions never."""
    weights = np.zeros(training.n_items)
    np.power(training.counts, alpha, out=weights, where=training.counts > 0)
    return Weighted(training, weights, reject)


class Weighted(Proposal):
    """Items in proportion to fixed weights (I,), drawn by the alias method (Walker, 1977)."""

    static = True
    of_users = True

    def __init__(self, training: Training, weights: NDArray[np.float64], reject: bool) -> None:
        weights = weights / weights.sum()
        self.training, self.weights, self.reject = training, weights, reject
        self.keep, self.alias = alias_table(weights)
        with np.errstate(divide="ignore"):
            self.log_weights = np.log(weights)
        seen = training.seen
        seen_mass = np.concatenate([[0.0], np.cumsum(weights[seen.items])])
        left = 1.0 - (seen_mass[seen.offsets[1:]] - seen_mass[seen.offsets[:-1]])
        self.log_left = np.log(np.maximum(left, np.finfo(np.float64).tiny))  # (U,)

    def _draw(self, k: int, rng: np.random.Generator) -> Int:
        cell = rng.random(k)  # its whole part after scaling is the cell, its fraction decides between the two items
        cell *= len(self.keep)
        items = cell.astype(np.int64)
        cell -= items
        np.copyto(items, self.alias.take(items, mode="wrap"), where=cell >= self.keep.take(items, mode="wrap"))
        return items

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        """(B, n) items."""
        users, n = batch.users.numpy(), n or self.training.n_items
        if not self.reject:
            return Candidates(torch.from_numpy(self._draw(len(users) * n, rng).reshape(len(users), n)), ordered=True)
        table = self.keep, self.alias
        return draw_fixed(self.training.seen, users, n, rng, lambda rows: self._exact(users[rows], rng), table)

    def _exact(self, users: Int, rng: np.random.Generator) -> Int:
        """One draw for each user from the weights of what is unseen, laid out."""
        items = np.empty(len(users), np.int64)
        step = max(1, DENSE_CELLS // len(self.weights))
        for start in range(0, len(users), step):
            mine = users[start : start + step]
            weights = np.tile(self.weights, (len(mine), 1))
            weights[self.training.seen.of(mine)] = 0
            cumulated = weights.cumsum(axis=1)
            total = cumulated[:, -1]
            target = np.minimum(rng.random(len(mine)) * total, np.nextafter(total, 0))
            items[start : start + step] = np.where(total > 0, (cumulated > target[:, None]).argmax(axis=1), -1)
        return items

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """(B, N), or (1, N) without rejection."""
        log_q = self.log_weights[items.numpy()]
        if self.reject:
            log_q = log_q - self.log_left[users.numpy()][:, None]
        return torch.from_numpy(np.atleast_2d(log_q).astype(np.float32))

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        """(B,): the weight of the positive joins that of the unseen."""
        own = self.log_weights[batch.positives.numpy()]
        if self.reject:
            own = own - np.logaddexp(self.log_left[batch.users.numpy()], own)
        return torch.from_numpy(own.astype(np.float32))


def alias_table(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], Int]:
    """`keep` (I,) and `alias` (I,): a cell i drawn uniformly gives i with probability keep[i], else alias[i]."""
    scaled = weights * (len(weights) / weights.sum())
    keep, alias = np.ones(len(weights)), np.arange(len(weights))
    values = scaled.tolist()
    small = [i for i, value in enumerate(values) if value < 1.0]
    large = [i for i, value in enumerate(values) if value >= 1.0]
    while small and large:
        low, high = small.pop(), large[-1]
        keep[low], alias[low] = values[low], high
        values[high] -= 1.0 - values[low]
        if values[high] < 1.0:
            small.append(large.pop())
    return keep, alias
