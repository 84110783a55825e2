"""Samplers that reuse the positives of other rows as negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from recmodels.samplers import SAMPLERS
from recmodels.sampling import Sampler, Scorer, Training
from recmodels.types import Batch, Candidates


@SAMPLERS.register("inbatch", paper="Yi et al., RecSys 2019", gives=["log_q", "all"])
def inbatch(training: Training, *, mask: Literal["none", "same-item", "seen"] = "seen") -> Sampler:
    """The positives of other rows of the batch.

    q(j) = n_j / |D| where rows are drawn uniformly from the interactions D. `negatives=N` takes N other rows of the
    batch, no row twice; `negatives=all` takes the whole batch, shared by its rows. Cost: none beyond the scores.

    Args:
        training: the training interactions.
        mask: which candidates do not count: `same-item`, those equal to the row's own positive ("accidental hits");
            `seen`, all that the user has seen in train; `none`, only the row itself.
    """
    return Sampler(_InBatch(training, mask))


@dataclass(frozen=True)
class _InBatch:
    training: Training
    mask: str
    static: bool = False

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        size = len(batch.positives)
        rows = np.arange(size)
        if n is None:
            columns, items = rows[None, :], batch.positives  # (1, B), (B,)
        else:
            offsets = 1 + rng.permutation(size - 1)[:n]  # the n rows after mine, in a random order of distances
            columns = (rows[:, None] + offsets) % size  # (B, n)
            items = batch.positives[torch.from_numpy(columns)]
        return Candidates(items, valid=self._valid(batch, items, torch.from_numpy(columns != rows[:, None])))

    def _valid(self, batch: Batch, items: Tensor, other_row: Tensor) -> Tensor:
        if self.mask == "same-item":
            return other_row & (items != batch.positives[:, None])
        if self.mask == "seen":
            seen = self.training.seen.contains(batch.users.numpy()[:, None], np.atleast_2d(items.numpy()))
            return other_row & torch.from_numpy(~seen)
        return other_row

    def log_prob(self, users: Tensor, items: Tensor) -> Tensor:
        counts = self.training.counts
        with np.errstate(divide="ignore"):
            log_q = np.log(counts[items.numpy()] / counts.sum())
        return torch.from_numpy(np.atleast_2d(log_q).astype(np.float32))
