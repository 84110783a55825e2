"""Sums of exponentials, without overflow and without the time that autograd takes for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total, shares = log_sum_exp_shares(values)
        ctx.save_for_backward(shares)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        shares: Tensor = ctx.saved_tensors[0]
        return shares * grads[0].unsqueeze(1)


def log_sum_exp_shares(values: Tensor) -> tuple[Tensor, Tensor]:
    """`log_sum_exp` and its gradient by `values`, their softmax (B, N); neither carries a gradient."""
    shares = values.softmax(dim=1)
    return values.amax(dim=1) - shares.amax(dim=1).log(), shares  # the largest share is e^(largest - log Σ)


def log_sum_exp(values: Tensor) -> Tensor:
    """(B,) log Σ_j exp of finite `values` (B, N); `logsumexp` reads and writes them three times as often."""
    total: Tensor = _LogSumExp.apply(values)  # type: ignore[no-untyped-call]
    return total
