"""Losses that judge each item by itself."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import softplus

from recmodels.losses import LOSSES
from recmodels.types import LossInput


@LOSSES.register("bce", paper="He, Liao, Zhang, Nie, Hu, Chua, WWW 2017", space="dot")
def bce(x: LossInput, *, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
    """Binary cross-entropy: softplus(-s⁺) + c · Σ_j softplus(s_j).

    Args:
        x: scores.
        reduction: `mean` weighs all negatives together like the one positive (c = 1/N); `sum` counts every negative
            by itself (c = 1), as the paper does with its 4 negatives.
    """
    negative = x.mean(softplus(x.negative))
    count = x.negative.shape[1] if x.valid is None else x.valid.sum(dim=1)
    return softplus(-x.positive) + (negative * count if reduction == "sum" else negative)
