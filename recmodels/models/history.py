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
    ignores={
        "pool": "gamma == 1.0",
        "length": "gamma == 1.0",
        "linear": "gamma == 1.0",
        "separate": "gamma == 1.0",
        "leave_out": "gamma == 1.0",
        "hidden": "gamma == 1.0",
        "l2_user": "gamma == 0.0 and pool != user-attention",
        "l2_bias": "",
    },
    aliases={"YouTubeDNN": "gamma=0,separate=true,linear=false,hidden=2"},
)
def history(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    gamma: Annotated[float, ">= 0, <= 1", Search(0, 1)] = 0.5,  # authors
    pool: Annotated[
        Literal["mean", "attention", "user-attention"], Search(among=("mean", "attention", "user-attention"))
    ] = "mean",  # authors
    length: Annotated[int, ">= 1", Search(10, 500, log=True, among=(None,))] | None = 50,  # RecBole
    linear: Annotated[bool, Search(among=(False, True))] = True,  # authors
    separate: Annotated[bool, Search(among=(False, True))] = False,  # papers
    leave_out: Annotated[bool, Search(among=(False, True))] = False,  # judgement
    hidden: Annotated[int, ">= 0, <= 8", Search(0, 3)] = 0,  # authors
) -> nn.Module:
    """A user is γ times an own vector plus 1 - γ times what the last items of the user's history come to.

    u = γ e_u + (1 - γ) W h_L, with h_0 = Σ_k α_k v_k over the `length` last training items of u, and on it the ReLU
    layers of YouTubeDNN's tower, all of size D: h_l = max(0, W_l h_{l-1} + b_l) for l = 1 … L = `hidden`. α_k = 1 /
    n, or the softmax over k of qᵀ tanh(K v_k + b), SimpleX's self-attention, or of e_uᵀ tanh(K v_k + b), its user
    attention, for which γ = 0 has an own vector too. As in the authors' code of SimpleX the history has the row's
    positive in it, with which it is asked to find it; `leave_out=true` trains each row without it. Samplers that
    choose by score, and rankings, see the user with all of the history.

    γ = 0 has no own vector otherwise, and γ = 1 is `mf`. A user without training interactions has an own vector of
    0, by which user attention weighs evenly, and is ranked by the history alone: that of the interactions that a
    `strong` split gives.

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
        hidden: how many layers of ReLU are below W, drawn with variance 2 / D, and b_l with 0.
    """
    if gamma == 1:
        return mf(training, settings, rng)
    return _History(training, settings, rng, gamma, pool, length, linear, separate, leave_out, hidden)


class _History(nn.Module):
    trained: Tensor

    def __init__(
        self,
        training: Training,
        settings: Settings,
        rng: np.random.Generator,
        gamma: float,
        pool: str,
        length: int | None,
        linear: bool,
        separate: bool,
        leave_out: bool,
        hidden: int,
    ) -> None:
        super().__init__()
        size, by_user = settings.embedding_size, pool == "user-attention"
        if gamma or by_user:
            self.users = vectors(training.n_users, settings, rng)  # (U, D)
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.inputs = vectors(training.n_items, settings, rng) if separate else None  # (I, D)
        self.map = _normal(rng, size, size) if linear else None  # (D, D)
        self.keys = _normal(rng, size, size) if pool != "mean" else None  # (D, D)
        self.key_bias = nn.Parameter(torch.zeros(size)) if pool != "mean" else None  # (D,)
        self.query = _normal(rng, size) if pool == "attention" else None  # (D,)
        self.layers = nn.ParameterList(_normal(rng, size, size, variance=2.0) for _ in range(hidden))  # each (D, D)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(size)) for _ in range(hidden))  # each (D,)
        self.owned = bool(gamma or by_user)
        self.gamma, self.leave_out, self.by_row = gamma, leave_out, not settings.every_row
        self.histories, self.n_users = Histories(training.histories, length), training.n_users
        self.register_buffer("trained", torch.from_numpy(training.seen.counts > 0), persistent=False)

    def forward(self) -> Tables:
        own = self.users * self.trained.to(self.users.dtype).unsqueeze(1) if self.owned else None
        return Tables(self._mixed(np.arange(self.n_users), own), self.items)

    def queries(self, batch: Batch) -> Tables:
        """The users of the rows (B, D), in the order of the rows, for the cost of their histories; and the items."""
        users, row = batch.users, None
        if not self.leave_out:
            users, row = torch.unique(users, return_inverse=True)
        left_out = batch.positives.cpu().numpy() if self.leave_out else None
        own = lookups(self.users, self.by_row, users)[0] if self.owned else None
        mixed = self._mixed(users.cpu().numpy(), own, left_out)
        return Tables(mixed if row is None else mixed.index_select(0, row), self.items)

    def _mixed(self, users: Int, own: Tensor | None, left_out: Int | None = None) -> Tensor:
        """(R, D) the vectors of `users` (R,), of whom `own` (R, D) are the own ones."""
        mixed = (1 - self.gamma) * self._pooled(users, own, left_out)
        return mixed + self.gamma * own if self.gamma and own is not None else mixed

    def _pooled(self, users: Int, own: Tensor | None, left_out: Int | None) -> Tensor:
        """(R, D) what the histories of `users` (R,) come to; h_0 is 0 where they are empty."""
        table = self.items if self.inputs is None else self.inputs
        lists = Lists(*(part.to(table.device) for part in self.histories.of(users, left_out)))
        pooled = weighted_sums(table, lists, self._weights(table, lists, own), self.by_row)
        for weight, bias in zip(self.layers, self.biases, strict=True):
            pooled = (pooled @ weight.T + bias).relu()
        return pooled if self.map is None else pooled @ self.map.T

    def _weights(self, table: Tensor, lists: Lists, own: Tensor | None) -> Tensor:
        """(n,) α."""
        if self.keys is None or self.key_bias is None:
            return (1 / lists.sizes.to(table.dtype)).repeat_interleave(lists.sizes)
        items, at = torch.unique(lists.ids, return_inverse=True)
        keys = (lookups(table, self.by_row, items)[0] @ self.keys.T + self.key_bias).tanh()
        if self.query is not None:
            return softmax_in_lists((keys @ self.query).index_select(0, at), lists)
        assert own is not None
        return softmax_in_lists((keys.index_select(0, at) * own.index_select(0, lists.owners)).sum(dim=1), lists)


def _normal(rng: np.random.Generator, *shape: int, variance: float = 1.0) -> nn.Parameter:
    """Independent normal numbers of variance `variance` / D, the last of the shape."""
    numbers = rng.standard_normal(shape, dtype=np.float32) / np.float32((shape[-1] / variance) ** 0.5)
    return nn.Parameter(torch.from_numpy(numbers))
