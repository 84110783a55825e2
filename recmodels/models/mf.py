"""Matrix factorisation."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.models import MODELS
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.types import Tables


def vectors(rows: int, settings: Settings, rng: np.random.Generator) -> nn.Parameter:
    """(rows, D) of initial numbers as `settings` say, drawn by numpy so that every device starts alike."""
    shape = (rows, settings.embedding_size)
    if settings.init == "uniform":
        numbers = (rng.random(shape, dtype=np.float32) * 2 - 1) * np.float32(math.sqrt(3) * settings.init_std)
    else:
        std = settings.init_std if settings.init == "normal" else math.sqrt(2 / sum(shape))
        numbers = rng.standard_normal(shape, dtype=np.float32) * np.float32(std)
    return nn.Parameter(torch.from_numpy(numbers))


@MODELS.register(
    "mf",
    paper="Koren, Bell, Volinsky, IEEE Computer 2009",
    gives={
        "dot": "",
        "cosine": "bias == false",
        "half-cosine": "bias == false",
        "distance": "bias == false",
        "free_vectors": "",
    },
    ignores={"l2_bias": "bias == false"},
)
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
        self.users = vectors(training.n_users, settings, rng)  # (U, D)
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.bias = nn.Parameter(torch.zeros(training.n_items)) if bias else None  # (I,)

    def forward(self) -> Tables:
        bias: Tensor | None = self.bias
        return Tables(self.users, self.items, bias)
