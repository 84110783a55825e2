"""Negatives that the data give: ratings below a threshold, exposures without a response, dislikes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from datasets.errors import UserError
from recmodels.draws import drawn_in_order
from recmodels.samplers import SAMPLERS
from recmodels.samplers.static import Uniform
from recmodels.sampling import Proposal, Sampler, Scorer, Training
from recmodels.search import Search
from recmodels.seen import Int, Seen
from recmodels.types import Batch, Candidates


@SAMPLERS.register(
    "given",
    paper="Ding, Quan, He, Li, Jin, IJCAI 2019 (exposures as negatives)",
    gives=["log_q", "ordered"],
    asks=["negatives"],
    aliases=["explicit negatives", "exposure", "dislikes"],
)
def given(training: Training, *, share: Annotated[float, "> 0, <= 1", Search(0.1, 1.0)] = 0.5) -> Sampler:
    """What a user is known not to want, mixed with uniform draws.

    q(j|u) = share [j in G_u] / |G_u| + (1 - share) / (I - |P_u|), G_u the negatives given for user u: ratings below
    `--min-rating`, or a file of pairs. For users without any it is the uniform law, and under `share=1`, where nothing
    is drawn, they have no negatives. The ready split and the ready candidates, which are `given` too, are something
    else: parts and rankings that come with the data. Cost: two draws and a bit test per negative.

    Args:
        training: the training interactions, and the negatives that are given.
        share: of the negatives that are given ones; 1 draws no others.
    """
    if training.negatives is None or not len(training.negatives):
        raise UserError(
            "These data give no negatives; set min_rating, so that ratings below it are some, or give negatives_from a "
            "file of pairs of their users and items."
        )
    return Sampler(_Given(training, share))


class _Given(Proposal):
    static = True
    of_users = True
    reject = True

    def __init__(self, training: Training, share: float) -> None:
        assert training.negatives is not None
        negatives = training.negatives
        wanted = training.seen.contains(negatives.users.astype(np.int64), negatives.items.astype(np.int64))
        self.training, self.share, self.given = training, share, Seen(negatives.take(~wanted))
        self.uniform = Uniform(training, reject=True)

    def draw(self, batch: Batch, n: int | None, rng: np.random.Generator, scorer: Scorer) -> Candidates:
        users, n = batch.users.numpy(), n or self.training.n_items
        drawn = self.uniform.draw(batch, n, rng, scorer)
        grid = drawn.items.numpy()
        if drawn.valid is not None:
            grid[~drawn.valid.numpy()] = -1
        if self.share == 1:
            grid[:] = -1
        many = self.given.counts[users][:, None]
        chosen = (rng.random(grid.shape) < self.share) & (many > 0)
        at = self.given.offsets[users][:, None] + (rng.random(grid.shape) * many).astype(np.int64)
        grid[chosen] = self.given.items[at[chosen]]
        return drawn_in_order(grid)

    def log_prob(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """(B, N)."""
        owners, left = users.numpy(), self._left(users)
        listed = self.given.contains(owners[:, None], items.numpy())
        share, many = self._share(owners), self.given.counts[owners].clip(1)
        law = ((1 - share) / left.clip(1))[:, None] + (share / many)[:, None] * listed
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(law).astype(np.float32))

    def log_prob_positive(self, batch: Batch, scorer: Scorer) -> Tensor:
        """(B,): a positive is not given as a negative, and one more item for the uniform part."""
        share = self._share(batch.users.numpy())
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log((1 - share) / (self._left(batch.users) + 1)).astype(np.float32))

    def _share(self, users: Int) -> Int:
        """(B,) of the user's negatives that are given ones."""
        share: Int = np.where(self.given.counts[users] > 0, self.share, 0.0)
        return share

    def _left(self, users: Tensor) -> Int:
        left: Int = self.training.n_items - self.training.seen.counts[users.numpy()]
        return left
