"""Losses that know how popular users and items are."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recmodels.losses import LOSSES
from recmodels.losses.embedding import NEARLY_ONE
from recmodels.losses.softmax import surprise
from recmodels.objective import Apart, LossState, state
from recmodels.sampling import Training
from recmodels.scoring import from_dot, row_dot, rows_of
from recmodels.search import Search
from recmodels.types import LossInput

SIZE = 64  # numbers of each popularity vector


@LOSSES.register(
    "bc",
    paper="Zhang, Ma, Wang, Chua, NeurIPS 2022",
    space="cosine",
    learns="vectors of popularities",
    spaces=["cosine"],
    spaces_why="its margin is an angle",
    # as for sl; authors: 128
    search={"l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)), "negatives": Search(64, 1500, log=True)},
    aliases=["BC loss", "bias-aware margin"],
)
def bc(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0", Search(0.05, 0.5, log=True)] = 0.07,  # judgement; authors: .07
    popularity_temperature: Annotated[float, "> 0", Search(0.05, 0.5, log=True)] = 0.1,  # judgement; authors: .1
    share: Annotated[float, ">= 0, < 1", Search(among=(0.1, 0.5, 0.9))] = 0.5,  # judgement; authors: .5
    warm_up: Annotated[int, ">= 0", Search(among=(5, 10))] = 5,  # authors: 5
) -> Tensor:
    """InfoNCE whose positive has a margin where popularity alone foretells it badly: λ' infonce at cos(θ⁺ + m) + λ P.

    m = 1 - sigmoid(p_u·p_i), of a vector p for each number of interactions that a user or an item has. They learn in
    passes before the first epoch by P, the InfoNCE of their cosines, and stand still from then on; λ' = 1 - λ. With
    m = 0 and λ = 0 it is `infonce`. As in the authors' code θ⁺ + m may exceed π, where the positive is pushed away.

    Args:
        x: cosines.
        temperature: τ of the model's term.
        popularity_temperature: τ of P.
        share: λ.
        warm_up: passes in which the vectors of popularities learn; their number of epochs in the authors' code.
    """
    users, items = rows_of(x.state["user_popularity"], x.state["user_class"][x.batch.users]), x.state["item_class"]
    own = rows_of(x.state["item_popularity"], items[x.batch.positives])
    others = rows_of(x.state["item_popularity"], items[x.items])
    dot = (users * own).sum(dim=1)
    margin = 1 - dot.detach().sigmoid()
    angle = x.positive.clamp(-NEARLY_ONE, NEARLY_ONE).acos() + margin
    main = surprise(x, angle.cos() / temperature, x.negative / temperature)
    lengths = users.square().sum(dim=1)
    foretold = from_dot(dot, lengths, own.square().sum(dim=1), "cosine")
    rivals = users @ others.T if others.dim() == 2 else row_dot(users, others)
    rivals = from_dot(rivals, lengths[:, None], others.square().sum(dim=-1), "cosine")
    popular = surprise(x, foretold / popularity_temperature, rivals / popularity_temperature)
    return (1 - share) * main + share * popular


@state("bc")
def popularities(
    training: Training, *, temperature: float, popularity_temperature: float, share: float, warm_up: int
) -> LossState:
    """Which users and items have one number of interactions, and a vector for each such number."""
    tensors: dict[str, Tensor] = {}
    for side, counts in (("user", training.seen.counts), ("item", training.counts)):
        classes, vectors = _classes(counts)
        tensors[f"{side}_class"] = torch.from_numpy(classes)
        tensors[f"{side}_popularity"] = nn.Parameter(vectors)
    names = ("user_popularity", "item_popularity")
    passes = Apart(names, 1.0, relative=True, passes=lambda epoch: warm_up if epoch == 1 else 0)
    return LossState(tensors, apart=(passes,))


def _classes(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor]:
    different, classes = np.unique(counts, return_inverse=True)
    scale = math.sqrt(2 / (len(different) + SIZE))
    return classes.astype(np.int64), torch.randn(len(different), SIZE) * scale
