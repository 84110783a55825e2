"""Losses whose gradient by the scores has a closed form may give it, so that no graph is recorded and walked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Sloped(NamedTuple):
    """A loss, and its gradient by the scores."""

    values: Tensor  # (B,), what the loss gives
    by_positive: Tensor  # (B,)
    by_negative: Tensor  # (B, N); 0 where a negative does not count


# (input, the loss's parameters by name) -> values and slopes; no gradient goes through weights and laws
SlopedLoss = Callable[..., Sloped]
SLOPES: dict[str, SlopedLoss] = {}


def slopes(name: str) -> Callable[[SlopedLoss], SlopedLoss]:
    """Mark a function as the loss `name` with its slopes; it takes the same arguments and stands beside the loss."""

    def add(function: SlopedLoss) -> SlopedLoss:
        SLOPES[name] = function
        return function

    return add


class _Known(torch.autograd.Function):
    """Zero, whose gradient by two tensors is given."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        ctx.save_for_backward(*given[2:])
        return given[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, ...]:
        return *ctx.saved_tensors, None, None


def send_back(positive: Tensor, negative: Tensor, by_positive: Tensor, by_negative: Tensor) -> None:
    """Send a gradient by scores to what they were made of; `torch.autograd.backward` would load sympy for it."""
    _Known.apply(positive, negative, by_positive, by_negative).backward()  # type: ignore[no-untyped-call]
