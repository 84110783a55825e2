"""Samplers whose law is fixed before training: uniform and by popularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.samplers import SAMPLERS
from recmodels.sampling import Sampler, Scorer, Training, draw_unseen
from recmodels.seen import Int
from recmodels.types import Batch, Candidates


@SAMPLERS.register("uniform", paper="Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009", gives=["log_q"])
def uniform(training: Training, *, reject: bool = True) -> Sampler:
    """Every item with the same probability, among those the user has not seen.

    q(j|u) = 1 / (I - |P_u|), or 1 / I without rejection. Cost: one draw and one bit test per negative.

    Args:
        training: the training interactions; P_u are the items of user u.
        reject: whether items the user has seen in train are drawn again; the BPR paper samples only unseen items.
    """
    return Sampler(_Uniform(training, reject))


@dataclass(frozen=True)
class _Uniform:
    training: Training
    reject: bool
    static: bool = True

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        n_items, seen, users = self.training.n_items, self.training.seen, batch.users.numpy()
        n = n or n_items
        if not self.reject:
            return Candidates(torch.from_numpy(rng.integers(n_items, size=(len(users), n))))

        def exact(who: Int) -> Int:
            left = n_items - seen.counts[who]
            items = seen.unseen(who, np.floor(rng.random(len(who)) * left).astype(np.int64))
            return np.where(left > 0, items, -1)

        return draw_unseen(seen, users, n, lambda k: rng.integers(n_items, size=k), exact)

    def log_prob(self, users: Tensor, items: Tensor) -> Tensor:
        if not self.reject:
            return torch.full((1, 1), -float(np.log(self.training.n_items)))
        left = self.training.n_items - self.training.seen.counts[users.numpy()]
        return torch.from_numpy(-np.log(np.maximum(left, 1)).astype(np.float32)).unsqueeze(1)  # (B, 1)


@SAMPLERS.register("popularity", paper="Mikolov, Sutskever, Chen, Corrado, Dean, NIPS 2013", gives=["log_q"])
def popularity(training: Training, *, alpha: Annotated[float, ">= -4, <= 4"] = 0.75, reject: bool = True) -> Sampler:
    """Each item in proportion to its training count to the power alpha, among those the user has not seen.

    q(j|u) = n_j^alpha / sum over unseen k of n_k^alpha. Items without training interactions are never drawn, so
    alpha = 0 is uniform over the trained items; a negative alpha prefers the rare. Cost: one alias draw, one bit test.

    Args:
        training: the training interactions, the only ones counted.
        alpha: exponent; 0.75 in the paper, and data-dependent for recommendation (Caselles-Dupré et al., RecSys 2018).
        reject: whether items the user has seen in train are drawn again.
    """
    counts = training.counts
    weights = np.zeros(len(counts))
    np.power(counts, alpha, out=weights, where=counts > 0)
    return Sampler(_Weighted(training, weights / weights.sum(), reject))


class _Weighted:
    """Items in proportion to fixed weights, drawn by the alias method (Walker, 1977)."""

    static = True

    def __init__(self, training: Training, weights: NDArray[np.float64], reject: bool) -> None:
        self.training, self.weights, self.reject = training, weights, reject
        self.keep, self.alias = alias_table(weights)
        with np.errstate(divide="ignore"):
            self.log_weights = np.log(weights)
        seen = training.seen
        seen_mass = np.concatenate([[0.0], np.cumsum(weights[seen.items])])
        left = 1.0 - (seen_mass[seen.offsets[1:]] - seen_mass[seen.offsets[:-1]])
        self.log_left = np.log(np.maximum(left, np.finfo(np.float64).tiny))  # (U,)

    def _draw(self, k: int, rng: np.random.Generator) -> Int:
        cell = rng.random(k) * len(self.keep)
        items = cell.astype(np.int64)
        return np.where(cell - items < self.keep[items], items, self.alias[items])

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        users, n = batch.users.numpy(), n or self.training.n_items
        if not self.reject:
            return Candidates(torch.from_numpy(self._draw(len(users) * n, rng).reshape(len(users), n)))

        def exact(who: Int) -> Int:
            items = np.full(len(who), -1)
            for user in np.unique(who):
                rows = np.flatnonzero(who == user)
                weights = self.weights.copy()
                weights[self.training.seen.items[slice(*self.training.seen.offsets[user : user + 2])]] = 0
                cumulated = np.cumsum(weights)
                if cumulated[-1] > 0:
                    items[rows] = np.searchsorted(cumulated, rng.random(len(rows)) * cumulated[-1], side="right")
            return items

        return draw_unseen(self.training.seen, users, n, lambda k: self._draw(k, rng), exact)

    def log_prob(self, users: Tensor, items: Tensor) -> Tensor:
        log_q = self.log_weights[items.numpy()]
        if self.reject:
            log_q = log_q - self.log_left[users.numpy()][:, None]
        return torch.from_numpy(np.atleast_2d(log_q).astype(np.float32))


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
