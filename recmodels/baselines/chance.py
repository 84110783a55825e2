"""What chance gives: a check of the evaluation, and of every other row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recmodels.models import BASELINES
from recmodels.sampling import Training
from recmodels.seeds import generator
from recmodels.types import Tables


@BASELINES.register("constant", paper="none: a check of the evaluation")
def constant(training: Training) -> Tables:
    """Every item scores the same, so that every metric is what chance gives on average."""
    return Tables(torch.zeros(training.n_users, 0), torch.zeros(training.n_items, 0), torch.zeros(training.n_items))


@BASELINES.register("random", paper="none: a check of the statistics")
def random(training: Training, rng: np.random.Generator) -> RandomScores:
    """Every user gets the items in a random order of their own.

    Its mean over seeds is what `constant` gives at once; its deviation over seeds is that of pure chance.
    """
    return RandomScores(int(rng.integers(2**63)), training.n_items)


@dataclass(frozen=True)
class RandomScores:
    """Independent uniform scores for each user and item, the same whatever block a user is asked for in.

    Attributes:
        seed: of the scores.
        n_items: size I of the catalogue.
    """

    seed: int
    n_items: int

    def scores(self, users: Tensor) -> Tensor:
        """(B, I) scores for `users` (B,)."""
        return torch.from_numpy(np.stack([generator(self.seed, user).random(self.n_items) for user in users.tolist()]))
