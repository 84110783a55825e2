"""Losses that remember something of each user."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from recmodels.losses import LOSSES
from recmodels.losses.softmax import log_mean_by_user
from recmodels.objective import LossState, state
from recmodels.sampling import Scorer, Training
from recmodels.search import Search
from recmodels.types import LossInput

CHUNK = 512  # users scored at a time


@LOSSES.register(
    "sl-at-k",
    paper="Yang et al., KDD 2025",
    space="cosine",
    spaces=["cosine", "half-cosine"],
    spaces_why="without the positive in its sum it has no lower bound where scores have none",
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},  # IRB
    aliases=["SL@K"],
)
def sl_at_k(
    x: LossInput,
    *,
    k: Annotated[int, ">= 1", Search(among=(5, 10, 20, 50))] = 20,  # the K of the metric
    temperature: Annotated[float, "> 0", Search(0.01, 0.5, log=True)] = 0.2,  # IRB
    weight_temperature: Annotated[float, "> 0", Search(0.5, 3)] = 3.0,  # IRB
    every: Annotated[int, ">= 1", Search(among=(5, 20))] = 5,  # IRB
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
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},  # IRB
    aliases=["global contrastive"],
)
def sogclr(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0", Search(0.01, 0.5, log=True)] = 0.2,  # IRB
    momentum: Annotated[float, "> 0, <= 1", Search(among=(0.1, 0.3, 0.5, 0.7, 0.9, 0.99))] = 0.9,  # IRB
) -> Tensor:
    """The stochastic global contrastive loss: -c⁺/τ + ĝ/g, where g remembers ĝ, so that few negatives stand for many.

    ĝ is the mean over negatives of exp(c_j/τ); before it is used, g ← (1 - γ) g + γ ĝ for the row's user, and g = ĝ at
    the user's first visit. Of several rows of a user in a batch ĝ is the mean. g is a number to the gradient, which is
    -1/τ at the positive and a softmax times ĝ/g at the negatives.

    Args:
        x: cosines.
        temperature: τ.
        momentum: γ, the share of the NEW estimate; with 1 nothing is remembered, and the gradient is that of `sl`.
    """
    log_now = x.log_mean(x.negative / temperature)
    log_average = x.state["log_average"]
    with torch.no_grad():
        some = x.counted.squeeze(1) > 0
        users = x.batch.users[some]
        fresh, known = log_mean_by_user(log_now[some], users), log_average.index_select(0, users)
        kept = math.log1p(-momentum) + known if momentum < 1 else torch.full_like(known, -torch.inf)
        updated = torch.where(known.isnan(), fresh, torch.logaddexp(kept, math.log(momentum) + fresh))
        log_average.index_copy_(0, users, updated)  # rows of one user are equal
        now = torch.where(some, log_average.index_select(0, x.batch.users), 0.0)
    return x.without_negatives((log_now - now).exp() - x.positive / temperature)


@state("sogclr")
def averages(training: Training, *, temperature: float, momentum: float) -> LossState:
    """log g, NaN before the user's first batch."""
    return LossState({"log_average": torch.full((training.n_users,), torch.nan)})
