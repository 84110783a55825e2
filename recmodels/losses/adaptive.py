"""Losses whose temperature follows from what was learned so far."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import lambertw
from torch import Tensor

from recmodels.losses import LOSSES
from recmodels.objective import LossState, state
from recmodels.sampling import Scorer, Training
from recmodels.scoring import ranking_tables
from recmodels.search import Search
from recmodels.types import LossInput

QUANTILE = 0.2  # users with more interactions than this share of users count for the global temperature
ASSUMED = 0.7  # of the difference of mean cosines, before there is one to speak of
LEAST = 0.1  # it is not taken for smaller, so that the temperature stays a positive number


@LOSSES.register(
    "adap-tau",
    paper="Chen, Wu, Wu, Cao, Zhou, He, WWW 2023",
    space="cosine",
    spaces=["cosine"],
    spaces_why="its temperature follows from mean cosines",
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["Adap-τ", "adaptive temperature"],
)
def adap_tau(
    x: LossInput,
    *,
    sharpness: Annotated[float, "> 0", Search(0.25, 4, log=True)] = 1.0,  # authors: 1, .25
    warm_up: Annotated[float, ">= 0, <= 1", Search(among=(0.0, 0.1, 0.5))] = 0.1,  # judgement
) -> Tensor:
    """-w₀ c⁺ + log Σ_j exp(w_u c_j), with 1/w₀ the temperature of all and 1/w_u the user's, larger for a larger loss.

    Both are numbers to the gradient, set before each epoch from the one that has passed:
    w_u = w₀ exp(-W(max((ℓ_u - ℓ) / β, -1/e))), W Lambert's function, ℓ_u the mean of -c⁺ + log Σ_j exp(c_j) over the
    user's rows, ℓ its mean over users; w₀ = log(½ U' I / n') / (mean cosine of interactions - mean cosine of all
    pairs), of the U' users with more interactions than a fifth of users has, n' theirs. In the first epoch w_u = w₀.

    Args:
        x: cosines.
        sharpness: β; 1 in the authors' runs, .25 on Gowalla.
        warm_up: the share of epochs in which .7 stands for the difference of mean cosines.
    """
    _remember(x)
    total = x.log_sum(x.negative * x.state["user_weight"][x.batch.users][:, None])
    return x.without_negatives(total - x.state["weight"] * x.positive)


@torch.no_grad()
def _remember(x: LossInput) -> None:
    """Add the rows' losses at temperature 1 to those of their users."""
    some = x.counted.squeeze(1) > 0
    loss = (x.log_sum(x.negative) - x.positive)[some]
    users = x.batch.users[some]
    x.state["total"].index_add_(0, users, loss)
    x.state["rows"].index_add_(0, users, torch.ones_like(loss))


@state("adap-tau")
def temperatures(training: Training, *, sharpness: float, warm_up: float) -> LossState:
    """w₀, w of each user, and the sum and the number of what their rows lost in this epoch."""
    zeros = torch.zeros(training.n_users)
    tensors = {
        "weight": torch.tensor(global_weight(training, ASSUMED)),
        "user_weight": zeros + global_weight(training, ASSUMED),
        "total": zeros.clone(),
        "rows": zeros.clone(),
    }

    def before_epoch(number: int, scorer: Scorer) -> None:
        steady = number <= math.ceil(round(training.epochs * warm_up, 6))
        weight = global_weight(training, ASSUMED if steady else max(LEAST, difference_of_means(training, scorer)))
        tensors["weight"].fill_(weight)
        seen = tensors["rows"] > 0
        mean = tensors["total"][seen] / tensors["rows"][seen]
        tensors["user_weight"].fill_(weight)
        if len(mean):
            tensors["user_weight"][seen] = weight * user_factor(mean, sharpness)
        for name in ("total", "rows"):
            tensors[name].zero_()

    return LossState(tensors, before_epoch=before_epoch)


def user_factor(losses: Tensor, sharpness: float) -> Tensor:
    """exp(-W(max((ℓ_u - ℓ) / β, -1/e))) of the users' mean losses (U,)."""
    argument: NDArray[np.float64] = ((losses - losses.mean()) / sharpness).double().cpu().numpy()
    inside: NDArray[np.float64] = argument[argument > -1 / math.e]
    found = np.full_like(argument, -1.0)  # at the edge, where scipy gives NaN
    found[argument > -1 / math.e] = lambertw(inside).real  # type: ignore[call-overload]  # its stub wants a shape
    return torch.from_numpy(np.exp(-found)).to(losses)


def global_weight(training: Training, difference: float) -> float:
    """w₀ at a difference of mean cosines; its logarithm is not below .1, where nearly all pairs are interactions."""
    active, counts = _active(training)
    return max(LEAST, math.log(0.5 * len(active) * training.n_items / max(1, counts.sum()))) / difference


def difference_of_means(training: Training, scorer: Scorer) -> float:
    """The mean cosine of the active users' interactions, less that of their pairs with all items."""
    active, counts = _active(training)
    users, items, _ = ranking_tables(scorer.tables, "cosine")
    sums = torch.zeros_like(users)  # of the directions of each user's items
    of_user, of_item = (
        torch.from_numpy(ids.astype(np.int64)).to(users.device)
        for ids in (training.interactions.users, training.interactions.items)
    )
    sums.index_add_(0, of_user, items.index_select(0, of_item))
    mine = torch.from_numpy(active).to(users.device)
    own = (users[mine] * sums[mine]).sum() / counts.sum()
    return float(own - users[mine].mean(dim=0) @ items.mean(dim=0))


def _active(training: Training) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The users with more interactions than `QUANTILE` of users, and how many they have; all, where none has more."""
    counts = training.seen.counts
    active = np.flatnonzero(counts > np.quantile(counts[counts > 0], QUANTILE))
    active = active if active.size else np.flatnonzero(counts)
    return active, counts[active]
