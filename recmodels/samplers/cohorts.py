"""Negatives by popularity cohort: mostly as popular as the positive."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.draws import draw_unseen
from recmodels.samplers import SAMPLERS
from recmodels.sampling import Proposal, Sampler, Scorer, Training, draw_by_weight, mask_seen
from recmodels.search import Search
from recmodels.seen import Int
from recmodels.types import Batch, Candidates

COHORTS = 3  # head, mid and tail
CELLS = 1 << 22  # of rows × items whose weights are laid out at a time


@SAMPLERS.register(
    "cohort",
    paper="Prakash, Bermperidis, Chennu, arXiv 2410.17276, 2024 (balanced sampling in its code)",
    gives=["log_q", "ordered"],
    aliases=["balanced sampling"],
)
def cohort(training: Training, *, own: Annotated[float, "> 0, < 1", Search(0.4, 0.95)] = 0.8) -> Sampler:
    """Items of the positive's own popularity cohort with one probability, of the two others with the rest.

    By training count from the most popular on, items are the head while they have less than a third of all
    interactions together, the mid while less than two thirds, and then the tail. For a positive of cohort c⁺,
    q(j|u, i) ∝ P(c_j | c⁺) / |c_j| among unseen items, P = own for c⁺ and (1 - own) / 2 for either other cohort; a
    cohort without items has no share. Cost: two random numbers and a bit test per negative.

    Args:
        training: the training interactions, the only ones counted.
        own: probability of the positive's own cohort, before rejection; 0.8 in the authors' code.
    """
    return Sampler(_ByCohort(training, own))


def cohorts(counts: Int) -> Int:
    """(I,) 0, 1 and 2 for head, mid and tail."""
    order = np.argsort(-counts, kind="stable")
    running = COHORTS * counts[order].cumsum()
    found = np.empty(len(counts), np.int64)
    found[order] = (running >= counts.sum()).astype(np.int64) + (running >= 2 * counts.sum())
    return found


class _ByCohort(Proposal):
    static = True
    reject = True

    def __init__(self, training: Training, own: float) -> None:
        self.training, self.of_item = training, cohorts(training.counts)
        sizes = np.bincount(self.of_item, minlength=COHORTS)
        law = np.full((COHORTS, COHORTS), (1 - own) / (COHORTS - 1))
        np.fill_diagonal(law, own)
        law = law * (sizes > 0)
        self.law_of_cohort = law / law.sum(axis=1, keepdims=True)  # row: the positive's
        self.weight = self.law_of_cohort / sizes.clip(1)  # of one item
        self.sizes, self.first = sizes, np.concatenate([[0], sizes.cumsum()[:-1]])
        self.by_cohort = np.argsort(self.of_item, kind="stable")
        seen = training.seen
        keys = np.repeat(np.arange(training.n_users), seen.counts) * COHORTS + self.of_item[seen.items]
        hidden = np.bincount(keys, minlength=training.n_users * COHORTS).reshape(-1, COHORTS)
        self.left = (sizes - hidden) @ self.weight.T  # (U, 3): mass of what is unseen, by the positive's cohort

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        users, mine = batch.users.numpy(), self.of_item[batch.positives.numpy()]
        cumulated = self.law_of_cohort.cumsum(axis=1)[:, :-1]

        def draw(rows: Int) -> Int:
            cell = (rng.random(len(rows))[:, None] >= cumulated[mine[rows]]).sum(axis=1)
            cell = np.minimum(cell, int(np.flatnonzero(self.sizes)[-1]))
            items: Int = self.by_cohort[self.first[cell] + (rng.random(len(rows)) * self.sizes[cell]).astype(np.int64)]
            return items

        def exact(rows: Int) -> Int:
            return self._exact(users[rows], mine[rows], rng)

        return draw_unseen(self.training.seen, users, n or self.training.n_items, draw, exact)

    def _exact(self, users: Int, mine: Int, rng: np.random.Generator) -> Int:
        """One unseen item for each of `users`, the weights laid out; -1 where all are seen."""
        found, step = np.full(len(users), -1, np.int64), max(1, CELLS // self.training.n_items)
        for start in range(0, len(users), step):
            some = slice(start, start + step)
            weights = torch.from_numpy(np.log(self.weight[mine[some]][:, self.of_item]))
            items = draw_by_weight(mask_seen(weights, self.training.seen, torch.from_numpy(users[some])), 1, rng)
            left = self.training.seen.counts[users[some]] < self.training.n_items
            found[some] = np.where(left, items.squeeze(1).numpy(), -1)
        return found

    def law(self, batch: Batch, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        mine = self.of_item[batch.positives.numpy()]
        left = self.left[batch.users.numpy(), mine]
        weight = self.weight[mine[:, None], self.of_item[items.numpy()]]
        own = self.weight[mine, mine]
        return _log(weight / left.clip(np.finfo(np.float64).tiny)[:, None]), _log(own / (left + own))


def _log(law: NDArray[np.float64]) -> Tensor:
    with np.errstate(divide="ignore", over="ignore"):
        return torch.from_numpy(np.log(law).astype(np.float32))
