"""LightGCN."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from recmodels.models import MODELS
from recmodels.models.mf import vectors
from recmodels.sampling import Training
from recmodels.search import Search
from recmodels.settings import Settings
from recmodels.types import Tables


@MODELS.register(
    "lightgcn",
    paper="He, Deng, Wang, Li, Zhang, Wang, SIGIR 2020",
    gives=["dot", "cosine", "half-cosine", "distance"],
    recommended={"learning_rate": 0.03, "l2": 1e-4},
    recommended_from="validation on ml-100k; l2 as its authors",
    ignores={"l2_bias": ""},
)
def lightgcn(
    training: Training,
    settings: Settings,
    rng: np.random.Generator,
    *,
    layers: Annotated[int, ">= 1, <= 4", Search(1, 4)] = 3,  # paper
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
    return LightGCN(training, settings, rng, layers)


class LightGCN(nn.Module):
    """The module behind `lightgcn`, which keeps the graph of the interactions."""

    neighbours: Tensor
    starts: Tensor
    weights: Tensor

    def __init__(self, training: Training, settings: Settings, rng: np.random.Generator, layers: int) -> None:
        super().__init__()
        self.users = vectors(training.n_users, settings, rng)  # (U, D)
        self.items = vectors(training.n_items, settings, rng)  # (I, D)
        self.layers = layers
        size = training.n_users + training.n_items  # users and items are the nodes of one graph
        keys = np.unique(training.interactions.users.astype(np.int64) * training.n_items + training.interactions.items)
        users, items = keys // training.n_items, keys % training.n_items + training.n_users
        ends = np.concatenate([users, items])
        order, degrees = np.argsort(ends, kind="stable"), np.bincount(ends, minlength=size)
        weights = np.tile(1 / np.sqrt(degrees[users] * degrees[items]), 2)[order].astype(np.float32)
        starts = np.cumsum(degrees) - degrees
        for name, part in (
            ("neighbours", np.concatenate([items, users])[order]),
            ("starts", starts),
            ("weights", weights),
        ):
            self.register_buffer(name, torch.from_numpy(part), persistent=False)

    def forward(self) -> Tables:
        """The mean of e⁽⁰⁾ … e⁽ᴸ⁾."""
        start = torch.cat([self.users, self.items])
        mean: Tensor = _Mean.apply(start, self.neighbours, self.starts, self.weights, self.layers)  # type: ignore[no-untyped-call]
        return Tables(mean[: len(self.users)], mean[len(self.users) :])


def spread(vectors: Tensor, neighbours: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """A e: each node's vector becomes the weighted sum of those of its neighbours."""
    moved: Tensor = _Spread.apply(vectors, neighbours, starts, weights)  # type: ignore[no-untyped-call]
    return moved


class _Spread(torch.autograd.Function):
    """A is symmetric, so that the gradient takes the same way."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, neighbours: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
        ctx.graph = (neighbours, starts, weights)
        return _sums(vectors, *ctx.graph)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _sums(grads[0].contiguous(), *ctx.graph), None, None, None


class _Mean(torch.autograd.Function):
    """(e + A e + … + Aᴸ e) / (L + 1); as A is symmetric, its gradient is the same mean of what comes back."""

    @staticmethod
    def forward(ctx: Any, start: Tensor, neighbours: Tensor, starts: Tensor, weights: Tensor, layers: int) -> Tensor:
        ctx.graph = (neighbours, starts, weights, layers)
        return _mean(start, *ctx.graph)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _mean(grads[0].contiguous(), *ctx.graph), None, None, None, None


def _mean(start: Tensor, neighbours: Tensor, starts: Tensor, weights: Tensor, layers: int) -> Tensor:
    total = start
    for _ in range(layers):  # e + A (e + A (e + …)), each product a weighted sum over the neighbours of every node
        total = _sums(total, neighbours, starts, weights).add_(start)
    return total.div_(layers + 1)


def _sums(vectors: Tensor, neighbours: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    return embedding_bag(neighbours, vectors, starts, mode="sum", per_sample_weights=weights)
