"""Losses that compare the positive with all negatives at once."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor

from recmodels.losses import LOSSES
from recmodels.types import LossInput


@LOSSES.register(
    "softmax",
    paper="Bengio and Senécal, IEEE TNN 2008; Wu et al., TOIS 2024",
    space="dot",
    needs={"log_q": "logq != none"},
)
def softmax(
    x: LossInput,
    *,
    temperature: Annotated[float, "> 0"] = 1.0,
    logq: Literal["none", "both", "neg"] = "neg",
) -> Tensor:
    """Sampled softmax: -a⁺ + log(exp a⁺ + Σ_j exp a_j), with a = s / temperature and a correction for the sampling law.

    Args:
        x: scores, and log q of the negatives.
        temperature: τ; 1 on dot products, where the norms set the scale.
        logq: `neg` uses a_j - log(N q_j), an importance-sampled estimate of the full softmax for negatives that
            exclude the positive; `both` subtracts log q from the positive as well (Yi et al., RecSys 2019); `none`
            leaves the scores as they are, which is InfoNCE (van den Oord et al., 2018).
    """
    positive, negative = x.positive / temperature, x.masked() / temperature
    if logq != "none":
        assert x.log_q is not None
        assert x.log_q_positive is not None
        correction = x.log_q + math.log(x.negative.shape[1]) if logq == "neg" else x.log_q
        # an item of probability 0 cannot have been drawn: its column is masked already
        negative = negative - correction.clamp(min=torch.finfo(torch.float32).min)
        if logq == "both":
            positive = positive - x.log_q_positive
    return torch.cat([positive[:, None], negative], dim=1).logsumexp(dim=1) - positive  # (B,)
