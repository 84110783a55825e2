"""Matrix factorisation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.models import MODELS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.types import Tables


def normal(rows: int, columns: int, std: float, rng: np.random.Generator) -> nn.Parameter:
    """(rows, columns) of independent normal numbers, drawn by numpy so that every device starts alike."""
    return nn.Parameter(torch.from_numpy(rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(std)))


@MODELS.register("mf", paper="Koren, Bell, Volinsky, IEEE Computer 2009")
def mf(training: Training, settings: Settings, rng: np.random.Generator, *, bias: bool = False) -> nn.Module:
    """One vector for each user and each item; the score is their dot product, plus an item bias if asked for.

    Args:
        training: gives the numbers of users and items.
        settings: gives the size and the scale of the vectors.
        rng: draws the initial vectors, users first.
        bias: whether every item has a bias, 0 at the start.
    """
    return _MatrixFactorization(training, settings, rng, bias)


class _MatrixFactorization(nn.Module):
    def __init__(self, training: Training, settings: Settings, rng: np.random.Generator, bias: bool) -> None:
        super().__init__()
        self.users = normal(training.n_users, settings.embedding_size, settings.init_std, rng)  # (U, D)
        self.items = normal(training.n_items, settings.embedding_size, settings.init_std, rng)  # (I, D)
        self.bias = nn.Parameter(torch.zeros(training.n_items)) if bias else None  # (I,)

    def forward(self) -> Tables:
        bias: Tensor | None = self.bias
        return Tables(self.users, self.items, bias)
