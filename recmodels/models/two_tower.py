"""Two towers: users by id or history, and items by id and by what describes them."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datasets.errors import UserError
from recmodels.models import MODELS
from recmodels.models.mf import vectors
from recmodels.pooling import Histories, Lists, weighted_sums
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.seen import Int
from recmodels.settings import Settings
from recmodels.types import Batch, Tables


@MODELS.register(
    "two-tower",
    paper="Yi et al., RecSys 2019; Kula, CBRecSys 2015; Covington, Adams, Sargin, RecSys 2016",
    gives={"dot": "", "cosine": "", "half-cosine": "", "distance": "", "unseen_users": "user == history"},
    asks=["features"],
    ignores={"l2_user": "user == history", "l2_positive": "ids == false", "l2_negative": "ids == false", "l2_bias": ""},
    aliases={"LightFM": "", "item tower": "", "content-based": "ids=false"},
)
def two_tower(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    user: Literal["id", "history"] = "id",  # papers
    ids: Annotated[bool, Search(among=(False, True))] = True,  # papers
    hidden: Annotated[int, ">= 0, <= 8", Search(0, 3)] = 0,  # papers
) -> nn.Module:
    """Items by what describes them, beside vectors of their own: v_i = e_i + h_L, so that cold items are ranked too.

    h_0 = Σ_f x_if w_f over the features of the item, each with a vector w_f, and on it L = `hidden` layers of ReLU of
    size D: h_l = W_l max(0, h_{l-1} + b_l). With L = 0 the item is the sum of its own vector and those of its
    features, as in LightFM. An item without training interactions has e_i = 0, so that its features alone rank it.

    A user has an own vector, as in `mf`, or is M times the mean of the vectors v of all training items, the row's
    positive among them, as in `history`; a user without any is 0. L2 reaches e_i and the users' own vectors, and no
    w_f, W_l, b_l and M. A step costs the products of the features of all items.

    Args:
        training: gives the interactions and the features.
        settings: gives the size and the scale of the vectors e_i and w_f, and of the users' own.
        rng: draws the initial vectors; W_l with variance 2 / D, M with variance 1 / D, b_l as 0.
        user: whether a user is an own vector or the history.
        ids: whether items have vectors e_i of their own; without, they are told apart by their features alone.
        hidden: L.
    """
    if training.features is None:
        raise UserError("two-tower reads features of the items; give --item-features and a file of them.")
    tower = _OfHistory if user == "history" else _TwoTower
    return tower(training, training.features, settings, rng, user == "id", ids, hidden)


class _TwoTower(nn.Module):
    features: Tensor
    trained: Tensor

    def __init__(
        self,
        training: Training,
        features: NDArray[np.float32],
        settings: Settings,
        rng: np.random.Generator,
        own: bool,
        ids: bool,
        hidden: int,
    ) -> None:
        super().__init__()
        size = settings.embedding_size
        self.users = vectors(training.n_users, settings, rng) if own else None  # (U, D)
        self.items = vectors(training.n_items, settings, rng) if ids else None  # (I, D)
        self.of_features = vectors(features.shape[1], settings, rng)  # (F, D)
        self.layers = nn.ParameterList(_normal(rng, size, variance=2.0) for _ in range(hidden))  # each (D, D)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(size)) for _ in range(hidden))  # each (D,)
        self.map = None if own else _normal(rng, size, variance=1.0)  # (D, D)
        self.histories = None if own else Histories(training.histories, None)
        described = torch.from_numpy(
            np.require(features, requirements="W")
        )  # what came over a network cannot be written
        self.register_buffer("features", described, persistent=False)  # (I, F)
        trained = torch.from_numpy(training.counts > 0).unsqueeze(1).float()
        self.register_buffer("trained", trained, persistent=False)  # (I, 1)
        self.n_users = training.n_users

    def forward(self) -> Tables:
        items = self._items()
        return Tables(self._pooled(np.arange(self.n_users), items) if self.users is None else self.users, items)

    def _items(self) -> Tensor:
        """(I, D) v."""
        found = self.features @ self.of_features
        for weight, bias in zip(self.layers, self.biases, strict=True):
            found = (found + bias).relu() @ weight.T
        return found if self.items is None else found + self.items * self.trained

    def _pooled(self, users: Int, items: Tensor) -> Tensor:
        """(R, D) M times the mean of the items of `users` (R,)."""
        assert self.histories is not None
        assert self.map is not None
        lists = Lists(*(part.to(items.device) for part in self.histories.of(users)))
        weights = (1 / lists.sizes.to(items.dtype)).repeat_interleave(lists.sizes)
        return weighted_sums(items, lists, weights, by_row=False) @ self.map.T


class _OfHistory(_TwoTower):
    def queries(self, batch: Batch) -> Tables:
        """The users of the rows (B, D), in the order of the rows, for the cost of their histories; and the items."""
        items = self._items()
        users, row = torch.unique(batch.users, return_inverse=True)
        return Tables(self._pooled(users.cpu().numpy(), items).index_select(0, row), items)


def _normal(rng: np.random.Generator, size: int, variance: float) -> nn.Parameter:
    """(D, D) independent normal numbers of variance `variance` / D."""
    numbers = rng.standard_normal((size, size), dtype=np.float32) * np.float32((variance / size) ** 0.5)
    return nn.Parameter(torch.from_numpy(numbers))
