"""Scores of a batch, with the gradient through the inner product in closed form.

The loss differentiates with respect to (B,) and (B, N) scores; from there the gradient of the tables is a product and
one scatter. Autograd through `tables[ids]` would compute the same numbers with several copies of (B, N, D) more.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recmodels.types import Batch, Candidates, Tables


def batch_scores(tables: Tables, batch: Batch, candidates: Candidates) -> tuple[Tensor, Tensor]:
    """Scores (B,) of the positives and (B, N) of the candidates."""
    items = candidates.items
    dot: type[torch.autograd.Function] = _SharedDot if candidates.shared else _RowDot
    positive, negative = dot.apply(tables.users, tables.items, batch.users, batch.positives, items)  # type: ignore[no-untyped-call]
    if tables.bias is not None:
        positive = positive + tables.bias.index_select(0, batch.positives)
        negative = negative + tables.bias[items]
    return positive, negative


class _RowDot(torch.autograd.Function):
    """Each row has its own candidates (B, N)."""

    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, u: Tensor, p: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
        ids = torch.cat([p.unsqueeze(1), n], dim=1)  # (B, 1 + N)
        user = users.index_select(0, u)  # (B, D)
        item = items.index_select(0, ids.reshape(-1)).view(*ids.shape, -1)  # (B, 1 + N, D)
        scores = torch.bmm(item, user.unsqueeze(2)).squeeze(2)  # (B, 1 + N)
        ctx.save_for_backward(users, items, u, ids, user, item)
        return scores[:, 0], scores[:, 1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        users, items, u, ids, user, item = ctx.saved_tensors
        grad = torch.cat([grads[0].unsqueeze(1), grads[1]], dim=1)  # (B, 1 + N)
        grad_user = torch.bmm(grad.unsqueeze(1), item).squeeze(1)  # (B, D)
        grad_item = grad.unsqueeze(2) * user.unsqueeze(1)  # (B, 1 + N, D)
        return (
            torch.zeros_like(users).index_add_(0, u, grad_user),
            torch.zeros_like(items).index_add_(0, ids.reshape(-1), grad_item.view(-1, grad_item.shape[2])),
            None,
            None,
            None,
        )


class _SharedDot(torch.autograd.Function):
    """All rows have the same candidates (N,), so that scores and gradients are matrix products."""

    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, u: Tensor, p: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
        user = users.index_select(0, u)  # (B, D)
        positive, negative = items.index_select(0, p), items.index_select(0, n)  # (B, D), (N, D)
        ctx.save_for_backward(users, items, u, p, n, user, positive, negative)
        return (user * positive).sum(dim=1), user @ negative.T

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        users, items, u, p, n, user, positive, negative = ctx.saved_tensors
        grad_positive, grad_negative = grads[0].unsqueeze(1), grads[1]  # (B, 1), (B, N)
        grad_user = grad_positive * positive + grad_negative @ negative  # (B, D)
        grad_items = torch.zeros_like(items)
        grad_items.index_add_(0, p, grad_positive * user)
        grad_items.index_add_(0, n, grad_negative.T @ user)
        return torch.zeros_like(users).index_add_(0, u, grad_user), grad_items, None, None, None
