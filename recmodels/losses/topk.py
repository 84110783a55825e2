"""Losses that remember something of each user."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from recmodels.losses import LOSSES
from recmodels.objective import LossState, state
from recmodels.sampling import Scorer, Training
from recmodels.types import LossInput

CHUNK = 512  # users scored at a time


@LOSSES.register(
    "sl-at-k",
    paper="Yang et al., KDD 2025",
    space="cosine",
    spaces=["cosine", "half-cosine"],
    spaces_why="without the positive in its sum it has no lower bound where scores have none",
    aliases=["SL@K"],
)
def sl_at_k(
    x: LossInput,
    *,
    k: Annotated[int, ">= 1"] = 20,
    temperature: Annotated[float, "> 0"] = 0.2,
    weight_temperature: Annotated[float, "> 0"] = 3.0,
    every: Annotated[int, ">= 1"] = 5,
) -> Tensor:
    """`sl` times sigmoid((c⁺ - β_u) / τ_w), where β_u is the score of the user's k-th item: it aims at the top k.

    The gradient goes through the weight too, as in the authors' code.

    Args:
        x: cosines.
        k: the cut-off of the metric.
        temperature: τ of the softmax.
        weight_temperature: τ_w.
        every: epochs between two rankings of all items, which give β_u; the paper estimates it from a sample.
    """
    weight = ((x.positive - x.state["quantile"][x.batch.users]) / weight_temperature).sigmoid()
    return weight * x.log_sum((x.negative - x.positive[:, None]) / temperature)


@state("sl-at-k")
def quantiles(training: Training, *, k: int, every: int, temperature: float, weight_temperature: float) -> LossState:
    """β_u, the k-th largest score of each user among all items."""
    tensors = {"quantile": torch.zeros(training.n_users)}

    def before_epoch(number: int, scorer: Scorer) -> None:
        if (number - 1) % every:
            return
        quantile = tensors["quantile"]
        for start in range(0, training.n_users, CHUNK):
            users = torch.arange(start, min(start + CHUNK, training.n_users), device=quantile.device)
            quantile[users] = scorer.all(users).topk(min(k, training.n_items), dim=1).values[:, -1]

    return LossState(tensors, before_epoch=before_epoch)


@LOSSES.register(
    "sogclr",
    paper="Yuan et al., ICML 2022",
    space="cosine",
    needs=["batch"],
    spaces=["cosine", "half-cosine"],
    spaces_why="without the positive in its sum it has no lower bound where scores have none",
    aliases=["global contrastive"],
)
def sogclr(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0"] = 0.2,
    momentum: Annotated[float, "> 0, <= 1"] = 0.9,
) -> Tensor:
    """The log of a moving average, per user, of mean_j exp((c_j - c⁺) / temperature): few negatives stand for many.

    The value is log A_u with A_u ← (1 - γ) A_u + γ · mean; its gradient is that of the mean divided by A_u.

    Args:
        x: cosines.
        temperature: τ.
        momentum: γ, the share of the new mean; 1 remembers nothing and is `sl` less log N.
    """
    now = x.log_sum((x.negative - x.positive[:, None]) / temperature) - x.counted.clamp(min=1).log().squeeze(1)
    known = x.state["log_average"].index_select(0, x.batch.users)
    with torch.no_grad():
        fresh = math.log(momentum) + now
        kept = math.log1p(-momentum) + known if momentum < 1 else torch.full_like(known, -torch.inf)
        average = torch.where(known.isnan(), now, torch.logaddexp(kept, fresh))
        scale = (now - average).exp()
        updated = torch.where(x.counted.squeeze(1) > 0, average, known)
        x.state["log_average"].index_copy_(0, x.batch.users, updated)  # of several rows of a user, the last counts
    return average + scale * (now - now.detach())


@state("sogclr")
def averages(training: Training, *, temperature: float, momentum: float) -> LossState:
    """log A_u, NaN before the user's first batch."""
    return LossState({"log_average": torch.full((training.n_users,), torch.nan)})
