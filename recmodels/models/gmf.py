"""Generalised matrix factorisation."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from recmodels.models import MODELS
from recmodels.models.mf import vectors
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.types import Tables


@MODELS.register("gmf", paper="He, Liao, Zhang, Nie, Hu, Chua, WWW 2017", gives=["dot"], ignores={"l2_bias": ""})
def gmf(training: Training, settings: Settings, rng: np.random.Generator) -> nn.Module:
    """A dot product whose dimensions have learned weights: s = Σ_d h_d · u_d · v_d.

    The weights h start at 1, where the model is `mf`; they carry no L2.

    Args:
        training: gives the numbers of users and items.
        settings: gives the size and the scale of the vectors.
        rng: draws the initial vectors, users first.
    """
    return _Generalized(training, settings, rng)


class _Generalized(nn.Module):
    def __init__(self, training: Training, settings: Settings, rng: np.random.Generator) -> None:
        super().__init__()
        self.users = vectors(training.n_users, settings, rng)  # (U, D)
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.weights = nn.Parameter(torch.ones(settings.embedding_size))  # (D,)

    def forward(self) -> Tables:
        return Tables(self.users * self.weights, self.items)
