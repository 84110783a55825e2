"""A sampler and a loss of one's own, in one file: `bench compare mine+push uniform+bpr --plugin examples/mine.py`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from torch import Tensor
from torch.nn.functional import softplus

from recmodels.losses import LOSSES
from recmodels.samplers import SAMPLERS
from recmodels.samplers.static import Weighted
from recmodels.sampling import Sampler, Training
from recmodels.search import Search
from recmodels.types import LossInput


@SAMPLERS.register("mine", paper="none: an example", gives=["log_q", "ordered"])
def mine(
    training: Training,
    *,
    head: Annotated[float, ">= 0, < 1", Search(0.01, 0.3)] = 0.05,
    alpha: Annotated[float, ">= 0, <= 1", Search(0.0, 1.0)] = 0.5,
) -> Sampler:
    """Items by popularity to a power, without the most popular, which users who do not have them may yet come to like.

    q(j) ∝ n_j^alpha for items below the head that somebody has and the user has not seen.

    Args:
        training: the training interactions, the only ones counted.
        head: the share of the items that somebody has, from the most popular on, that is never a negative.
        alpha: the power; 0 draws all others with one probability.
    """
    counts = training.counts
    weights = np.where(counts > 0, counts.astype(np.float64) ** alpha, 0)
    weights[np.argsort(-counts, kind="stable")[: int(head * np.count_nonzero(counts))]] = 0
    return Sampler(Weighted(training, weights, reject=True))


@LOSSES.register("push", paper="none: an example", space="dot", spaces=["dot", "cosine", "half-cosine"])
def push(
    x: LossInput,
    *,
    margin: Annotated[float, ">= 0", Search(0.0, 2.0)] = 0.5,
    temperature: Annotated[float, "> 0", Search(0.1, 2.0, log=True)] = 1.0,
) -> Tensor:
    """Mean over negatives of τ · log(1 + exp((s_j - s⁺ + m) / τ)): bpr that is not content until m lies between.

    Args:
        x: scores.
        margin: m; 0 is bpr at the temperature τ.
        temperature: τ; towards 0 it becomes the hinge.
    """
    difference = x.negative - x.positive[:, None] + margin  # (B, N)
    return x.mean(temperature * softplus(difference / temperature))
