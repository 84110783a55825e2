"""Losses without sampled negatives: they spread the vectors out, or sum over the whole catalogue at once."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from recmodels.losses import LOSSES
from recmodels.objective import LossState, state
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.types import LossInput

NEARLY_ONE = 1 - 1e-7  # cosines are not taken for larger: the angle has no gradient at 1


def uniformity(directions: Tensor) -> Tensor:
    """log mean over pairs a < b of exp(-2 ‖x_a - x_b‖²) of unit vectors (B, D); 0 where there is no pair."""
    rows = len(directions)
    if rows < 2:
        return directions.sum() * 0
    # -2 ‖x_a - x_b‖² = 4 cos - 4 is in [-8, 0]: nothing can overflow
    similar = torch.addmm(directions.new_tensor(-4.0), directions, directions.T, alpha=4).exp()
    pairs = similar.sum() - similar.diagonal().sum()  # each counted twice
    return (pairs / (rows * (rows - 1))).log()


@LOSSES.register(
    "directau",
    paper="Wang, Yu, Ma, Zhang, Chen, Liu, Ma, KDD 2022",
    space="cosine",
    rank_space="dot",
    needs=["vectors", "no_negatives"],
    spaces=["cosine"],
    spaces_why="it is defined on directions",
    recommended={
        "optimizer": "sgd",
        "learning_rate": 3.0,
        "l2": 0.0,
        "batch_size": 256,
        "init": "normal",
        "init_std": 0.01,
    },
    recommended_from="validation on ml-100k",
    search={  # the authors' files
        "learning_rate": Search(0.1, 10, log=True),  # judgement, with sgd
        "batch_size": Search(256, 4096, log=True),  # a part of the loss
        "init": Search(among=("normal", "xavier")),  # authors
    },
)
def directau(
    x: LossInput,
    *,
    gamma: Annotated[float, ">= 0", Search(0.01, 10, log=True)] = 0.5,  # authors
) -> Tensor:
    """Alignment ‖û - v̂⁺‖² plus gamma/2 times the uniformity of the batch's users and of its items.

    û are unit vectors; uniformity is log mean over pairs of exp(-2 ‖û_a - û_b‖²). Trained on directions, ranked by dot
    product, as in the authors' code; `rank_space=cosine` changes that.

    Args:
        x: vectors.
        gamma: weight of the uniformity.
    """
    assert x.vectors is not None
    users, items = normalize(x.vectors.users), normalize(x.vectors.positives)
    return (users - items).square().sum(dim=1) + gamma * (uniformity(users) + uniformity(items)) / 2


@LOSSES.register(
    "mawu",
    paper="Park, Yoon, Lee, Park, Lee, CIKM 2023",
    space="cosine",
    rank_space="dot",
    needs=["vectors", "no_negatives"],
    learns="a number for every user and item",
    spaces=["cosine"],
    spaces_why="it is defined on directions",
    recommended={
        "optimizer": "sgd",
        "learning_rate": 3.0,
        "l2": 0.0,
        "batch_size": 256,
        "init": "normal",
        "init_std": 0.01,
    },
    recommended_from="validation on ml-100k",
    search={  # the authors' files
        "learning_rate": Search(0.1, 10, log=True),  # judgement, with sgd
        "batch_size": Search(256, 4096, log=True),  # a part of the loss
        "init": Search(among=("normal", "xavier")),  # authors
    },
)
def mawu(
    x: LossInput,
    *,
    gamma_user: Annotated[float, ">= 0", Search(0.1, 3, log=True)] = 0.5,  # papers
    gamma_item: Annotated[float, ">= 0", Search(0.1, 3, log=True)] = 0.5,  # papers
) -> Tensor:
    """Alignment -cos(θ + m) with learned margins m = 1 - sigmoid(M_u + M_i), plus weighted uniformity of both sides.

    θ is the angle between user and positive, and θ + m is at most π; M are numbers in [0, 1], one for each user and
    item, trained with the vectors. As in the authors' code, the ranking is by dot product, and uniformity is the log of
    a mean over all B² cells, of which the diagonal and half of the pairs count as at right angles (e⁻⁴).

    Args:
        x: vectors.
        gamma_user: weight of the users' uniformity.
        gamma_item: weight of the items' uniformity.
    """
    assert x.vectors is not None
    users, items = normalize(x.vectors.users), normalize(x.vectors.positives)
    margin = 1 - (x.state["user_margin"][x.batch.users] + x.state["item_margin"][x.batch.positives]).sigmoid()
    cosine = (users * items).sum(dim=1)
    angle = cosine.clamp(-NEARLY_ONE, NEARLY_ONE).acos() + margin
    return gamma_user * _half(users) + gamma_item * _half(items) - angle.clamp(max=math.pi).cos()


def _half(directions: Tensor) -> Tensor:
    """`uniformity` (B, D) where only half of the pairs is looked at, and all other cells count as e⁻⁴."""
    rows = len(directions)
    if rows < 2:
        return uniformity(directions) - 4
    seen = math.log((rows - 1) / (2 * rows))
    return torch.logaddexp(uniformity(directions) + seen, directions.new_tensor(math.log((rows + 1) / (2 * rows)) - 4))


@state("mawu")
def margins(training: Training, *, gamma_user: float, gamma_item: float) -> LossState:
    """M of users and items, 0 at the start, kept in [0, 1]."""
    tensors: dict[str, Tensor] = {
        "user_margin": nn.Parameter(torch.zeros(training.n_users)),
        "item_margin": nn.Parameter(torch.zeros(training.n_items)),
    }

    @torch.no_grad()
    def after_step(module: nn.Module) -> None:
        for tensor in tensors.values():
            tensor.clamp_(0, 1)

    return LossState(tensors, after_step=after_step)


@LOSSES.register(
    "wrmf",
    paper="Hu, Koren, Volinsky, ICDM 2008",
    space="dot",
    needs=["tables", "no_negatives"],
    spaces=["dot"],
    spaces_why="its sum over the catalogue is a product of matrices",
    search={"l2": Search(1e-4, 1e-1, log=True)},  # iALS
    aliases=["WMF"],
)
def wrmf(
    x: LossInput,
    *,
    unobserved: Annotated[float, "> 0", Search(1e-3, 1, log=True)] = 0.1,  # iALS
) -> Tensor:
    """(1 - s⁺)² + unobserved / |P_u| · Σ over all items of s², exactly: Σ_i (u·v_i)² = uᵀ (Σ_i v_i v_iᵀ) u.

    Summed over the interactions this is the objective of implicit ALS; the D × D matrix makes it cost no more than a
    batch of D items.

    Args:
        x: scores, and the tables.
        unobserved: the weight of an item that the user has not chosen.
    """
    rows, items = with_bias(x)
    everything = ((rows @ (items.T @ items)) * rows).sum(dim=1)
    return (1 - x.positive).square() + unobserved / x.state["items_of_user"][x.batch.users] * everything


def with_bias(x: LossInput) -> tuple[Tensor, Tensor]:
    """Vectors of the rows' users and of all items, whose dot products are the scores; a bias is one number more."""
    assert x.tables is not None
    rows, items, bias = x.of_rows, x.tables.items, x.tables.bias
    if bias is None:
        return rows, items
    return torch.cat([rows, torch.ones_like(rows[:, :1])], 1), torch.cat([items, bias[:, None]], 1)


@state("wrmf")
def sizes(training: Training, *, unobserved: float) -> LossState:
    """|P_u|."""
    return LossState({"items_of_user": torch.from_numpy(training.seen.counts).float().clamp(min=1)})
