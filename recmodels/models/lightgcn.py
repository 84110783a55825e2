"""LightGCN."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.models import MODELS
from recmodels.models.mf import vectors
from recmodels.sampling import Training
from recmodels.settings import Settings
from recmodels.types import Tables


@MODELS.register(
    "lightgcn",
    paper="He, Deng, Wang, Li, Zhang, Wang, SIGIR 2020",
    gives=["dot", "cosine", "half-cosine", "distance"],
)
def lightgcn(
    training: Training, settings: Settings, rng: np.random.Generator, *, layers: Annotated[int, ">= 1, <= 4"] = 3
) -> nn.Module:
    """Vectors averaged over 0 to L steps along the interactions of train, each scaled by 1 / sqrt(n_u · n_i).

    e⁽ᵏ⁺¹⁾_u = Σ_{i in P_u} e⁽ᵏ⁾_i / sqrt(n_u n_i), likewise for items; the result is the mean of e⁽⁰⁾ … e⁽ᴸ⁾. L2 is on
    e⁽⁰⁾, the only parameters.

    Args:
        training: gives the interactions.
        settings: gives the size and the scale of e⁽⁰⁾.
        rng: draws e⁽⁰⁾, users first.
        layers: L.
    """
    return _LightGCN(training, settings, rng, layers)


class _LightGCN(nn.Module):
    graph: Tensor
    transposed: Tensor

    def __init__(self, training: Training, settings: Settings, rng: np.random.Generator, layers: int) -> None:
        super().__init__()
        self.users = vectors(training.n_users, settings, rng)  # (U, D)
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.layers = layers
        keys = np.unique(training.interactions.users.astype(np.int64) * training.n_items + training.interactions.items)
        users, items = keys // training.n_items, keys % training.n_items
        degrees = [np.bincount(users, minlength=training.n_users), np.bincount(items, minlength=training.n_items)]
        weights = (1 / np.sqrt(degrees[0][users] * degrees[1][items])).astype(np.float32)
        back = np.argsort(items, kind="stable")
        self.register_buffer("graph", _matrix(items, weights, degrees[0], training.n_items), persistent=False)
        self.register_buffer(
            "transposed",
            _matrix(users[back], weights[back], degrees[1], training.n_users),
            persistent=False,
        )

    def forward(self) -> Tables:
        users, items = self.users, self.items
        user_sum, item_sum = users, items
        for _ in range(self.layers):
            users, items = (
                _Propagate.apply(self.graph, self.transposed, items),  # type: ignore[no-untyped-call]
                _Propagate.apply(self.transposed, self.graph, users),  # type: ignore[no-untyped-call]
            )
            user_sum, item_sum = user_sum + users, item_sum + items
        return Tables(user_sum / (self.layers + 1), item_sum / (self.layers + 1))


class _Propagate(torch.autograd.Function):
    """matrix @ vectors, whose gradient is a product with the transposed matrix, kept ready."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, given: Tensor) -> Tensor:
        ctx.transposed = transposed
        return torch.mm(matrix, given)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        return None, None, torch.mm(ctx.transposed, grads[0].contiguous())


def _matrix(columns: Any, weights: Any, per_row: Any, n_columns: int) -> Tensor:
    starts = np.concatenate([[0], np.cumsum(per_row)])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        parts = [torch.from_numpy(part) for part in (starts, columns, weights)]
        return torch.sparse_csr_tensor(
            parts[0], parts[1], parts[2], size=(len(per_row), n_columns), check_invariants=False
        )
