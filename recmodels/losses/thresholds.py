"""Losses around a threshold for each user that is learned beside the model."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, logsigmoid

from recmodels.losses import LOSSES
from recmodels.objective import Apart, LossState, state
from recmodels.sampling import Training
from recmodels.scoring import from_dot, rows_of
from recmodels.search import Search
from recmodels.types import LossInput


@LOSSES.register(
    "talos",
    paper="Zhang, Yang, Chen, Wu, Sun, Wang, Shi, Wang, WWW 2026",
    space="cosine",
    needs=["tables", "user_tables"],
    refuses=["weight"],
    learns="a threshold for every user",
    spaces=["cosine", "half-cosine"],
    spaces_why="without the positive in its sum it has no lower bound where scores have none",
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},  # authors: 1,024
    aliases=["TL@K"],
)
def talos(
    x: LossInput,
    *,
    k: Annotated[int, ">= 1", Search(among=(5, 10, 20, 50))] = 20,  # authors
    temperature: Annotated[float, "> 0", Search(0.05, 3, log=True)] = 0.2,  # authors
    threshold_rate: Annotated[float, "> 0", Search(1e-4, 1e-1, log=True)] = 1e-3,  # judgement; authors: 1e-3
) -> Tensor:
    """-log σ(c⁺ - θ_u)/τ + log Σ_j exp(log σ(c_j - θ_u)/τ), where θ_u is the user's k-th largest score, learned.

    θ learns by quantile regression (`regression`) on the user's training items and the negatives, beside the model and
    by an Adam of its own; the model's gradient does not see that term, and its value is left out. With θ at +∞ it is
    `sl`; with θ at -∞ all scores are above it and none has a gradient.

    Args:
        x: cosines, and the tables.
        k: the cut-off of the metric.
        temperature: τ, outside the sigmoid.
        threshold_rate: the learning rate of θ.
    """
    users, row = torch.unique(x.batch.users, return_inverse=True)
    threshold = embedding(users, x.state["threshold"], sparse=True).squeeze(1)  # of each user of the batch
    of_training = _of_training(x, users, threshold, k).index_select(0, row)
    threshold = threshold.index_select(0, row)  # (B,)
    fit, now = regression(x, threshold, of_training, k), threshold.detach()
    positive = logsigmoid(x.positive - now) / temperature
    negative = logsigmoid(x.negative - now[:, None]) / temperature
    return x.without_negatives(x.log_sum(negative) - positive) + fit - fit.detach()


def regression(x: LossInput, threshold: Tensor, of_training: Tensor, k: int) -> Tensor:
    """(B,) (1/I) (Σ_{i in P_u} ρ(c_i - θ) + (I - |P_u|)/N Σ_j ρ(c_j - θ)), whose minimum is the k-th largest of I.

    ρ(d) = (1 - k/I) max(0, d) + (k/I) max(0, -d), so that k/I of the scores lie above θ.

    Args:
        x: the scores of the negatives.
        threshold: (B,) θ.
        of_training: (B,) the first sum.
        k: how many scores lie above.
    """
    unseen = x.n_items - x.state["items_of_user"][x.batch.users].to(threshold.dtype)
    return (of_training + unseen * x.mean(pinball(x.negative.detach() - threshold[:, None], k, x.n_items))) / x.n_items


def pinball(difference: Tensor, k: int, n_items: int) -> Tensor:
    """ρ, of any shape."""
    share = min(1.0, k / n_items)
    return (1 - share) * difference.relu() + share * (-difference).relu()


def _of_training(x: LossInput, users: Tensor, threshold: Tensor, k: int) -> Tensor:
    """Σ_{i in P_u} ρ(c_i - θ) for different `users` and their θ; the scores are without a gradient."""
    assert x.tables is not None
    counts, starts = x.state["items_of_user"][users], x.state["starts"][users]
    owner = torch.arange(len(users), device=users.device).repeat_interleave(counts)
    before = (counts.cumsum(0) - counts - starts).repeat_interleave(counts)
    ids = x.state["training_items"][torch.arange(len(owner), device=users.device) - before]
    with torch.no_grad():
        mine, items = rows_of(x.tables.users, users), rows_of(x.tables.items, ids)
        dot = (mine[owner] * items).sum(dim=1)
        scores = from_dot(dot, mine.square().sum(dim=1)[owner], items.square().sum(dim=1), x.space)
    terms = pinball(scores - threshold.index_select(0, owner), k, x.n_items)
    return threshold.new_zeros(len(users)).index_add(0, owner, terms)


@state("talos")
def thresholds(training: Training, *, k: int, temperature: float, threshold_rate: float) -> LossState:
    """θ, 0 at the start, and the training items of each user."""
    offsets, items = training.interactions.by_user()
    tensors: dict[str, Tensor] = {
        "threshold": nn.Parameter(torch.zeros(training.n_users, 1)),
        "items_of_user": torch.from_numpy(np.diff(offsets).astype(np.int64)),
        "starts": torch.from_numpy(offsets[:-1].astype(np.int64)),
        "training_items": torch.from_numpy(items.astype(np.int64)),
    }
    return LossState(tensors, apart=(Apart(("threshold",), threshold_rate),))
