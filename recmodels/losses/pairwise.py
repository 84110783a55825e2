"""Losses that compare each negative with the positive."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from recmodels.losses import LOSSES
from recmodels.types import LossInput


@LOSSES.register("bpr", paper="Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009", space="dot")
def bpr(x: LossInput) -> Tensor:
    """The mean over negatives of -log sigmoid(s⁺ - s_j).

    Written as softplus(s_j - s⁺), which neither overflows nor loses its gradient.
    """
    return x.mean(softplus(x.negative - x.positive[:, None]))
