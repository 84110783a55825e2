"""Two towers that end in directions."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from recmodels.models import MODELS
from recmodels.models.mf import vectors
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.settings import Settings
from recmodels.types import Tables

LARGEST = math.log(100)  # of the logarithm of the scale, as in CLIP


@MODELS.register(
    "cosine-towers",
    paper="Yi et al., RecSys 2019; Radford et al., ICML 2021",
    gives=["dot"],
    aliases=["cosine tower"],
    ignores={"l2_bias": ""},
)
def cosine_towers(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    start: Annotated[float, "> 0", Search(0.05, 1, log=True)] = 0.2,  # judgement
) -> nn.Module:
    """Cosines over a learned temperature, for any loss of dot products: s = û·v̂ / τ, û and v̂ of length 1.

    log(1/τ) is a parameter, without L2, and 1/τ at most 100. A loss with a temperature of its own should have it at 1.

    Args:
        training: gives the numbers of users and items.
        settings: gives the size of the vectors, and the scale of those from which the directions start.
        rng: draws the initial vectors, users first.
        start: τ at the start.
    """
    return _Towers(training, settings, rng, start)


class _Towers(nn.Module):
    def __init__(self, training: Training, settings: Settings, rng: np.random.Generator, start: float) -> None:
        super().__init__()
        self.users = vectors(training.n_users, settings, rng)  # (U, D)
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(start)))

    def forward(self) -> Tables:
        with torch.no_grad():
            self.log_scale.clamp_(max=LARGEST)
        return Tables(normalize(self.users) * self.log_scale.exp(), normalize(self.items))
