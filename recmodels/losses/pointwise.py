"""Losses that judge each item by itself."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from recmodels.losses import LOSSES
from recmodels.search import Search
from recmodels.slopes import Sloped, slopes
from recmodels.types import LOWEST, LossInput


@LOSSES.register(
    "bce",
    paper="He, Liao, Zhang, Nie, Hu, Chua, WWW 2017",
    space="dot",
    spaces=["dot", "cosine", "half-cosine"],
    spaces_why="the sigmoid of a negative squared distance is never above one half",
    aliases=["binary cross-entropy", "log loss"],
)
def bce(
    x: LossInput,
    *,
    counting: Annotated[Literal["sum", "mean"], Search(among=("sum", "mean"))] = "sum",  # papers
) -> Tensor:
    """Binary cross-entropy: softplus(-s⁺) + c · Σ_j softplus(s_j).

    Args:
        x: scores.
        counting: `sum` counts every negative by itself (c = 1), as the paper does with its 4 negatives; `mean` weighs
            all negatives together like the one positive (c = 1/N).
    """
    negative = x.mean(softplus(x.negative))
    return softplus(-x.positive) + (negative * x.counted.squeeze(1) if counting == "sum" else negative)


@slopes("bce")
def bce_slopes(x: LossInput, *, counting: str) -> Sloped:
    """-sigmoid(-s⁺) and c · sigmoid(s_j)."""
    return _entropy(x, 1.0, x.counted if counting == "sum" else torch.ones_like(x.counted))


def _entropy(x: LossInput, beta: float, times: Tensor) -> Sloped:
    """β · softplus(-s⁺) + `times` (B, 1) the mean of softplus(s_j)."""
    values = beta * softplus(-x.positive) + x.mean(softplus(x.negative)) * times.squeeze(1)
    return Sloped(values, -beta * (-x.positive).sigmoid(), x.negative.sigmoid() * (times * x.factors))


@LOSSES.register(
    "gbce",
    paper="Petrov, Macdonald, RecSys 2023",
    space="dot",
    needs=["uniform_q"],
    spaces=["dot", "cosine", "half-cosine"],
    spaces_why="the sigmoid of a negative squared distance is never above one half",
    search={"negatives": Search(64, 1500, log=True)},  # paper: 256
    aliases=["gSASRec"],
)
def gbce(
    x: LossInput,
    *,
    calibration: Annotated[float, ">= 0, <= 1", Search(among=(0.0, 0.25, 0.5, 0.75, 0.9, 1.0))] = 0.75,  # paper
) -> Tensor:
    """Binary cross-entropy whose positive is weakened by what sampling makes it overconfident.

    β · softplus(-s⁺) + Σ_j softplus(s_j), with β = α (t (1 - 1/α) + 1/α) = t α + 1 - t and the sampling rate
    α = N / (I - 1).

    Args:
        x: scores of negatives drawn uniformly.
        calibration: t; 0 is `bce` with every negative counted, 1 makes the scores those of all negatives.
    """
    return _beta(x, calibration) * softplus(-x.positive) + x.mean(softplus(x.negative)) * x.counted.squeeze(1)


def _beta(x: LossInput, calibration: float) -> float:
    rate = min(1.0, x.negative.shape[1] / max(x.n_items - 1, 1))
    return calibration * rate + 1 - calibration


@slopes("gbce")
def gbce_slopes(x: LossInput, *, calibration: float) -> Sloped:
    """-β · sigmoid(-s⁺) and sigmoid(s_j)."""
    return _entropy(x, _beta(x, calibration), x.counted)


@LOSSES.register(
    "nce",
    paper="Gutmann, Hyvärinen, AISTATS 2010",
    space="dot",
    needs=["log_q"],
    spaces=["dot", "distance"],
    spaces_why="its scores are log probabilities, which cosines do not reach",
)
def nce(x: LossInput) -> Tensor:
    """Noise-contrastive estimation: softplus(-a⁺) + Σ_j softplus(a_j), with a = s - log(N q).

    Tells the positive from N draws of q; at the optimum the scores are log probabilities, normalised by themselves.
    """
    assert x.log_q is not None
    assert x.log_q_positive is not None
    log_n = math.log(x.negative.shape[1])
    negative = x.negative - (x.log_q + log_n).clamp(min=LOWEST)
    positive = x.positive - (x.log_q_positive + log_n).clamp(min=-1e4)  # an item that q never draws
    return softplus(-positive) + x.mean(softplus(x.masked(negative, 0.0))) * x.counted.squeeze(1)


@LOSSES.register(
    "ccl",
    paper="Mao, Zhu, Wang, Dai, Dong, Xiao, He, CIKM 2021",
    space="cosine",
    spaces=["cosine"],
    spaces_why="its margins are cosines",
    search={  # the authors' files
        "l2": Search(among=(0.0, 1e-6, 1e-4, 1e-3)),  # authors
        "negatives": Search(64, 1500, log=True),  # authors: 800 to 1,500
    },
    aliases=["SimpleX"],
)
def ccl(
    x: LossInput,
    *,
    margin: Annotated[float, "> -1, < 1", Search(0, 0.9)] = 0.5,  # authors
    weight: Annotated[float, "> 0", Search(1, 1000, log=True)] = 10.0,  # authors
) -> Tensor:
    """Cosine contrastive loss: max(0, 1 - c⁺) + weight · mean_j max(0, c_j - margin).

    Args:
        x: cosines.
        margin: below which a negative is left alone.
        weight: of the mean over negatives; the paper takes up to 150 with 800 of them.
    """
    return (1 - x.positive).relu() + weight * x.mean((x.negative - margin).relu())


@slopes("ccl")
def ccl_slopes(x: LossInput, *, margin: float, weight: float) -> Sloped:
    """-1 below a cosine of 1, and the weight above the margin, by each negative's share in the mean."""
    short, above = (1 - x.positive).relu(), (x.negative - margin).relu()
    values = short + weight * x.mean(above)
    return Sloped(values, -(short > 0).to(short.dtype), (above > 0).to(above.dtype) * (weight * x.factors))
