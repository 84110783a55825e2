"""Users made of the items of their history."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.models import MODELS
from recmodels.models.mf import mf, vectors
from recmodels.pooling import Histories, Lists, softmax_in_lists, weighted_sums
from recmodels.sampling import Training
from recmodels.scoring import lookups
from recmodels.search import Search
from recmodels.seen import Int
from recmodels.settings import Settings
from recmodels.types import Batch, Tables


@MODELS.register(
    "history",
    paper="Mao, Zhu, Wang, Dai, Dong, Xiao, He, CIKM 2021; Covington, Adams, Sargin, RecSys 2016",
    gives={
        "dot": "",
        "cosine": "",
        "half-cosine": "",
        "distance": "",
        "rows": "",
        "free_vectors": "gamma == 1.0",
        "unseen_users": "gamma != 1.0",
    },
    refuses={"tables": "leave_out == true"},
    aliases={"YouTubeDNN": "gamma=0,separate=true"},
)
def history(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    gamma: Annotated[float, ">= 0, <= 1", Search(0, 1)] = 0.5,  # authors
    pool: Annotated[Literal["mean", "attention"], Search(among=("mean", "attention"))] = "mean",  # authors
    length: Annotated[int, ">= 1", Search(10, 500, log=True, among=(None,))] | None = 50,  # RecBole
    linear: Annotated[bool, Search(among=(False, True))] = True,  # authors
    separate: Annotated[bool, Search(among=(False, True))] = False,  # papers
    leave_out: Annotated[bool, Search(among=(False, True))] = False,  # judgement
) -> nn.Module:
    """A user is γ times an own vector plus 1 - γ times what the last items of the user's history come to.

    u = γ e_u + (1 - γ) W Σ_k α_k v_k over the `length` last training items of u, where α_k = 1 / n, or with
    `pool=attention` the softmax of qᵀ tanh(K v_k + b). As in the authors' code of SimpleX the history has the row's
    positive in it, with which it is asked to find it; `leave_out=true` trains each row without it. Samplers that choose
    by score, and rankings, see the user with all of the history.

    γ = 0 has no own vector, and γ = 1 is `mf`. A user without training interactions has an own vector of 0, and is
    ranked by the history alone: that of the interactions that a `strong` split gives.

    Args:
        training: gives the interactions.
        settings: gives the size and the scale of the vectors.
        rng: draws the initial vectors, users first.
        gamma: γ.
        pool: how the items of a history are weighed.
        length: how many items a history has at most; none keeps all.
        linear: whether there is a W, drawn with variance 1 / D; without, it is the identity.
        separate: whether items have other vectors in histories than as what is scored.
        leave_out: whether a row's positive is left out of its user's history.
    """
    if gamma == 1:
        return mf(training, settings, rng)
    return _History(training, settings, rng, gamma, pool == "attention", length, linear, separate, leave_out)


class _History(nn.Module):
    trained: Tensor

    def __init__(
        self,
        training: Training,
        settings: Settings,
        rng: np.random.Generator,
        gamma: float,
        attention: bool,
        length: int | None,
        linear: bool,
        separate: bool,
        leave_out: bool,
    ) -> None:
        super().__init__()
        size = settings.embedding_size
        if gamma:
            self.users = vectors(training.n_users, settings, rng)  # (U, D)
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.inputs = vectors(training.n_items, settings, rng) if separate else None  # (I, D)
        self.map = _normal(rng, size, size) if linear else None  # (D, D)
        self.keys = _normal(rng, size, size) if attention else None  # (D, D)
        self.key_bias = nn.Parameter(torch.zeros(size)) if attention else None  # (D,)
        self.query = _normal(rng, size) if attention else None  # (D,)
        self.gamma, self.leave_out, self.by_row = gamma, leave_out, not settings.every_row
        self.histories, self.n_users = Histories(training.histories, length), training.n_users
        self.register_buffer("trained", torch.from_numpy(training.seen.counts > 0), persistent=False)

    def forward(self) -> Tables:
        mixed = (1 - self.gamma) * self._pooled(np.arange(self.n_users))
        if self.gamma:
            mixed = mixed + self.gamma * self.users * self.trained.to(mixed.dtype).unsqueeze(1)
        return Tables(mixed, self.items)

    def queries(self, batch: Batch) -> Tables:
        """The users of the rows (B, D), in the order of the rows, for the cost of their histories; and the items."""
        users, row = batch.users, None
        if not self.leave_out:
            users, row = torch.unique(users, return_inverse=True)
        left_out = batch.positives.cpu().numpy() if self.leave_out else None
        mixed = (1 - self.gamma) * self._pooled(users.cpu().numpy(), left_out)
        if self.gamma:
            mixed = mixed + self.gamma * lookups(self.users, self.by_row, users)[0]
        return Tables(mixed if row is None else mixed.index_select(0, row), self.items)

    def _pooled(self, users: Int, left_out: Int | None = None) -> Tensor:
        """(R, D) what the histories of `users` (R,) come to, 0 where they are empty."""
        table = self.items if self.inputs is None else self.inputs
        lists = Lists(*(part.to(table.device) for part in self.histories.of(users, left_out)))
        pooled = weighted_sums(table, lists, self._weights(table, lists), self.by_row)
        return pooled if self.map is None else pooled @ self.map.T

    def _weights(self, table: Tensor, lists: Lists) -> Tensor:
        """(n,) α."""
        if self.keys is None or self.key_bias is None or self.query is None:
            return (1 / lists.sizes.to(table.dtype)).repeat_interleave(lists.sizes)
        items, at = torch.unique(lists.ids, return_inverse=True)
        keys = lookups(table, self.by_row, items)[0] @ self.keys.T + self.key_bias
        return softmax_in_lists((keys.tanh() @ self.query).index_select(0, at), lists)


def _normal(rng: np.random.Generator, *shape: int) -> nn.Parameter:
    """Independent normal numbers of variance 1 / D, the last of the shape."""
    return nn.Parameter(torch.from_numpy(rng.standard_normal(shape, dtype=np.float32) / np.float32(shape[-1] ** 0.5)))
